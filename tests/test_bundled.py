"""The networks in the package say what they said: values, stored by `python -m tests.bundled_cases`."""

import json

import numpy as np
import pytest

from gimefive_hf.bundled import BUNDLED

from .bundled_cases import GOLDEN, detections, outputs

STORED = json.loads(GOLDEN.read_text())
# Logits differ in the last digits between processors; int8 and half-precision files by what their kernels round.
TOLERANCE = {"logits": 2e-3, "torch": 5e-4, "onnx": 2e-2}


def test_every_network_has_stored_outputs():
    assert set(STORED["networks"]) == set(BUNDLED)


@pytest.mark.parametrize("name", STORED["networks"])
def test_outputs(name):
    found, stored = outputs(name), STORED["networks"][name]
    assert found.keys() == stored.keys()
    for kind, values in stored.items():
        np.testing.assert_allclose(found[kind], values, rtol=0, atol=TOLERANCE[kind], err_msg=f"{name} {kind}")


def test_boxes_and_landmarks():
    found, stored = detections(), STORED["detections"]
    np.testing.assert_allclose(found["boxes"], stored["boxes"], rtol=0, atol=0.05)
    np.testing.assert_allclose(found["landmarks"], stored["landmarks"], rtol=0, atol=0.05)
