"""Tables between markers, and cards with metadata that huggingface_hub reads back."""

import itertools
import json
from dataclasses import asdict, replace

import pandas as pd
import pytest
from huggingface_hub import DatasetCard, ModelCard, SpaceCard

from evaluation.cards.audit_sentences import audit_sentences, count_rows, listed_rows
from evaluation.cards.markdown import percent
from evaluation.cards.model_tables import faithfulness, leakage, trusted_methods
from evaluation.cards.render import ROOT, dataset_card, fill_markers, model_card, read_corpora, render, stale_files
from evaluation.cards.tables import TABLES, headline
from evaluation.rows import update_results
from evaluation.store import hash_file, read_store
from tests.cases.results_cases import make_store
from training.loop.settings import make_settings


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    make_store(folder, {"gimefive": 0.8, "peer": 0.6, "cross-raf-db": 0.5})
    return read_store(folder)


def test_markers_are_filled_and_filling_again_changes_nothing(store):
    text = "before\n<!-- results:headline -->\nold\n<!-- /results:headline -->\nafter\n"
    once = fill_markers(text, store, "README.md")
    assert once.startswith("before\n<!-- results:headline -->\n")
    assert once.endswith("<!-- /results:headline -->\nafter\n")
    assert "old" not in once
    assert headline(store) in once
    assert fill_markers(once, store, "README.md") == once


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- results:nonsense --><!-- /results:nonsense -->", "no table 'nonsense'"),
        ("<!-- results:headline -->", "never closed"),
        ("<!-- /results:headline -->", "does not pair"),
        ("<!-- results:headline --><!-- /results:peers -->", "does not pair"),
        ("<!-- results:headline --><!-- results:peers -->", "does not pair"),
    ],
)
def test_bad_markers_are_named(store, text, message):
    with pytest.raises(ValueError, match=message):
        fill_markers(text, store, "README.md")


def test_headline_shows_value_interval_and_denominator(store):
    row = store.results.query(
        "model == 'gimefive' and metric == 'accuracy' and corpus == 'raf-db' and subset == 'full'"
    ).iloc[0]
    text = headline(store)
    assert f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" in text
    assert "RAF-DB test (240)" in text
    assert "cross-raf-db" not in text


def test_missing_is_a_dash_not_zero():
    assert percent(None) == "–"


@pytest.mark.parametrize("name", TABLES)
def test_every_table_survives_an_empty_store(tmp_path, name):
    text = TABLES[name](read_store(tmp_path))
    assert "no " in text
    assert "nan" not in text


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_rectangular(store, name):
    lines = [line for line in TABLES[name](store).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) <= 1


def test_model_card_metadata_is_read_back(store, tmp_path):
    card = ModelCard(model_card(store, "gimefive", None))
    assert card.data.model_name == "gimefive"
    by_corpus = {(r.dataset_type, r.metric_type): r for r in card.data.eval_results}
    row = store.results.query(
        "model == 'gimefive' and metric == 'accuracy' and corpus == 'raf-db' and subset == 'full'"
    ).iloc[0]
    assert by_corpus["raf-db", "accuracy"].metric_value == row["value"]
    for topic in ("AI Act", "Kuleshov", "Barrett", "Ekman", "non-commercial", "does emotion sell", "live camera"):
        assert topic.lower() in card.text.lower(), topic
    assert "{{" not in card.text


@pytest.mark.parametrize("corpus", read_corpora())
def test_dataset_cards(store, corpus):
    card = DatasetCard(dataset_card(store, corpus))
    assert card.data.license == "other"
    assert "consent" in card.text.lower()
    assert "{{" not in card.text


def test_render_names_stale_files(store, tmp_path):
    (tmp_path / "README.md").write_text("<!-- results:headline -->\n<!-- /results:headline -->\n")
    files = render(store, tmp_path)
    assert headline(store) in files[tmp_path / "README.md"]
    assert tmp_path / "cards" / "models" / "gimefive.md" in files


def test_every_bundled_model_of_ours_gets_a_card(tmp_path):
    make_store(tmp_path / "store", {"gimefive": 0.8, "gimefive-two": 0.7, "peer": 0.6})
    folder = tmp_path / "gimefive_hf" / "checkpoints" / "gimefive-two"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"temperature": 1.25, "architecture": "plain"}))
    (folder / "settings.json").write_text(json.dumps(asdict(make_settings({"seed": 7, "steps": 1575}, "test"))))
    run = {"training_images": {"raf-db": 9163}, "held_out_images": {"raf-db": 584}, "finished_step": 1575}
    run |= {"best_step": 1500, "held_out": {"raf-db_accuracy": 82.7}, "seconds": 7200, "threads": 2, "processes": 1}
    (folder / "run.json").write_text(json.dumps(run))
    files = render(read_store(tmp_path / "store"), tmp_path)
    card = files[folder / "README.md"]
    assert files[tmp_path / "cards" / "models" / "gimefive-two.md"] == card
    assert tmp_path / "cards" / "models" / "peer.md" not in files
    for part in (
        'from_pretrained("gimefive-two")',
        "# gimefive-two:",
        "9,163 images, 1,575 steps of",
        "raf-db 82.7 % of 584",
        "seed 7",
        "1.250",
        "Training took 2.0 hours",
        "about 0.06 kWh",
        "only gimefive-two right",
        "**Weakest spot:** of the 40 faces labelled",
    ):
        assert part in card, part
    assert "dlib" not in card  # only the flagship's network comes from there
    assert ModelCard(card).data.model_name == "gimefive-two"
    for line, following in itertools.pairwise(card.splitlines()):  # a table that text runs into swallows it
        assert not (line.startswith("|") and following and not following.startswith("|")), line


