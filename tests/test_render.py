"""Tables between markers, and cards with metadata that huggingface_hub reads back."""

import pytest
from huggingface_hub import DatasetCard, ModelCard

from gimefive_hf.results import read_store
from training.render import ROOT, dataset_card, fill_markers, model_card, read_corpora, render, stale_files
from training.tables import TABLES, headline, percent

from .results_cases import make_store


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


def test_readmes_and_cards_are_those_of_the_store():
    """The repository's own files; `python -m training.render` mends them."""
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
