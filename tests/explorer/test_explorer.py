"""Every page of the explorer: with results, with a broken store, with an empty one; choices that a link carries."""

import io
import json
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytest.importorskip(
    "streamlit", reason="the explorer's own requirement: pip install -r spaces/explorer/requirements.txt"
)
import streamlit
from streamlit.elements.lib import streamlit_plotly_theme
from streamlit.testing.v1 import AppTest

from evaluation.analyses.weak_spots import weak_spots, worst_corruption
from evaluation.queries import aligned_predictions, right_of
from evaluation.rows import update_results
from evaluation.store import CURVE_COLUMNS, read_store, write_curves, write_predictions
from gimefive_hf.commands import explorer as command_explorer
from gimefive_hf.emotions import EMOTIONS
from tests.cases.results_cases import make_facts, make_predictions, make_store
from tests.cases.servers import free_port, streamlit_answers

EXPLORER = Path(__file__).parents[2] / "spaces" / "explorer"
PAGES = {path.stem: path for path in sorted(EXPLORER.glob("views/*/[!_]*.py"))}
WITH_STORE = [name for name in PAGES if name != "try_it"]


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    models = {"gimefive": 0.8, "peer": 0.6, "table2-gimefive-5": 0.5, "table2-gimefive-5-bn": 0.7}
    make_store(folder, models | {"cross-raf-db": 0.5, "cross-trained-raf-db": 0.6}, corrupted=True)
    small = make_predictions("raf-db", 20, "test", "detected/scene-48", 0.5)
    write_predictions(folder, make_facts("gimefive"), small.assign(face_found=small.index < 15))
    update_results(folder, ["gimefive"])
    rows = [["gimefive", step, step / 10, "raf-db", "accuracy", 0.5 + step / 1000, 50] for step in (100, 200)]
    write_curves(folder, pd.DataFrame(rows, columns=CURVE_COLUMNS))
    faithfulness = {"model": "gimefive", "method": "cam", "kind": "method", "images": 50, "verdict": "invented"}
    faithfulness |= {"gap": 0.3, "gap_low": 0.2, "gap_high": 0.4}
    pd.DataFrame([faithfulness]).to_csv(folder / "faithfulness.csv", index=False)
    share = {"model": "gimefive", "corpus": "all", "method": "cam", "share": 0.4, "share_low": 0.3, "share_high": 0.5}
    share |= {"area": 0.2, "images": 50}
    arrays = {"maps": np.full((1, 6, 8, 8), 0.5, np.float32), "counts": np.full((1, 6), 9), "corpora": ["raf-db"]}
    np.savez_compressed(folder / "attention_gimefive.npz", **arrays, landmarks=np.full((68, 2), 4.0))
    failures = aligned_predictions(read_store(folder), "gimefive", ["raf-db"])
    failures = failures[~right_of(failures)].head(3)
    names = np.array(EMOTIONS)[failures[list(EMOTIONS)].to_numpy().argmax(1)]
    rows = {"model": "gimefive", "kind": "confident mistake", "corpus": "raf-db", "source": failures["source"]}
    rows |= {"label": failures["label"], "predicted": names, "probability": failures[list(EMOTIONS)].max(axis=1)}
    rows |= {"label_probability": 0.1, "evidence": "invented", "reason": "the mouth", "images": 240, "map": range(3)}
    pd.DataFrame(rows).to_csv(folder / "failures.csv", index=False)
    np.savez_compressed(folder / "failures_gimefive.npz", maps=np.zeros((3, 2, 28, 28), np.uint8))
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
    app = AppTest.from_file(str(PAGES[name]), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.title, *app.subheader]
    return "\n".join(str(part.value) for part in parts)


