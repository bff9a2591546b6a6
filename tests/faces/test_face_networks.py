"""The face networks in LiteRT: the same numbers as OpenCV reads out of the same files, and nothing on the terminal."""

import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from gimefive_hf.faces.networks import MODELS_DIR, FaceNetwork, without_greeting

NETWORKS = [
    ("face_detection_short_range.tflite", ("classificators", "regressors"), 1 / 127.5, 127.5),
    ("face_landmark.tflite", ("conv2d_21", "conv2d_31"), 1 / 255, 0.0),
]


@pytest.mark.parametrize(("file", "outputs", "scale", "mean"), NETWORKS)
def test_outputs_are_opencvs(astronaut, file, outputs, scale, mean):
    network = FaceNetwork(file, outputs)
    side = network._loaded.shape[1]
    square = cv2.resize(astronaut[40:210, 140:310], (side, side), interpolation=cv2.INTER_AREA)
    other = cv2.dnn.readNetFromTFLite(str(MODELS_DIR / file))
    other.setInput(cv2.dnn.blobFromImage(square, scale, None, (mean,) * 3))
    ours = network((square.astype(np.float32) - mean) * scale)
    for mine, theirs in zip(ours, other.forward(outputs), strict=True):
        np.testing.assert_allclose(mine.ravel(), theirs.ravel(), rtol=1e-4, atol=1e-3 * np.abs(theirs).max())


def test_threads_do_not_mix_their_results():
    network = FaceNetwork(*NETWORKS[1][:2])
    inputs = [np.random.default_rng(seed).random((192, 192, 3), np.float32) for seed in range(4)]
    expected = [network(pixels)[0] for pixels in inputs]
    wrong = []

    def work(place: int) -> None:
        for _ in range(20):
            if not np.array_equal(network(inputs[place])[0], expected[place]):
                wrong.append(place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_only_the_greeting_is_kept_off_the_terminal(capfd):
    with without_greeting():
        os.write(2, b"before\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"after\n")
    print("later", file=sys.stderr)
    assert capfd.readouterr().err == "before\nafter\nlater\n"


def test_a_new_process_says_nothing_even_without_standard_error():
    code = "from gimefive_hf.faces.networks import FaceNetwork as F; F('face_landmark.tflite', ['conv2d_31']); print(1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
    shell = f'{sys.executable} -c "{code}" 2>&-'
    assert subprocess.run(shell, shell=True, capture_output=True, text=True).stdout == "1\n"
