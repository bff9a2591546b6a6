"""
Metrics of expression classifiers with bootstrap intervals, and the two significance tests that the project uses.

Every metric here is a function of sums over images (of confusion cells, log-losses and calibration gaps), so one matrix
product gives all metrics of all bootstrap resamples at once.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtr

CALIBRATION_BINS = 15  # as in Guo et al. 2017
SMALLEST_PROBABILITY = 1e-12  # keeps the log-loss finite where a model gives the true class no probability at all
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error", "negative_log_likelihood")
CLASS_METRICS = ("recall", "precision")


@dataclass(frozen=True)
class Score:
    """
    One metric with its 95 % percentile bootstrap interval [low, high].

    `label` is a class index for per-class metrics, else None. `value` is NaN where the metric is undefined: the recall
    of a class without images, the precision of a class never predicted. Shares are in [0, 1], the log-loss in nats.
    `n` is the denominator: images scored; of the class for recall, predicted as the class for precision.
    """

    metric: str
    label: int | None
    value: float
    low: float
    high: float
    n: int


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes) int64: row = label, column = prediction."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confidence_bins(confidence: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Index of the equal-width bin ((b)/bins, (b+1)/bins] of each confidence in [0, 1]; 0 falls into the first."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def image_terms(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """
    What each image adds to the sums: (n, classes² + 1 + bins) float64, namely its one-hot confusion cell, its
    log-loss, and (right − confidence) in the column of its confidence bin.
    """
    n, classes = probabilities.shape
    predicted = probabilities.argmax(1)
    confidence = probabilities.max(1)
    terms = np.zeros((n, classes**2 + 1 + CALIBRATION_BINS))
    rows = np.arange(n)
    terms[rows, labels * classes + predicted] = 1
    terms[:, classes**2] = -np.log(np.maximum(probabilities[rows, labels], SMALLEST_PROBABILITY))
    terms[rows, classes**2 + 1 + confidence_bins(confidence)] = (predicted == labels) - confidence
    return terms


def metrics_of_sums(sums: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """
    Metrics of sums (r, classes² + 1 + bins) over r resamples: (r,) each, (r, classes) for `CLASS_METRICS`.

    Balanced accuracy and macro-F1 average over the classes that have images. The calibration error is
    Σ_b |Σ_{i in b} right_i − confidence_i| / n (Guo et al. 2017, equation 3).
    """
    matrix = sums[:, : classes**2].reshape(-1, classes, classes)  # (r, label, prediction)
    n = matrix.sum((1, 2))
    right = np.diagonal(matrix, axis1=1, axis2=2)
    of_label, of_prediction = matrix.sum(2), matrix.sum(1)
    present = of_label > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / of_label
        f1 = 2 * right / (of_label + of_prediction)
        return {
            "accuracy": right.sum(1) / n,
            "balanced_accuracy": np.where(present, recall, 0).sum(1) / present.sum(1),
            "macro_f1": np.where(present, f1, 0).sum(1) / present.sum(1),
            "expected_calibration_error": np.abs(sums[:, classes**2 + 1 :]).sum(1) / n,
            "negative_log_likelihood": sums[:, classes**2] / n,
            "recall": recall,
            "precision": right / of_prediction,
        }


@lru_cache(maxsize=64)  # of at most 4 MB each; models that are tested on the same images share them
def group_draws(count: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of `count` groups is drawn with replacement: uint8 (resamples, count)."""
    generator = np.random.default_rng(seed)
    times = np.empty((resamples, count), np.uint8)  # nobody is drawn 256 times: the chance is below 1e-500
    for row in times:
        row[:] = np.bincount(generator.integers(0, count, count), minlength=count)
    return times


