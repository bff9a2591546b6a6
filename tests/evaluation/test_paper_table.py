"""The paper's table trained anew: the import of finished runs, and what is said of them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.analyses.paper_table import (
    NETWORKS,
    Change,
    augmentation_sentence,
    augmentation_table,
    changes,
    paper_table,
    summary,
)
from evaluation.cards.tables import paper_networks
from evaluation.check_results import check_results
from evaluation.queries import order_models
from evaluation.store import DEFAULT_STORE, read_store
from tests.cases.results_cases import make_store
from training.corpora import Crops
from training.studies import import_run


@pytest.fixture
def run(tmp_path):
    """A finished run of 40 images, of which the first 30 are right."""
    folder = tmp_path / "raf-db-tiny"
    folder.mkdir()
    settings = {"network": "tiny", "seed": 3, "epochs": 2, "corpora": {"raf-db": 1.0}, "start": "random"}
    outcome = {"commit": "abc", "steps": 9, "best_step": 6, "seconds": 1.5, "parameters": 7}
    outcome |= {"versions": {"torch": "2"}, "held_out": {"raf-db_accuracy": 80.0, "score": 80.0}}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "run.json").write_text(json.dumps(outcome))
    answers = np.arange(40) % 6
    answers[30:] = (answers[30:] + 1) % 6
    np.savez(folder / "test.npz", **{"raf-db": (0.04 + 0.76 * np.eye(6)[answers]).astype(np.float16)})
    return folder


@pytest.fixture
def images(monkeypatch):
    labels, votes = torch.arange(40) % 6, torch.full((40, 10), torch.nan)
    sources = [f"{index:03d}.jpg" for index in range(40)]
    origins = {"corpora": ["raf-db"] * 40, "splits": ["test"] * 40, "subjects": [None] * 40}
    made = Crops([], labels, votes, sources, **origins)
    monkeypatch.setattr(import_run, "read_images", lambda *_: made)


def call(monkeypatch, *args):
    monkeypatch.setattr("sys.argv", ["import_run", *map(str, args)])
    return import_run.main()


def test_a_run_comes_in_with_its_settings_and_figures(run, images, tmp_path, monkeypatch):
    store = tmp_path / "store"
    options = ("--data", tmp_path, "--store", store, "--prefix", "table2-", "--machine", "a machine", "--recipe", "r")
    assert call(monkeypatch, run, *options) == 0
    assert call(monkeypatch, run, *options) == 0  # again: no row stands twice
    runs = pd.read_csv(store / "runs.csv")
    assert runs[["model", "machine", "commit", "held_out_accuracy"]].values.tolist() == [
        ["table2-tiny", "a machine", "abc", 0.8]
    ]
    assert json.loads(runs["settings"][0])["seed"] == 3
    results = read_store(store).results
    accuracy = results[(results["metric"] == "accuracy") & (results["subset"] == "full")]["value"]
    assert accuracy.tolist() == [30 / 40]
    (store / "published.csv").write_text((DEFAULT_STORE / "published.csv").read_text())
    (store / "curves.csv").write_text("model,step,minutes,corpus,metric,value,n\n")
    assert check_results(store) == []


def test_other_images_than_the_corpus_are_refused(run, images, tmp_path, monkeypatch, capsys):
    np.savez(run / "test.npz", **{"raf-db": np.full((39, 6), 1 / 6, np.float16)})
    assert call(monkeypatch, run, "--data", tmp_path, "--store", tmp_path / "store") == 2
    assert "39 rows for raf-db, which has 40 images" in capsys.readouterr().err
    (run / "run.json").unlink()
    assert call(monkeypatch, run, "--data", tmp_path, "--store", tmp_path / "store") == 2
    assert "no folder of a finished run" in capsys.readouterr().err


def test_every_network_of_the_paper_is_in_the_store():
    """With its parameters, which the paper's table gives too; and none of them is taken for a model of ours."""
    store = read_store()
    table = paper_table(store)
    assert len(table) == len(NETWORKS) == 10 and table["value"].notna().all()
    quoted = store.published.drop_duplicates("model").set_index("model")["parameters"]
    for row in table.itertuples():
        assert row.parameters == quoted[row.network], row.network
    assert not [name for name in order_models(store) if name.startswith("table2-")]
    runs = store.extras["runs"].set_index("model")
    assert set(runs.index) >= {f"table2-{network}" for network in NETWORKS.values()}
    assert runs["commit"].notna().all() and runs["machine"].notna().all()


def test_what_is_said_follows_from_the_predictions():
    store = read_store()
    found = {change.name: change for change in changes(store)}
    table = paper_table(store).set_index("network")["value"]
    gain = table["GiMeFive, 5 blocks, +BN +dropout"] - table["GiMeFive, 5 blocks, +BN"]
    assert found["dropout"].value == pytest.approx(gain)
    assert found["dropout"].published == pytest.approx(0.034)
    assert f"{100 * gain:+.1f} points" in found["dropout"].sentence and "does not hold" in found["dropout"].sentence
    assert found["dropout"].sentence in paper_networks(store)
    assert "rank correlation" in summary(store)


def test_verdicts():
    assert Change("a", 0.02, 0.01, 0.03, 0.001, 0.05).sentence.endswith("it holds")
    assert Change("a", -0.02, -0.03, -0.01, 0.001, 0.05).sentence.endswith("the sign is the other")
    assert Change("a", 0.02, -0.01, 0.05, 0.4, 0.05).sentence.endswith("cannot be told from chance here")


def test_augmentation_is_compared_once_both_runs_are_there(tmp_path):
    make_store(tmp_path, {"augmentation-on-10": 0.9})
    (tmp_path / "published.csv").write_text((DEFAULT_STORE / "published.csv").read_text())
    alone = read_store(tmp_path)
    assert augmentation_table(alone).empty and "nothing says whether that holds" in augmentation_sentence(alone)
    make_store(tmp_path, {"augmentation-on-10": 0.9, "augmentation-off-10": 0.5})
    (tmp_path / "published.csv").write_text((DEFAULT_STORE / "published.csv").read_text())
    store = read_store(tmp_path)
    table = augmentation_table(store).set_index(["source", "network"])
    assert table.loc["as published", "value"].tolist() == [0.725, 0.653]
    ours = table.loc["trained here, 10 passes"]
    assert (ours["low"] < ours["value"]).all() and (ours["n"] == 240).all()
    gain = 100 * (ours["value"].iloc[0] - ours["value"].iloc[1])
    assert f"augmentation, 10 passes: +7.2 points in the slides, {gain:+.1f} points [" in augmentation_sentence(store)
    assert augmentation_sentence(store).endswith("it holds.") and order_models(store) == []
