"""What the networks in the package say today is what they said when it was stored."""

import json

import numpy as np
import pytest

from tests.cases.golden_networks import GOLDEN, TOLERANCE, answers, boxes, landmarks, networks

STORED = json.loads(GOLDEN.read_text())
RENEW = "if it was meant to change: python -m tests.cases.golden_networks"


def test_all_are_stored():
    assert set(STORED["logits"]) == {f"{name}, {backend}" for name, backend in networks()}, RENEW


@pytest.mark.parametrize(("name", "backend"), networks())
def test_logits(name, backend):
    stored = STORED["logits"][f"{name}, {backend}"]
    precision, logits = answers(name, backend)
    assert precision == stored["precision"], RENEW
    np.testing.assert_allclose(logits, stored["logits"], atol=TOLERANCE[precision], rtol=0, err_msg=RENEW)


def test_boxes_and_landmarks():
    np.testing.assert_allclose(landmarks(), STORED["landmarks"], atol=0.5, rtol=0, err_msg=RENEW)
    np.testing.assert_allclose(boxes(), STORED["boxes"], atol=0.5, rtol=0, err_msg=RENEW)
