"""The store keeps what it is given, names what is broken, and its table follows from its predictions."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation import queries
from evaluation.analyses.weak_spots import weak_spots
from evaluation.cards.label_tables import neutral_elsewhere
from evaluation.check_explanations import attention_faults, curve_faults, failure_faults, run_faults
from evaluation.check_results import check_results
from evaluation.rows import class_scores, compare_results, compute_results, update_results
from evaluation.store import (
    DEFAULT_STORE,
    NEUTRAL,
    RESULT_COLUMNS,
    RESULT_KEY,
    SCHEMA_VERSION,
    read_arrays,
    read_predictions,
    read_store,
    read_table,
    write_predictions,
)
from gimefive_hf.configuration_gimefive import EMOTIONS
from tests.cases.results_cases import make_facts, make_predictions, make_store


def value(table, metric, **where):
    """The only row of a table that fits."""
    rows = table[(table["metric"] == metric)]
    for name, wanted in ({"class": "", "subset": "full"} | where).items():
        rows = rows[rows[name] == wanted]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_predictions_come_back_as_they_went_in(tmp_path):
    frame = make_predictions()
    path = write_predictions(tmp_path, make_facts(), frame)
    facts, read = read_predictions(path)
    assert facts == make_facts()
    assert read["source"].tolist() == frame["source"].tolist()
    np.testing.assert_allclose(read[list(EMOTIONS)], frame[list(EMOTIONS)], atol=1e-7)


def test_writing_replaces_the_same_run_and_keeps_others(tmp_path):
    write_predictions(tmp_path, make_facts(), make_predictions("raf-db", 10))
    write_predictions(tmp_path, make_facts(), make_predictions("fer2013", 10))
    path = write_predictions(tmp_path, make_facts(), make_predictions("raf-db", 7))
    counts = read_predictions(path)[1]["corpus"].value_counts()
    assert counts.to_dict() == {"fer2013": 10, "raf-db": 7}


def test_another_revision_drops_the_old_rows(tmp_path):
    write_predictions(tmp_path, make_facts(), make_predictions("raf-db", 10))
    path = write_predictions(tmp_path, make_facts(revision="new"), make_predictions("fer2013", 10))
    assert set(read_predictions(path)[1]["corpus"]) == {"fer2013"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: pd.concat([f, f.head(2)]), "2 duplicate rows"),
        (lambda f: f.assign(label="contempt"), "contempt"),
        (lambda f: f.assign(fear=0.9), "no distribution"),
        (lambda f: f.assign(fear=np.nan), "no distribution"),
        (lambda f: f.drop(columns="face_found"), "face_found"),
    ],
)
def test_bad_predictions_are_refused(tmp_path, spoil, message):
    with pytest.raises(ValueError, match=message):
        write_predictions(tmp_path, make_facts(), spoil(make_predictions()))
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_name_cannot_leave_the_store(tmp_path):
    with pytest.raises(ValueError, match="name"):
        write_predictions(tmp_path, make_facts(model="../x"), make_predictions())


def test_missing_store_says_so(tmp_path):
    store = read_store(tmp_path)
    assert any("no predictions" in problem for problem in store.problems)
    assert any("results.csv is missing" in problem for problem in store.problems)
    assert len(store.results) == 0


def test_half_written_file_is_named_and_the_rest_is_read(tmp_path):
    make_store(tmp_path)
    path = tmp_path / "predictions" / "beta.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    (tmp_path / "predictions" / "alpha.part").write_bytes(b"")
    store = read_store(tmp_path)
    assert set(store.models) == {"alpha"}
    assert set(store.results["model"]) == {"alpha"}
    assert any("beta.parquet is not a whole Parquet file" in problem for problem in store.problems)
    assert any("alpha.part" in problem for problem in store.problems)
    assert any("'beta', of which there are no predictions" in problem for problem in store.problems)


def test_another_schema_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluation.store.SCHEMA_VERSION", SCHEMA_VERSION + 1)
    write_predictions(tmp_path, make_facts(), make_predictions())
    monkeypatch.undo()
    assert any(f"schema version {SCHEMA_VERSION + 1}" in problem for problem in read_store(tmp_path).problems)


def test_duplicate_and_strange_result_rows_are_named(tmp_path):
    make_store(tmp_path)
    path = tmp_path / "results.csv"
    text = path.read_text()
    path.write_text(text + text.splitlines()[1] + "\n")
    store = read_store(tmp_path)
    assert any("results.csv: 1 rows are duplicates" in problem for problem in store.problems)
    assert len(store.results) == len(text.splitlines()) - 1  # the rest, and one of the two
    path.write_text("model,score\na,1\n")
    assert any("results.csv should have the columns" in problem for problem in read_store(tmp_path).problems)


def test_a_half_written_table_is_named_and_its_whole_rows_are_read(tmp_path):
    make_store(tmp_path)
    path = tmp_path / "results.csv"
    lines = path.read_text().splitlines()
    fields = lines[3].split(",")
    fields[RESULT_COLUMNS.index("value")] = "good"
    path.write_text("\n".join([*lines[:3], ",".join(fields), *lines[4:-1], lines[-1][:40]]))
    store = read_store(tmp_path)
    assert any("2 rows are cut off or hold no number" in p and "line 4" in p for p in store.problems)
    assert len(store.results) == len(lines) - 3
    assert store.results["n_scored"].dtype == "int64"
    with pytest.raises(ValueError, match="cut off"):
        read_table(path, RESULT_COLUMNS, RESULT_KEY)


def test_broken_arrays_are_named(tmp_path):
    path = tmp_path / "attention_m.npz"
    with pytest.raises(ValueError, match=r"attention_m.npz is missing"):
        read_arrays(path)
    np.savez_compressed(path, maps=np.arange(1000))
    np.testing.assert_array_equal(read_arrays(path)["maps"], np.arange(1000))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"attention_m.npz is not a whole file"):
        read_arrays(path)


def test_weak_spots_by_hand(tmp_path):
    frame = make_predictions("raf-db", 240, right=1.0)
    fear = np.flatnonzero(frame["label"] == "fear")
    for place, answer in [*((i, "sadness") for i in fear[:6]), *((i, "anger") for i in fear[6:10])]:
        row = frame.loc[place, list(EMOTIONS)]
        frame.loc[place, ["fear", answer]] = row[answer], row["fear"]
    write_predictions(tmp_path, make_facts(), frame)
    dark = make_predictions("raf-db", 60, protocol="corrupted/darkness/2", right=0.0)
    write_predictions(tmp_path, make_facts(), dark)
    update_results(tmp_path)
    spots = weak_spots(read_store(tmp_path), "alpha")
    assert list(spots) == ["Weakest spot", "Worst corruption", "Lowest accuracy"]
    assert "of the 40 faces labelled fear in the test split of RAF-DB, alpha recognises 75.0 %" in spots["Weakest spot"]
    assert "takes 15.0 % (6) for sadness" in spots["Weakest spot"]
    assert "darkness at strength 2 of 5, with an accuracy of 0.0 % [0.0, 0.0] of 60" in spots["Worst corruption"]
    # the ten faces of fear that are wrong stand among the first sixty
    assert "(83.3 % of the same images" in spots["Worst corruption"]
    assert weak_spots(read_store(tmp_path), "nobody") == {}


def test_results_by_hand():
    frame = make_predictions(n=12, right=1.0)
    table = compute_results(frame, make_facts(), None)
    assert value(table, "accuracy")["value"] == 1.0
    assert value(table, "accuracy")["n_total"] == 12
    assert value(table, "confusion", **{"class": "fear>fear"})["value"] == 2
    assert value(table, "recall", **{"class": "fear"})["n_scored"] == 2


def test_leak_free_leaves_the_twins_out():
    frame = make_predictions(n=12, right=1.0)
    frame.loc[:2, "label"] = "fear"  # makes three answers wrong, two of them twins of training images
    leaked = pd.DataFrame({"corpus": "raf-db", "source": ["raf-db/000.jpg", "raf-db/001.jpg", "raf-db/999.jpg"]})
    table = compute_results(frame, make_facts(), leaked)
    assert value(table, "accuracy")["value"] == pytest.approx(9 / 12)
    row = value(table, "accuracy", subset="leak-free")
    assert row["value"] == pytest.approx(9 / 10)
    assert row["n_total"] == 10


def test_a_face_not_found_counts_in_the_total_only():
    frame = make_predictions(n=12, right=1.0, protocol="detected")
    frame.loc[[0, 1, 2], "face_found"] = False
    frame.loc[[0, 1, 2], list(EMOTIONS)] = np.nan
    table = compute_results(frame, make_facts(), None)
    accuracy = value(table, "accuracy")
    assert (accuracy["value"], accuracy["n_scored"], accuracy["n_total"]) == (1.0, 9, 12)
    assert value(table, "faces_found")["value"] == pytest.approx(9 / 12)
    assert value(table, "accuracy_of_all")["value"] == pytest.approx(9 / 12)


def test_seven_classes_are_scored_both_ways():
    frame = make_predictions("fer2013", n=70, neutral=True)
    table = compute_results(frame, make_facts(classes=7), None)
    assert value(table, "accuracy", classes=6)["n_total"] == 60
    assert value(table, "accuracy", classes=7)["n_total"] == 70
    probabilities, _ = class_scores(frame[frame["label"] != "neutral"], 6)
    np.testing.assert_allclose(probabilities.sum(1), 1)


def test_aggregate_joins_the_two_test_splits():
    frame = pd.concat([make_predictions("raf-db", 30), make_predictions("fer2013", 20)], ignore_index=True)
    table = compute_results(frame, make_facts(), None)
    assert value(table, "accuracy", corpus="aggregate")["n_total"] == 50


def test_subgroups_of_tfeid():
    table = compute_results(make_predictions("tfeid", 48), make_facts(), None)
    assert value(table, "accuracy", subset="female")["n_total"] == 24
    assert value(table, "accuracy", subset="male")["n_total"] == 24


def test_a_stale_table_is_found(tmp_path):
    make_store(tmp_path)
    store = read_store(tmp_path)
    computed = pd.concat(
        [compute_results(part, store.models[name], None) for name, part in store.predictions.groupby("model")]
    )
    assert compare_results(store.results, computed) == []
    spoiled = store.results.copy()
    spoiled.loc[spoiled["metric"].eq("accuracy").idxmax(), "value"] += 1e-6
    assert "value is" in compare_results(spoiled, computed)[0]
    assert "missing from results.csv" in compare_results(store.results.iloc[1:], computed)[0]
    assert "do not give it" in compare_results(store.results, computed.iloc[1:])[0]


def test_every_stored_figure_follows_from_the_predictions():
    """The repository's own store: a stale results.csv fails here, `make check-results` says the same."""
    assert check_results(DEFAULT_STORE) == []


