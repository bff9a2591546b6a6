"""The benchmarks that the README names run with one call each and write their page."""

import sys

import pytest
from PIL import Image

import benchmarks.latency
import benchmarks.score
from benchmarks import measuring


@pytest.mark.slow  # three files are exported for each, and every runtime is timed
@pytest.mark.parametrize("module", [benchmarks.latency, benchmarks.score])
def test_one_call_writes_the_page(module, astronaut, tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "HERE", tmp_path)
    for number in range(16):
        path = tmp_path / "crops" / ("anger" if number % 2 else "fear") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(astronaut[40 + number : 210, 140:310]).save(path)
    call = ["x", "--crops", str(tmp_path / "crops"), "--model", str(tiny_checkpoint)]
    call += ["--runs", "2"] if module is benchmarks.latency else ["--repeats", "1"]
    monkeypatch.setattr(sys, "argv", call)
    module.main()
    name = module.__name__.split(".")[1]
    page = (tmp_path / f"RESULTS-{name}.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 7 + (name == "score"), page
    assert "`tiny` (weights " in page
    assert "logits are averaged: 1)" in page