# What each page says about the invented store: charts, and a text with a denominator.
EXPECTED = {
    "attention": (6, "Mean over 50 test images"),
    "calibration": (3, "300 images in"),
    "classes": (2, "300 images"),
    "compare": (1, "shared images"),
    "cross_dataset": (4, "number of test images n"),
    "deployed": (3, "20 images a row"),
    "failures": (1, "The 3 clearest of 3 stored, out of 240 test images"),
    "fairness": (3, "24 images of"),
    "labels": (0, "The store has no FER+ votes"),
    "overview": (1, "RAF-DB 240, FER2013 60"),
    "paper_table": (2, "240 images of RAF-DB. Filled: measured here"),
    "robustness": (1, "the same 30 evenly drawn images at every point"),
    "training": (1, "up to step 200, 0.3 hours of training. Held-out images: RAF-DB 50; bars: 95 % Wilson"),
}


@pytest.mark.parametrize("name", WITH_STORE)
def test_page_shows_charts_with_denominators(name):
    charts, text = EXPECTED[name]
    app = open_page(name)
    assert not app.exception, app.exception
    assert len(app.get("plotly_chart")) == charts
    assert text in texts(app)
    for chart in app.get("plotly_chart"):  # each says its result to those who do not see it
        assert re.search(r"\d", chart.proto.alt) or "average map" in chart.proto.alt, chart.proto.alt


@pytest.mark.parametrize("name", WITH_STORE)
def test_empty_store_says_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GIMEFIVE_STORE", str(tmp_path))
    app = open_page(name)
    assert not app.exception, app.exception
    assert "training.measuring.evaluate" in str(app.info[0].value)


@pytest.mark.parametrize(("asked", "shown"), [("peer", "peer"), ("nobody", "gimefive")])
def test_a_link_carries_the_choice_and_a_wrong_one_falls_back(asked, shown):
    app = open_page("classes", model=asked, corpus="FER2013")
    assert not app.exception
    assert app.selectbox(key="model").value == shown
    assert app.selectbox(key="corpus").value == "FER2013"


def test_overview_names_the_weakest_spots():
    text = texts(open_page("overview"))
    for part in (
        "Weakest spot:** of the 40 faces labelled",
        "Worst corruption:** jpeg at strength 5",
        "Lowest accuracy:",
    ):
        assert part in text, text


def test_compare_gives_mcnemar():
    app = open_page("compare")
    labels = [metric.label for metric in app.metric]
    assert labels == ["only gimefive right", "only peer right", "McNemar's exact p"]


def test_failures_without_corpora_show_names_only():
    app = open_page("failures")
    assert "not on this machine" in texts(app)
    assert len(app.dataframe) == 1
    assert len(app.get("image")) == 3  # heat maps alone


def test_failures_with_corpora_show_pictures(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "raf-db.zip", "w") as archive:
        for number in range(240):
            content = io.BytesIO()
            Image.new("RGB", (8, 8), (number, 90, 200)).save(content, "PNG")
            archive.writestr(f"raf-db/{number:03d}.jpg", content.getvalue())
    monkeypatch.setenv("GIMEFIVE_CORPORA", str(tmp_path))
    app = open_page("failures")
    assert not app.exception, app.exception
    assert "not on this machine" not in texts(app)
    assert [len(shown.proto.imgs) for shown in app.get("image")] == [3, 3, 3]  # picture, answer's heat, label's heat


def test_failures_of_other_weights_are_named(store_folder, tmp_path, monkeypatch):
    shutil.copytree(store_folder, tmp_path / "store")
    table = pd.read_csv(tmp_path / "store" / "failures.csv")
    table.assign(probability=table["probability"] / 2).to_csv(tmp_path / "store" / "failures.csv", index=False)
    (tmp_path / "store" / "failures_gimefive.npz").write_bytes(b"PK")
    monkeypatch.setenv("GIMEFIVE_STORE", str(tmp_path / "store"))
    app = open_page("failures")
    assert not app.exception, app.exception
    assert "explained with other weights" in texts(app)
    assert "failures_gimefive.npz is not a whole file" in texts(app)