def resample_weights(groups: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """How often each image is drawn: (resamples, n) float64. Whole groups (indices (n,)) are drawn with replacement."""
    count = int(groups.max()) + 1
    times = group_draws(count, resamples, seed)
    alone = count == len(groups)  # every image its own group: its weights need no copying
    return (times if alone else times[:, groups]).astype(np.float64)


def check_scores(probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Raise ValueError unless there are n > 0 images with n distributions and n class indices."""
    if probabilities.ndim != 2 or len(probabilities) == 0 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"expected probabilities (n, classes) and labels (n,) of at least one image; "
            f"got {probabilities.shape} and {labels.shape}"
        )
    if not np.allclose(probabilities.sum(1), 1, atol=1e-3) or probabilities.min() < 0:
        raise ValueError("every row of probabilities must be non-negative and add up to 1")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be in 0..{probabilities.shape[1] - 1}; got {labels.min()}..{labels.max()}")


def compute_metrics(
    probabilities: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Score]:
    """
    All metrics with 95 % bootstrap intervals (percentile method, Efron 1979).

    Args:
        probabilities: (n, classes), rows add up to 1.
        labels: (n,) class indices.
        groups: (n,) anything that numpy sorts, such as the subject of each image; images of one group are drawn
            together, because they are not independent. As few groups give intervals that are too narrow, the interval
            then spans that of the groups and that of the images. None: every image is its own group.

    Raises:
        ValueError: for no images, shapes that do not fit, rows that are no distributions.
    """
    check_scores(probabilities, labels)
    n, classes = probabilities.shape
    terms = image_terms(probabilities.astype(np.float64), labels)
    exact = metrics_of_sums(terms.sum(0, keepdims=True), classes)
    draws = [draw_metrics(terms, np.arange(n), classes, resamples, seed)]
    index = group_index(groups, n)
    if index.max() + 1 < n:
        draws.append(draw_metrics(terms, index, classes, resamples, seed))
    scores = [
        Score(name, None, float(exact[name][0]), *widest([interval(drawn[name]) for drawn in draws]), n)
        for name in METRICS
    ]
    matrix = confusion_matrix(labels, probabilities.argmax(1), classes)
    denominators = {"recall": matrix.sum(1), "precision": matrix.sum(0)}
    for name in CLASS_METRICS:
        for label in range(classes):
            value = float(exact[name][0, label])
            n_class = int(denominators[name][label])
            bounds = widest([interval(drawn[name][:, label]) for drawn in draws])
            scores.append(Score(name, label, value, *bounds, n_class))
    return scores


def group_index(groups: np.ndarray | None, n: int) -> np.ndarray:
    """Groups (n,) as indices 0, 1, …; without groups every image has its own."""
    return np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)


def draw_metrics(
    terms: np.ndarray, index: np.ndarray, classes: int, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Metrics of bootstrap resamples, (resamples,) or (resamples, classes) each; `index` (n,) tells the groups."""
    step = max(1, 4_000_000 // len(terms))  # bounds the memory of the weights
    parts = [
        metrics_of_sums(resample_weights(index, min(step, resamples - start), seed + start) @ terms, classes)
        for start in range(0, resamples, step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mean_interval(values: np.ndarray, groups: np.ndarray | None, resamples: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of `values` (n,), with `groups` as in `compute_metrics`."""
    alone, grouped = np.arange(len(values)), group_index(groups, len(values))
    bounds = []
    for index in [alone] if grouped.max() + 1 == len(values) else [alone, grouped]:
        sums, sizes = np.bincount(index, values), np.bincount(index)
        draws = group_draws(len(sums), resamples, 0)
        bounds.append(interval(np.array([times @ sums / (times @ sizes) for times in draws])))
    return widest(bounds)


def share_interval(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of n independent images where only the share is known (Wilson 1927); NaN for no n."""
    if not n > 0 or math.isnan(share):
        return math.nan, math.nan
    z = 1.959964
    centre, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)


def widest(bounds: list[tuple[float, float]]) -> tuple[float, float]:
    """The interval that spans all; an undefined one (NaN) spans nothing."""
    defined = [pair for pair in bounds if not math.isnan(pair[0])]
    if not defined:
        return math.nan, math.nan
    return min(low for low, _ in defined), max(high for _, high in defined)


def interval(values: np.ndarray) -> tuple[float, float]:
    """2.5 and 97.5 % percentiles of the resamples in which the metric is defined; NaN if it never is."""
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return math.nan, math.nan
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability diagram: n images, their mean confidence and the share that is right."""

    n: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = CALIBRATION_BINS) -> list[ReliabilityBin | None]:
    """
    The reliability diagram of answers of which the model is sure to `confidence` (n,) in [0, 1] and which are `right`,
    bool (n,): one entry per bin of `confidence_bins`, None where no image falls.
    """
    index = confidence_bins(confidence, bins)
    diagram: list[ReliabilityBin | None] = []
    for number in range(bins):
        chosen = index == number
        n = int(chosen.sum())
        diagram.append(ReliabilityBin(n, float(confidence[chosen].mean()), float(right[chosen].mean())) if n else None)
    return diagram


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean of |accuracy − confidence| over bins of equal width, weighted by their counts (Guo et al. 2017, eq. 3)."""
    diagram = [entry for entry in reliability(confidence, right, bins) if entry is not None]
    return sum(entry.n * abs(entry.accuracy - entry.confidence) for entry in diagram) / len(confidence)


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> tuple[int, int, float]:
    """
    McNemar's exact test for two models on the same images (McNemar 1947; binomial form).

    Args:
        right_a, right_b: bool (n,), whether each model is right on each image.

    Returns:
        Images on which only a is right, only b is right, and the two-sided p-value (1.0 if they never differ).
    """
    if right_a.shape != right_b.shape:
        raise ValueError(f"both models must be scored on the same images; got {right_a.shape} and {right_b.shape}")
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    if only_a + only_b == 0:
        return 0, 0, 1.0
    # Half of the tails is enough, because under chance both sides are alike; all of scipy.stats would take a second.
    return only_a, only_b, min(1.0, float(2 * bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def permutation_test(
    values: np.ndarray, in_first: np.ndarray, groups: np.ndarray | None = None, permutations: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """
    Difference of two subgroups' means, first − second, and its two-sided permutation p-value.

    Args:
        values: (n,) per image, such as right (1) or wrong (0).
        in_first: bool (n,), membership of the first subgroup.
        groups: (n,) such as subjects; all images of a group are in the same subgroup, and membership is permuted
            between groups. None: every image is its own group.

    Raises:
        ValueError: if a subgroup is empty or a group is in both.
    """
    if in_first.all() or not in_first.any():
        raise ValueError("both subgroups need at least one image")
    index = group_index(groups, len(values))
    total, count = np.bincount(index, values), np.bincount(index)
    members = np.bincount(index, in_first)
    if not np.all((members == 0) | (members == count)):
        raise ValueError("every group (subject) must lie in one subgroup only")
    generator = np.random.default_rng(seed)

    def difference(first: np.ndarray) -> float:  # (groups,) of 0/1
        return float(first @ total / (first @ count) - (1 - first) @ total / ((1 - first) @ count))

    membership = (members > 0).astype(np.float64)
    observed = difference(membership)
    by_chance = np.array([difference(generator.permuted(membership)) for _ in range(permutations)])
    extreme = int((np.abs(by_chance) >= abs(observed) - 1e-12).sum())
    return observed, (extreme + 1) / (permutations + 1)
