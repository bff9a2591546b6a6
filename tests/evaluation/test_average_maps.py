"""How alike average heat maps are, on maps of which that is known."""

import numpy as np
import pytest

from evaluation.analyses.average_maps import likeness, likeness_sentence, likeness_table, mean_maps


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


def test_the_sentence_tells_the_most_and_the_least_alike():
    ramp = np.tile(np.arange(4.0).reshape(2, 2), (6, 1, 1))
    turned = ramp.copy()
    turned[5] = -ramp[5]
    maps = {"a": ramp, "b": ramp * 2, "c": turned}
    table = likeness_table({name: mean_maps(arrays(m), ["raf-db"]) for name, m in maps.items()})
    assert table["n"].tolist() == [180] * 3
    assert table["value"].tolist() == pytest.approx([1, 4 / 6, 4 / 6])
    assert table["lowest_emotion"].tolist()[1:] == ["fear", "fear"]
    text = likeness_sentence(table)
    assert "correlate by 0.78 on average (3 pairs), most those of a and b, 1.00; least alike are a and c, 0.67" in text
    assert "of their emotions fear, -1.00" in text
    assert "most those" not in likeness_sentence(table[1:2])