def test_attention_of_two_models_is_compared(store_folder, tmp_path, monkeypatch):
    shutil.copytree(store_folder, tmp_path / "store")
    table = pd.read_csv(tmp_path / "store" / "attention.csv")
    both = pd.concat([table, table.assign(model="peer")])
    both.to_csv(tmp_path / "store" / "attention.csv", index=False)
    shutil.copy(tmp_path / "store" / "attention_gimefive.npz", tmp_path / "store" / "attention_peer.npz")
    monkeypatch.setenv("GIMEFIVE_STORE", str(tmp_path / "store"))
    app = open_page("attention", other="peer")
    assert not app.exception, app.exception
    figure = json.loads(app.get("plotly_chart")[-1].proto.spec)
    assert len([trace for trace in figure["data"] if trace["type"] == "heatmap"]) == 3 * 6
    assert "peer: happiness 9" in texts(app)


@pytest.mark.parametrize("name", WITH_STORE)
def test_a_store_with_all_kinds_of_faults_is_shown_as_far_as_it_goes(name, store_folder, tmp_path, monkeypatch):
    store = tmp_path / "store"
    shutil.copytree(store_folder, store)
    peer = store / "predictions" / "peer.parquet"
    peer.write_bytes(peer.read_bytes()[:-20])
    lines = (store / "results.csv").read_text().splitlines()
    kept = [line for line in lines if not ("confusion" in line and "fear>anger" in line)]
    (store / "results.csv").write_text("\n".join([*kept, kept[5], kept[-1][:60]]))
    (store / "published.csv").write_text("nonsense\n1\n")
    (store / "faithfulness.csv").write_text("")
    monkeypatch.setenv("GIMEFIVE_STORE", str(store))
    app = open_page(name)
    assert not app.exception, app.exception
    for fault in (
        "peer.parquet is not",
        "rows are cut off",
        "rows are duplicates",
        "'peer', of which",
        "published.csv",
        "faithfulness.csv is not",
    ):
        assert fault in texts(app), fault
    assert len(app.get("plotly_chart")) >= (name not in ("compare", "labels"))


def test_try_it_waits_for_a_photo_or_a_model():
    app = open_page("try_it")
    assert not app.exception
    assert len(app.info) == 1


def test_app_lists_every_page():
    app = AppTest.from_file(str(EXPLORER / "app.py"), default_timeout=60).run()
    assert not app.exception, app.exception
    listed = runpy.run_path(str(EXPLORER / "app.py"), run_name="listing")["PAGES"]
    assert {name: folder for folder, pages in listed.items() for name in pages} == {
        name: path.parent.name for name, path in PAGES.items()
    }


def test_command_refuses_a_missing_store(tmp_path):
    import argparse

    parser = argparse.ArgumentParser()
    command_explorer.add_arguments(parser)
    with pytest.raises(ValueError, match="no folder"):
        command_explorer.run(parser.parse_args(["--store", str(tmp_path / "none")]))


def seconds_of_requests(port: int, count: int) -> Iterator[float]:
    """How long each of some small files takes on one connection."""
    script = next(Path(streamlit.__file__).parent.glob("static/static/js/isSymbol.*.js"))
    connection = HTTPConnection("127.0.0.1", port)
    for _ in range(count):
        start = time.perf_counter()
        connection.request("GET", f"/static/js/{script.name}")
        assert connection.getresponse().read() == script.read_bytes()
        yield time.perf_counter() - start
    connection.close()


def test_command_starts_streamlit_and_ends_with_it(tmp_path):
    """What a process manager does: SIGTERM to the command ends the server too."""
    port = free_port()
    command = [sys.executable, "-m", "gimefive_hf.cli", "explorer", "--store", str(tmp_path), "--port", str(port)]
    process = subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert streamlit_answers(port, process), process.communicate()[0]
        environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        assert f"GIMEFIVE_STORE={tmp_path}".encode() in environment
        assert np.median(list(seconds_of_requests(port, 20))) < 0.035  # Nagle's algorithm makes 0.044 of each
        process.terminate()
        process.wait(30)
        with socket.create_server(("127.0.0.1", port)):
            pass  # nobody holds the port any more
    finally:
        process.kill()
        process.communicate()


