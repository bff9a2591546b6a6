"""Metrics against values computed by hand, and against scikit-learn on random cases."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from evaluation.metrics import (
    compute_metrics,
    confidence_bins,
    confusion_matrix,
    mcnemar,
    permutation_test,
    reliability,
    share_interval,
)

# Three classes, five images. Predictions 0, 0, 1, 2, 1 for labels 0, 1, 1, 2, 2.
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9], [0.2, 0.5, 0.3]])
LABELS = np.array([0, 1, 1, 2, 2])


def by_name(scores, label=None):
    return {score.metric: score for score in scores if score.label == label}


def test_confusion_matrix_by_hand():
    matrix = confusion_matrix(LABELS, PROBABILITIES.argmax(1), 3)
    assert matrix.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]


def test_metrics_by_hand():
    scores = by_name(compute_metrics(PROBABILITIES, LABELS))
    assert scores["accuracy"].value == pytest.approx(3 / 5)
    assert scores["balanced_accuracy"].value == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    # F1: class 0 has tp 1, fp 1, fn 0; class 1 tp 1, fp 1, fn 1; class 2 tp 1, fp 0, fn 1.
    assert scores["macro_f1"].value == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3)
    losses = [-math.log(p) for p in (0.7, 0.3, 0.8, 0.9, 0.3)]
    assert scores["negative_log_likelihood"].value == pytest.approx(sum(losses) / 5)
    # All five confidences lie in different bins of 1/15, so the error is the mean of |right − confidence|.
    assert scores["expected_calibration_error"].value == pytest.approx((0.3 + 0.6 + 0.2 + 0.1 + 0.5) / 5)
    assert scores["accuracy"].n == 5


def test_calibration_error_cancels_within_a_bin():
    probabilities = np.array([[0.62, 0.38], [0.64, 0.36]])  # one bin (9/15, 10/15], one of two right
    score = by_name(compute_metrics(probabilities, np.array([0, 1])))["expected_calibration_error"]
    assert score.value == pytest.approx(abs(1 - 0.62 - 0.64) / 2)


def test_class_metrics_by_hand_with_denominators():
    scores = compute_metrics(PROBABILITIES, LABELS)
    assert [by_name(scores, c)["recall"].value for c in range(3)] == pytest.approx([1, 0.5, 0.5])
    assert [by_name(scores, c)["recall"].n for c in range(3)] == [1, 2, 2]
    assert [by_name(scores, c)["precision"].value for c in range(3)] == pytest.approx([0.5, 0.5, 1])
    assert [by_name(scores, c)["precision"].n for c in range(3)] == [2, 2, 1]


def test_missing_class_is_nan_not_zero():
    scores = compute_metrics(np.array([[0.6, 0.4, 0.0], [0.7, 0.2, 0.1]]), np.array([0, 1]))
    assert math.isnan(by_name(scores, 2)["recall"].value)
    assert by_name(scores, 2)["recall"].n == 0
    assert math.isnan(by_name(scores, 1)["precision"].value)
    assert by_name(scores)["balanced_accuracy"].value == pytest.approx(0.5)  # of the two classes that have images


def test_agrees_with_scikit_learn():
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.full(6, 0.4), 500)
    labels = np.arange(500) % 6
    predicted = probabilities.argmax(1)
    scores = by_name(compute_metrics(probabilities, labels, resamples=10))
    assert scores["accuracy"].value == pytest.approx(reference.accuracy_score(labels, predicted))
    assert scores["balanced_accuracy"].value == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert scores["macro_f1"].value == pytest.approx(reference.f1_score(labels, predicted, average="macro"))
    assert scores["negative_log_likelihood"].value == pytest.approx(reference.log_loss(labels, probabilities))


def test_interval_matches_the_normal_approximation():
    generator = np.random.default_rng(2)
    labels = np.zeros(2388, dtype=np.int64)
    right = generator.random(2388) < 0.865
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    score = by_name(compute_metrics(probabilities, labels))["accuracy"]
    half = 1.96 * math.sqrt(score.value * (1 - score.value) / 2388)  # ±1.4 % for the size of RAF-DB's test split
    assert score.high - score.value == pytest.approx(half, rel=0.15)
    assert score.value - score.low == pytest.approx(half, rel=0.15)


def test_grouped_interval_is_wider_when_images_of_a_group_agree():
    right = np.repeat(np.arange(40) % 2, 25)
    probabilities = np.where(right[:, None] == 1, [0.9, 0.1], [0.1, 0.9])
    labels = np.zeros(1000, dtype=np.int64)
    alone = by_name(compute_metrics(probabilities, labels))["accuracy"]
    grouped = by_name(compute_metrics(probabilities, labels, groups=np.repeat(np.arange(40), 25)))["accuracy"]
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(5, rel=0.2)  # √25 images per group


def test_few_groups_never_narrow_the_interval():
    probabilities = np.where(np.array([1, 1, 0] * 4)[:, None] == 1, [0.9, 0.1], [0.1, 0.9])
    labels = np.zeros(12, dtype=np.int64)
    alone = by_name(compute_metrics(probabilities, labels))["accuracy"]
    grouped = by_name(compute_metrics(probabilities, labels, groups=np.repeat([0, 1], 6)))["accuracy"]
    assert (grouped.low, grouped.high) == (
        alone.low,
        alone.high,
    )  # both subjects have 2/3: they alone would give no width


def test_intervals_are_repeatable():
    first = compute_metrics(PROBABILITIES, LABELS)
    assert [s.low for s in first] == pytest.approx([s.low for s in compute_metrics(PROBABILITIES, LABELS)], nan_ok=True)
    assert by_name(first)["accuracy"].low < 0.6 < by_name(first)["accuracy"].high


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        (np.zeros((0, 6)), np.zeros(0, dtype=int)),
        (np.full((2, 6), 1 / 6), np.zeros(3, dtype=int)),
        (np.full((2, 6), 0.5), np.zeros(2, dtype=int)),
        (np.full((2, 6), 1 / 6), np.array([0, 6])),
        (np.array([[np.nan, 1.0]]), np.array([0])),
    ],
)
def test_bad_scores_are_refused(probabilities, labels):
    with pytest.raises(ValueError):
        compute_metrics(probabilities, labels)


def test_confidence_bins_at_the_edges():
    assert confidence_bins(np.array([0.0, 0.1, 0.1001, 1.0]), 10).tolist() == [0, 0, 1, 9]


def test_reliability_by_hand():
    diagram = reliability(np.array([0.62, 0.64, 0.95]), np.array([True, False, True]), bins=10)
    assert [entry.n if entry else 0 for entry in diagram] == [0] * 6 + [2, 0, 0, 1]
    assert diagram[6].confidence == pytest.approx(0.63)
    assert diagram[6].accuracy == 0.5
    assert diagram[9].accuracy == 1.0
    assert diagram[0] is None


def test_mcnemar_by_hand():
    right_a = np.array([True] * 9 + [False] + [True] * 5)
    right_b = np.array([False] * 9 + [True] + [True] * 5)
    only_a, only_b, p = mcnemar(right_a, right_b)
    assert (only_a, only_b) == (9, 1)
    assert p == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(right_a, right_a) == (0, 0, 1.0)


def test_permutation_test_by_hand():
    values, first = np.array([1.0, 1.0, 0.0, 0.0]), np.array([True, True, False, False])
    observed, p = permutation_test(values, first)
    assert observed == 1.0
    assert p == pytest.approx(2 / 6, abs=0.05)  # 2 of the 6 ways to choose two of four are as extreme
    assert permutation_test(np.ones(4), first)[1] == 1.0


def test_permutation_test_moves_whole_subjects():
    values = np.array([1.0, 1.0, 0.0, 0.0])
    first = np.array([True, True, False, False])
    assert (
        permutation_test(values, first, groups=np.array(["a", "a", "b", "b"]))[1] == 1.0
    )  # two subjects prove nothing
    with pytest.raises(ValueError, match="one subgroup only"):
        permutation_test(values, first, groups=np.array(["a", "a", "a", "b"]))


def test_wilson_interval_by_hand():
    # Ten of ten, as tabulated for the Wilson interval: 0.722 to 1; half of 100: 0.404 to 0.596.
    assert share_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert share_interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert math.isnan(share_interval(0.5, math.nan)[0])