def test_audit_sentences_by_hand():
    audit = {
        "leaks": {"raf-db": {"images": 200, "leaked": 3, "kinds": {"near": 2, "exact": 1}}},
        "conflicts": {"by_corpus": {"raf-db": 0}},
        "faces": {"raf-db": {"looked_at": 50, "without_face": 5}},
        "counts": {"raf-db": {"train": {"fear": 5, "happiness": 1200}, "test": {"happiness": 7}}},
    }
    leaks, faces = audit_sentences(audit, "raf-db")
    assert leaks.startswith("3 of 200 (1.5 %) test images") and leaks.endswith("(near 2, exact 1).")
    assert "5 of 50 (10.0 %)" in faces
    assert audit_sentences(audit, "tfeid") == []
    header, rows = count_rows(audit, "raf-db")
    assert header == ["split", "images", "happiness", "fear"]
    assert rows == [["train", "1,205", "1,200", "5"], ["test", "7", "7", "0"]]
    audit["counts"]["fer2013"] = {"train": {"fear": 10, "neutral": 99}, "test": {"happiness": 2}}
    audit["counts"]["tfeid"] = {"train": {"fear": 1}, "test": {"happiness": 5}}
    _, rows = count_rows(audit, "aggregate")  # without neutral; its test is that of RAF-DB and FER2013
    assert [row[:3] for row in rows] == [["train", "1,216", "1,200"], ["validation", "0", "0"], ["test", "9", "9"]]


def test_split_lists_are_counted_where_there_was_no_audit(tmp_path):
    (tmp_path / "a.csv").write_text("corpus,source,split\na,1,test\na,2,train\na,3,train\n")
    assert listed_rows(tmp_path / "a.csv")[1] == [["train", "2"], ["test", "1"]]
    assert listed_rows(tmp_path / "none.csv")[1] == []


def test_leakage_counts_the_twins(store, tmp_path):
    make_store(tmp_path, {"gimefive": 0.8})
    leaked = pd.DataFrame({"corpus": "raf-db", "source": [f"raf-db/{i:03d}.jpg" for i in range(12)]})
    leaked.to_csv(tmp_path / "leaked_test_images.csv", index=False)
    update_results(tmp_path)
    text = leakage(read_store(tmp_path))
    assert "| RAF-DB | 240 | 12 (5.0 %) |" in text
    assert "of 228 |" in text
    assert "no list of leaked test images" in leakage(store)


def test_measurements_of_other_weights_are_named(store, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluation.queries.CHECKPOINTS", tmp_path)
    (tmp_path / "gimefive").mkdir()
    (tmp_path / "gimefive" / "model.safetensors").write_bytes(b"weights")
    row = {"model": "gimefive", "weights": hash_file(tmp_path / "gimefive" / "model.safetensors"), "method": "cam"}
    row |= {"gap": 0.3, "gap_low": 0.2, "gap_high": 0.4, "images": 5, "verdict": "invented"}
    now = replace(store, extras={"faithfulness": pd.DataFrame([row])})
    assert "earlier weights" not in faithfulness(now)
    old = replace(store, extras={"faithfulness": pd.DataFrame([row | {"weights": "0123"}])})
    assert "Measured on earlier weights of gimefive (0123)" in faithfulness(old)
    other = row | {"method": "saliency", "kind": "method", "verdict": "not shown to be better than edges"}
    both = pd.DataFrame([row | {"kind": "method", "verdict": "worth trusting"}, other])
    text = trusted_methods(replace(store, extras={"faithfulness": both}))
    assert text.endswith(f"faces of `gimefive` `{row['method']}` proved worth trusting; `saliency` did not.")


@pytest.mark.parametrize("space", ["demo", "explorer"])
def test_front_matter_of_the_spaces(space):
    """huggingface_hub reads it; the rest are the Hub's rules, whose own check needs the network."""
    card = SpaceCard.load(ROOT / "spaces" / space / "README.md")
    data = card.data
    assert data.sdk in ("gradio", "docker", "static")
    assert (data.sdk_version, data.app_file) != (None, None) if data.sdk == "gradio" else data.app_port == 8501
    colors = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {data.colorFrom, data.colorTo} <= colors
    assert len(data.short_description) <= 60
    assert data.title and len(data.emoji) == 1
    assert data.license in ("apache-2.0", "other")
    assert data.license != "other" or data.license_name


def test_readmes_and_cards_are_those_of_the_store():
    """The repository's own files; `python -m evaluation.cards.render` mends them."""
    stale = stale_files(render(read_store()))
    assert [path.relative_to(ROOT).as_posix() for path in stale] == []


def test_a_changed_card_is_stale(store, tmp_path):
    files = render(store, tmp_path)
    assert stale_files(files) == list(files)  # nothing written yet
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert stale_files(files) == []
    card = tmp_path / "cards" / "models" / "gimefive.md"
    card.write_text(card.read_text().replace("%", "percent", 1))
    assert stale_files(files) == [card]
