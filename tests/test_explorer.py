"""Every page of the explorer: with results, with a broken store, with an empty one; choices that a link carries."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip(
    "streamlit", reason="the explorer's own requirement: pip install -r spaces/explorer/requirements.txt"
)
from streamlit.testing.v1 import AppTest

from gimefive_hf import command_explorer
from gimefive_hf.results import CURVE_COLUMNS, write_curves

from .results_cases import make_store

EXPLORER = Path(__file__).parents[1] / "spaces" / "explorer"
PAGES = sorted(path.stem for path in EXPLORER.glob("page_*.py"))
WITH_STORE = [name for name in PAGES if name != "page_try_it"]


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    make_store(folder, {"gimefive": 0.8, "peer": 0.6, "cross-raf-db": 0.5}, corrupted=True)
    rows = [["gimefive", step, step / 10, "raf-db", "accuracy", 0.5 + step / 1000] for step in (100, 200)]
    write_curves(folder, pd.DataFrame(rows, columns=CURVE_COLUMNS))
    faithfulness = {"model": "gimefive", "method": "cam", "kind": "method", "images": 50, "verdict": "invented"}
    faithfulness |= {"gap": 0.3, "gap_low": 0.2, "gap_high": 0.4}
    pd.DataFrame([faithfulness]).to_csv(folder / "faithfulness.csv", index=False)
    share = {"model": "gimefive", "corpus": "all", "method": "cam", "share": 0.4, "share_low": 0.3, "share_high": 0.5}
    share |= {"area": 0.2, "images": 50}
    cells = [share | {"emotion": e, "region": r} for e in ("happiness", "all") for r in ("mouth", "eyes")]
    pd.DataFrame(cells).to_csv(folder / "attention.csv", index=False)
    curve = {"model": "gimefive", "method": "cam", "curve": "deletion", "low": 0.1, "high": 0.9, "images": 50}
    points = [curve | {"fraction": fraction, "probability": 1 - fraction} for fraction in (0.0, 0.5, 1.0)]
    pd.DataFrame(points).to_csv(folder / "faithfulness_curves.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def explorer(monkeypatch, store_folder, tmp_path):
    monkeypatch.syspath_prepend(str(EXPLORER))
    monkeypatch.setenv("GIMEFIVE_STORE", str(store_folder))
    monkeypatch.setenv("GIMEFIVE_CORPORA", str(tmp_path / "none"))


def open_page(name: str, **query) -> AppTest:
    app = AppTest.from_file(str(EXPLORER / f"{name}.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.title, *app.subheader]
    return "\n".join(str(part.value) for part in parts)


# What each page says about the invented store: charts, and a text with a denominator.
EXPECTED = {
    "page_attention": (3, "Mean over 50 test images"),
    "page_calibration": (2, "300 images in"),
    "page_classes": (2, "300 images"),
    "page_compare": (1, "shared images"),
    "page_cross_dataset": (1, "number of test images n"),
    "page_failures": (0, "of 240 test images"),
    "page_fairness": (3, "24 images of"),
    "page_overview": (1, "RAF-DB 240, FER2013 60"),
    "page_robustness": (2, "30 evenly drawn images per point, 240 at strength 0"),
    "page_training": (1, "2 evaluations, up to step 200"),
}


@pytest.mark.parametrize("name", WITH_STORE)
def test_page_shows_charts_with_denominators(name):
    charts, text = EXPECTED[name]
    app = open_page(name)
    assert not app.exception, app.exception
    assert len(app.get("plotly_chart")) == charts
    assert text in texts(app)


@pytest.mark.parametrize("name", WITH_STORE)
def test_empty_store_says_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GIMEFIVE_STORE", str(tmp_path))
    app = open_page(name)
    assert not app.exception, app.exception
    assert "training.evaluate" in str(app.info[0].value)


@pytest.mark.parametrize("name", ["page_overview", "page_compare", "page_robustness"])
def test_partial_store_names_the_fault_and_shows_the_rest(name, tmp_path, monkeypatch):
    make_store(tmp_path, {"gimefive": 0.8, "peer": 0.6})
    path = tmp_path / "predictions" / "peer.parquet"
    path.write_bytes(path.read_bytes()[:50])
    monkeypatch.setenv("GIMEFIVE_STORE", str(tmp_path))
    app = open_page(name)
    assert not app.exception, app.exception
    assert "peer.parquet is not a whole Parquet file" in texts(app)


def test_a_link_carries_the_choice():
    app = open_page("page_classes", model="peer", corpus="FER2013")
    assert app.selectbox(key="model").value == "peer"
    assert app.selectbox(key="corpus").value == "FER2013"


def test_a_wrong_link_falls_back():
    app = open_page("page_classes", model="nobody")
    assert not app.exception
    assert app.selectbox(key="model").value == "gimefive"


def test_overview_names_the_weakest_spots():
    text = texts(open_page("page_overview"))
    for part in ("Test split:", "Class:", "Confusion:", "Corruption:", "of 40 images"):
        assert part in text, text


def test_compare_gives_mcnemar():
    app = open_page("page_compare")
    labels = [metric.label for metric in app.metric]
    assert labels == ["only gimefive right", "only peer right", "McNemar's exact p"]


def test_failures_without_corpora_show_names_only():
    app = open_page("page_failures")
    assert "not on this machine" in texts(app)
    assert len(app.dataframe) == 1


def test_try_it_waits_for_a_photo_or_a_model():
    app = open_page("page_try_it")
    assert not app.exception
    assert len(app.info) == 1


def test_app_lists_every_page():
    app = AppTest.from_file(str(EXPLORER / "app.py"), default_timeout=60).run()
    assert not app.exception, app.exception
    listed = runpy.run_path(str(EXPLORER / "app.py"), run_name="listing")["PAGES"]
    assert {f"page_{name}" for name in listed} == set(PAGES)


def test_front_matter_of_the_space():
    text = (EXPLORER / "README.md").read_text()
    assert text.startswith("---\n")
    for line in ("sdk: docker", "app_port: 8501"):
        assert line in text.split("---")[1]


def test_command_refuses_a_missing_store(tmp_path):
    import argparse

    parser = argparse.ArgumentParser()
    command_explorer.add_arguments(parser)
    with pytest.raises(ValueError, match="no folder"):
        command_explorer.run(parser.parse_args(["--store", str(tmp_path / "none")]))


def test_command_starts_streamlit(tmp_path, monkeypatch):
    import argparse
    import subprocess

    started = {}

    def run(command, env, cwd):
        started.update(command=command, env=env, cwd=cwd)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(command_explorer.subprocess, "run", run)
    parser = argparse.ArgumentParser()
    command_explorer.add_arguments(parser)
    assert command_explorer.run(parser.parse_args(["--store", str(tmp_path), "--port", "1234", "--no-browser"])) == 0
    assert started["command"][:4] == [sys.executable, "-m", "streamlit", "run"]
    assert "--server.port=1234" in started["command"]
    assert started["env"]["GIMEFIVE_STORE"] == str(tmp_path)
