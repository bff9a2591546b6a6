"""docs/CORPORA.md does what it says: its example adds a corpus in at most 30 lines, and its Python runs."""

import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.cases import corpus_layouts as layouts
from tests.training.test_train import TINY
from training.corpora import CORPORA, Corpus, load_corpus, prepare_corpus
from training.measuring import evaluate
from training.train import main as train

ROOT = Path(__file__).parents[2]
EXPLORER = ROOT / "spaces" / "explorer"
PAGE = (ROOT / "docs" / "CORPORA.md").read_text()


@pytest.fixture
def kdef(tmp_path, monkeypatch):
    """The folder of a tiny KDEF, which the page's example has added."""
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    assert len(code.splitlines()) <= 30
    exec(compile(code, "CORPORA.md", "exec"), {})
    codes = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    files = {
        f"KDEF/{sex}F{i:02}/{sex}F{i:02}{code}{view}.JPG": layouts.picture(f"{sex}{i}{code}")
        for sex in "AB"
        for i in range(1, 5)
        for code in codes
        for view in ("S", "HL")
    }
    layouts.zipped(tmp_path / "kdef.zip", files | {"KDEF/about.txt": "KDEF"})
    yield tmp_path
    del CORPORA["kdef"]


def test_add_a_corpus(kdef):
    splits = load_corpus("kdef", kdef, kdef / "cache")
    assert sum(len(dataset) for dataset in splits.values()) == 56
    found = {}
    for split, dataset in splits.items():
        for row in dataset:
            found.setdefault(row["subject"], set()).add(split)
            expected = {"AF": "fear", "SU": "surprise", "NE": "neutral"}.get(row["source"][-7:-5])
            assert expected in (None, dataset.features["label"].int2str(row["label"]))
    assert len(found) == 8
    assert all(len(of_subject) == 1 for of_subject in found.values())
    problems = prepare_corpus("kdef", kdef, kdef / "cache").problems
    assert len(problems) == 57
    assert sum("straight" in problem.reason for problem in problems) == 56


def test_an_added_corpus_is_trained_on_evaluated_and_explored(kdef, monkeypatch, capsys):
    """By the commands and the page that everybody uses; nothing but the page's example knows of the corpus."""
    monkeypatch.setenv("GIMEFIVE_CACHE", str(kdef / "cache"))
    # by the seeded rule nobody of eight is held out for validation, so all eight are put where they are needed
    parts = {"AF01": "test", "AF02": "test", "BF01": "validation"}
    monkeypatch.setattr("training.corpora.splits.SplitList.by_rule", lambda *given: parts.get(given[1], "train"))
    recipe = kdef / "tiny.json"
    recipe.write_text(json.dumps(TINY | {"corpora": {"kdef": 1.0}, "held_out": ["kdef"], "neutral": "drop"}))
    run, store = kdef / "run", kdef / "store"
    assert train(["--recipe", str(recipe), "--data", str(kdef), "--out", str(run)]) == 0
    options = ["--data", str(kdef), "--store", str(store), "--corpora", "kdef"]
    assert evaluate.main(["--model", str(run / "model"), "--name", "gimefive", *options]) == 0
    assert "kdef test full aligned 6 classes" in capsys.readouterr().out
    monkeypatch.setenv("GIMEFIVE_STORE", str(store))
    monkeypatch.syspath_prepend(str(EXPLORER))
    page = AppTest.from_file(str(EXPLORER / "views" / "mistakes" / "classes.py"), default_timeout=60).run()
    assert not page.exception
    assert page.sidebar.selectbox(key="corpus").options == ["KDEF, posed"]
    assert "12 images" in "\n".join(str(part.value) for part in page.caption)


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"splits": ("test",)}, "train, but no train split; select, but no validation split"),
        ({"splits": ("exam",), "train": False, "select": False, "test": False}, "splits"),
        ({"setting": "posing"}, "setting 'posing'; expected one of 'wild', 'posed', ''"),
        ({"groups": {"female": "f"}}, "groups, but no subjects"),
        ({"subjects": "kdef", "subject_pattern": "[A-Z]+"}, "without exactly one group"),
        ({"name": "../etc"}, "small letters"),
    ],
)
def test_a_record_that_contradicts_itself(facts, fault):
    with pytest.raises(ValueError, match="the record of corpus") as error:
        Corpus(**{"name": "kdef", "read": print} | facts)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_python_of_the_page(tmp_path, monkeypatch):
    """The block that loads, on tiny copies of the corpora that it names."""
    monkeypatch.setenv("GIMEFIVE_CACHE", str(tmp_path / "cache"))
    layouts.zipped(tmp_path / "raf-db.zip", layouts.raf_kaggle(4))
    layouts.write(tmp_path / "tfeid", layouts.tfeid())
    code = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "load_aggregate" in block)
    names = {"root": tmp_path}
    exec(compile(code, "CORPORA.md", "exec"), names)
    assert names["crops"].images.shape[1:] == (3, 64, 64)
    assert names["both"]["train"].features["label"].names[-1] == "neutral"
    assert next(iter(names["stream"]["test"]))["corpus"] == "raf-db"


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_is_on_the_page(name):
    assert f"`{name}`" in PAGE
