"""docs/CORPORA.md does what it says: its example adds a corpus in at most 30 lines, and its Python runs."""

import re
from pathlib import Path

import pytest

from tests import corpus_layouts as layouts
from training.corpora import CORPORA, load_corpus, prepare_corpus

PAGE = (Path(__file__).parents[1] / "docs" / "CORPORA.md").read_text()


def test_add_a_corpus(tmp_path, monkeypatch):
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    assert len(code.splitlines()) <= 30
    monkeypatch.setattr("training.corpora.catalogue.CORPORA", dict(CORPORA))
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
    splits = load_corpus("kdef", tmp_path, tmp_path / "cache")
    assert sum(len(dataset) for dataset in splits.values()) == 56
    found = {}
    for split, dataset in splits.items():
        for row in dataset:
            found.setdefault(row["subject"], set()).add(split)
            expected = {"AF": "fear", "SU": "surprise", "NE": "neutral"}.get(row["source"][-7:-5])
            assert expected in (None, dataset.features["label"].int2str(row["label"]))
    assert len(found) == 8
    assert all(len(of_subject) == 1 for of_subject in found.values())
    problems = prepare_corpus("kdef", tmp_path, tmp_path / "cache").problems
    assert len(problems) == 57
    assert sum("straight" in problem.reason for problem in problems) == 56


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
