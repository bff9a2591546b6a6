"""How alike average heat maps are, on maps of which that is known."""

import numpy as np
import pandas as pd
import pytest

from evaluation.analyses.average_maps import likeness, likeness_sentence, likeness_table, mean_maps
from evaluation.store import Store

from .results_cases import make_facts


def arrays(maps: np.ndarray, counts: tuple[int, int] = (30, 10)) -> dict[str, np.ndarray]:
    """Of two corpora: `maps` (6, side, side) on the first, nothing but zeros on the second."""
    both = np.stack([maps, np.zeros_like(maps)])
    return {"maps": both, "counts": np.repeat(np.array(counts)[:, None], 6, 1), "corpora": np.array(["raf-db", "ck48"])}


def test_every_image_counts_the_same():
    maps, images = mean_maps(arrays(np.ones((6, 2, 2))), ["raf-db", "ck48"])
    assert (maps == 0.75).all() and images.tolist() == [40] * 6


def test_likeness_is_a_correlation_and_unknown_for_a_flat_map():
    ramp = np.tile(np.arange(4.0).reshape(2, 2), (6, 1, 1))
    other = ramp * 0.1 + 5
    other[1], other[2] = -ramp[1], 1
    found = likeness(ramp, other)
    assert found[[0, 1, 3]] == pytest.approx([1, -1, 1]) and np.isnan(found[2])


def test_the_sentence_tells_same_corpora_from_others():
    ramp = np.tile(np.arange(4.0).reshape(2, 2), (6, 1, 1))
    turned = ramp.copy()
    turned[5] = -ramp[5]
    maps = {"a": ramp, "b": ramp * 2, "c": turned}
    models = {name: make_facts(name) for name in maps}
    models["c"] = make_facts("c", trained_on="fer2013")
    empty = pd.DataFrame()
    store = Store(predictions=empty, results=empty, published=empty, curves=empty, models=models, problems=[])
    table = likeness_table(store, {name: arrays(m) for name, m in maps.items()}, ["raf-db"])
    assert table["same"].tolist() == [True, False, False] and table["n"].tolist() == [180] * 3
    assert table["value"].tolist() == pytest.approx([1, 4 / 6, 4 / 6])
    assert table["lowest_emotion"].tolist()[1:] == ["fear", "fear"]
    text = likeness_sentence(table)
    assert "1.00 on average (1.00 to 1.00, 1 pair) where both were trained on the same corpora" in text
    assert "0.67 on average (0.67 to 0.67, 2 pairs) where both were trained on other corpora" in text
    assert likeness_sentence(table[:1]) == ""
