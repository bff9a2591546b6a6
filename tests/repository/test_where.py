"""docs/WHERE.md: its recipes work, and it names a home for everything. (The corpus's recipe: test_corpora_docs.)"""

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gimefive_hf import ExpressionRecognizer, GiMeFiveForImageClassification, explain_face
from gimefive_hf.explain import METHODS, explain
from tests.cases.tiny_corpora import write_corpora
from tests.training.test_train import TINY
from training.networks.catalogue import NETWORKS
from training.train import main as train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "WHERE.md").read_text()


def recipe(name: str) -> str:
    return re.search(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_a_method(monkeypatch, tiny_checkpoint, astronaut):
    module = ModuleType("gimefive_hf.explain.brightness")
    exec(compile(recipe("method"), "WHERE.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(METHODS, "brightness", ("brightness", "brightness"))
    recognizer = ExpressionRecognizer.from_pretrained(tiny_checkpoint)
    (face,) = recognizer(astronaut)
    found = explain_face(recognizer, face, method="brightness")
    inputs = recognizer.pixel_values([face.crop.image])
    light = inputs[0].mean(0).numpy()
    assert np.unravel_index(found.heat.argmax(), found.heat.shape) == np.unravel_index(light.argmax(), light.shape)
    np.testing.assert_array_equal(explain(recognizer.model, inputs, "brightness")[0], found.heat)


def test_a_network(tmp_path):
    try:
        exec(compile(recipe("network"), "WHERE.md", "exec"), {})
        data, out = write_corpora(tmp_path / "data"), tmp_path / "run"
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps(TINY | {"network_options": {}}))
        places = {"--recipe": settings, "--data": data, "--cache": tmp_path / "cache", "--out": out}
        flags = [str(word) for pair in places.items() for word in pair]
        assert train([*flags, "--network", "gimefive-tiny"]) == 0
    finally:
        NETWORKS.pop("gimefive-tiny", None)
    model = GiMeFiveForImageClassification.from_pretrained(out / "model")
    assert model.config.widths == [8, 16]
    assert model(torch.zeros(1, model.config.num_channels, 32, 32)).logits.shape == (1, 6)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:gimefive_hf|training|evaluation|spaces)/[\w/.]+)`", PAGE)))
)
def test_the_homes_exist(path):
    if "NAME" not in path and path != "gimefive_hf/explain/brightness.py":
        assert (ROOT / path).exists()


def test_every_package_says_what_lives_there():
    for top in ("gimefive_hf", "evaluation", "training"):
        for folder in sorted({path.parent for path in (ROOT / top).rglob("*.py")}):
            if "checkpoints" not in folder.parts:
                line = (folder / "__init__.py").read_text().strip()
                assert line.startswith('"""'), f"{folder.relative_to(ROOT)} does not say what lives there"


def test_what_make_quick_runs_exists():
    chosen = re.search(r"^QUICK := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1).split()
    assert chosen
    assert [name for name in chosen if not (ROOT / "tests" / f"{name}.py").is_file()] == []
