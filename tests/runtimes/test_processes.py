"""Recognisers in other processes: sent there, or copied by a fork."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from gimefive_hf import from_pretrained
from tests.cases.video_cases import face_photo, tiny_recognizer

FORK = """
import os, threading, time
import torch
torch.set_num_threads(4)
from gimefive_hf import from_pretrained
from tests.cases.video_cases import face_photo, tiny_recognizer
photo = face_photo()

def code_of_child(fer):
    before = fer(photo)[0].scores
    child = os.fork()
    if child == 0:
        after = fer(photo)[0].scores
        os._exit(0 if all(abs(after[name] - before[name]) < 1e-5 for name in before) else 3)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    return "hangs"

searching = tiny_recognizer()
threading.Thread(target=lambda: [searching(photo) for _ in iter(int, 1)], daemon=True).start()
onnx = from_pretrained("gimefive-fast", backend="onnx", threads=4)
print({"onnx": code_of_child(onnx), "torch": code_of_child(tiny_recognizer())}, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("make", [tiny_recognizer, lambda: from_pretrained("gimefive-fast", backend="onnx")])
def test_a_recogniser_can_be_pickled(make):
    fer, photo = make(), face_photo()
    ours, theirs = fer(photo)[0], pickle.loads(pickle.dumps(fer))(photo)[0]
    assert theirs.scores == pytest.approx(ours.scores)
    assert theirs.box == ours.box
    np.testing.assert_array_equal(theirs.landmarks, ours.landmarks)


def test_a_fork_goes_on():
    """With threads of the parent that the child has not, while another one is in the middle of a search."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False)
    assert done.stdout == "{'onnx': 0, 'torch': 0}\n", done.stdout + done.stderr
