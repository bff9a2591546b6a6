"""The face networks in LiteRT: the same numbers as OpenCV reads out of the same files, also in threads."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from gimefive_hf.faces.networks import MODELS_DIR, FaceNetwork

NETWORKS = [
    ("face_detection_short_range.tflite", ("classificators", "regressors"), 128, 1 / 127.5, 127.5),
    ("face_landmark.tflite", ("conv2d_21", "conv2d_31"), 192, 1 / 255, 0.0),
]


@pytest.mark.parametrize(("file", "outputs", "side", "scale", "mean"), NETWORKS)
def test_outputs_are_opencvs(astronaut, file, outputs, side, scale, mean):
    square = cv2.resize(astronaut[40:210, 140:310], (side, side), interpolation=cv2.INTER_AREA)
    other = cv2.dnn.readNetFromTFLite(str(MODELS_DIR / file))
    other.setInput(cv2.dnn.blobFromImage(square, scale, None, (mean,) * 3))
    ours = FaceNetwork(file, outputs)((square.astype(np.float32) - mean) * scale)
    for mine, theirs in zip(ours, other.forward(outputs), strict=True):
        np.testing.assert_allclose(mine.ravel(), theirs.ravel(), rtol=1e-4, atol=1e-3 * np.abs(theirs).max())


def test_threads_do_not_mix_their_results():
    network = FaceNetwork(*NETWORKS[1][:2])
    inputs = [np.random.default_rng(seed).random((192, 192, 3), np.float32) for seed in range(4)]
    expected = [network(pixels)[0] for pixels in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda place: network(inputs[place % 4])[0], range(80))
        assert all(np.array_equal(one, expected[place % 4]) for place, one in enumerate(found))