@pytest.fixture(scope="module")
def own_store():
    return read_store()


@pytest.mark.parametrize(
    ("check", "table", "column", "fault"),
    [
        (curve_faults, "faithfulness", "gap", "is not insertion - deletion"),
        (curve_faults, "faithfulness_curves", "probability", "is not the area of its curve"),
        (attention_faults, "attention", "images", "attention.csv: "),
        (failure_faults, "failures", "probability", "1 rows of"),
        (failure_faults, "failures", "map", "has rows up to"),
        (run_faults, "runs", "seed", "are not those of its predictions"),
    ],
)
def test_spoiled_explanations_are_named(own_store, check, table, column, fault):
    spoiled = own_store.extras[table].head(1 if check is attention_faults else None).copy()
    spoiled.loc[spoiled.index[0], column] += 900 if column == "map" else 1
    faults = list(check(DEFAULT_STORE, replace(own_store, extras=own_store.extras | {table: spoiled})))
    assert any(fault in text for text in faults), faults


def test_pictures_of_other_maps_are_named(own_store, tmp_path):
    table = own_store.extras["attention"]
    store = replace(own_store, extras={"attention": table[table["model"] == "gimefive"]})
    for suffix, other in (("npz", "gimefive"), ("png", "gimefive-fast")):
        shutil.copy(DEFAULT_STORE / f"attention_{other}.{suffix}", tmp_path / f"attention_gimefive.{suffix}")
    assert list(attention_faults(tmp_path, store)) == [
        "attention_gimefive.png does not show the maps of attention_gimefive.npz"
    ]
    weights = store.extras["attention"].assign(weights="0" * 12)
    assert any(
        "other weights" in text for text in attention_faults(tmp_path, replace(store, extras={"attention": weights}))
    )


def test_a_corpus_of_neutral_and_happiness_is_no_test_of_the_six(tmp_path):
    predictions = make_predictions("muxspace", 70, neutral=True)
    predictions = predictions[predictions["label"].isin(["happiness", NEUTRAL])]
    write_predictions(tmp_path, make_facts(classes=7), pd.concat([make_predictions(neutral=True), predictions]))
    update_results(tmp_path)
    store = read_store(tmp_path)
    assert queries.tested_corpora(store, "alpha") == ["raf-db"]
    rows = store.results[store.results["corpus"] == "muxspace"]
    assert set(rows["classes"]) == {7}
    right = (predictions[[*EMOTIONS, NEUTRAL]].idxmax(axis=1) == predictions["label"]).mean()
    assert f"| Muxspace | alpha | {100 * right:.1f} [" in neutral_elsewhere(store)