def test_every_weak_spot_links_to_its_own_images():
    """What makes a spot stands in its link, and the page that it opens shows those images and no others."""
    app = open_page("overview")
    spots = {
        name: next(p.value for p in (*app.error, *app.markdown) if f"**{name}:**" in p.value)
        for name in ("Weakest spot", "Worst corruption", "Lowest accuracy")
    }
    queries = {
        name: dict(parse_qsl(urlsplit(re.search(r"\((failures\?[^)]+)\)", text)[1]).query))
        for name, text in spots.items()
    }
    query = queries["Weakest spot"]
    assert set(query) == {"model", "corpus", "label", "predicted"}
    wrong = open_page("failures", **query).dataframe[-1].value
    assert set(wrong["label"]) == {query["label"]} and set(wrong["predicted"]) == {query["predicted"]}
    assert f"labelled {query['label']} in the test split of {query['corpus']}" in spots["Weakest spot"]
    assert f"({len(wrong)}) for {query['predicted']}" in spots["Weakest spot"]
    assert queries["Worst corruption"]["images"] == "jpeg, strength 5 of 5"
    app = open_page("failures", **queries["Worst corruption"])
    accuracy, images = re.search(r"accuracy of ([\d.]+) % .* of (\d+) images", spots["Worst corruption"]).groups()
    assert len(app.dataframe[-1].value) == round(int(images) * (1 - float(accuracy) / 100))
    assert set(queries["Lowest accuracy"]) == {"model", "corpus"}
    assert queries["Lowest accuracy"]["corpus"] in spots["Lowest accuracy"]


def test_filters_also_filter_the_explained(store_folder):
    explained = pd.read_csv(store_folder / "failures.csv")
    chosen = explained.iloc[0]
    app = open_page("failures", corpus="RAF-DB", label=chosen["label"], predicted=chosen["predicted"])
    cards = [part.value for part in app.markdown if "taken for **" in part.value]
    assert cards and all(f"**{chosen['label']}**, taken for **{chosen['predicted']}**" in card for card in cards)
    label = next(name for name in EMOTIONS if name not in set(explained["label"]))
    assert "has been explained" in texts(open_page("failures", corpus="RAF-DB", label=label))


def test_a_corruption_is_compared_on_the_same_images(store_folder):
    store = read_store(store_folder)
    row = worst_corruption(store, "gimefive")
    drawn = store.predictions[
        (store.predictions["model"] == "gimefive") & (store.predictions["protocol"] == row["protocol"])
    ]
    aligned = aligned_predictions(store, "gimefive", [row["corpus"]]).set_index("source").loc[drawn["source"]]
    expected = 100 * right_of(aligned.reset_index()).mean()
    assert f"({expected:.1f} % of the same images as given)" in weak_spots(store, "gimefive")["Worst corruption"]


def test_leaderboard_tells_measured_from_quoted_and_keeps_numbers():
    board = open_page("overview").dataframe[0].value
    assert board["model"].tolist() == ["gimefive", "peer", "gamma"]
    assert board["source"].tolist() == ["●", "●", "◇"]
    assert board["RAF-DB accuracy"].dtype == float and board["RAF-DB accuracy"].iloc[2] == 86.5
    assert np.isnan(board["milliseconds"]).all()  # nobody has measured it


def test_maps_keep_infernos_colours_and_their_shape(monkeypatch):
    monkeypatch.syspath_prepend(str(EXPLORER))
    charts = runpy.run_path(str(EXPLORER / "parts" / "charts.py"))
    figure = charts["face_maps"]({"a": np.zeros((2, 8, 8))}, ["x", "y"], np.full((68, 2), 4.0), "title")
    replaced = Path(streamlit_plotly_theme.__file__).read_text()  # the colours that Streamlit's theme puts others for
    assert "#000004" in replaced
    assert not [color for _, color in figure.data[0].colorscale if color.lower() in replaced.lower()]
    assert figure.layout.yaxis.scaleanchor == "x" and figure.layout.yaxis2.scaleanchor == "x2"
