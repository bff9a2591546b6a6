"""Shared fixtures: tiny random models, the public-domain photo, the real corpora where they are."""

import os
import resource
import shutil
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors gain nothing from more, and two workers share the cores
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read when transformers is imported; see cli.main

import cv2
import huggingface_hub.constants
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from gimefive_hf import (
    ExpressionRecognizer,
    GiMeFiveConfig,
    GiMeFiveForImageClassification,
    GiMeFiveImageProcessor,
)
from gimefive_hf.loading import load_checkpoint
from gimefive_hf.runtimes.export import export_onnx
from gimefive_hf.runtimes.torch_predictor import TorchPredictor
from gimefive_hf.video.files import VideoReader
from tests.cases.video_cases import face_photo, tiny_recognizer

DEMO = Path(__file__).parents[1] / "spaces" / "demo"
CLIP = DEMO / "examples" / "changing_face.mp4"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NPM = shutil.which("npm")
CORPORA = Path(os.environ.get("GIMEFIVE_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))


def pytest_collection_modifyitems(items):
    """Without Chromium or Node the tests that need it are skipped and say so; on CI that is a failure."""
    for item in items:
        if item.get_closest_marker("browser") and not CHROMIUM and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed (Debian: apt-get install chromium)"))
        if item.get_closest_marker("node") and not NPM and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip(reason="Node.js is not installed (Debian: apt-get install nodejs npm)"))
        if item.get_closest_marker("corpora") and not CORPORA.is_dir():
            item.add_marker(pytest.mark.skip(reason="no corpora; set GIMEFIVE_CORPORA to their folder"))


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    if not CORPORA.is_dir():
        pytest.skip("no corpora; set GIMEFIVE_CORPORA to their folder")
    return CORPORA


@pytest.fixture(scope="session")
def chromium() -> str:
    assert CHROMIUM, "Chromium is not installed (Debian: apt-get install chromium)"
    return CHROMIUM


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory) -> None:
    """The browser page's npm packages, which are installed in the working tree: by one worker, once."""
    from spaces.build_live import install

    with FileLock(tmp_path_factory.getbasetemp().parent / "npm.lock"):
        install()


@pytest.fixture(scope="module")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright, chromium):
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def camera_browser(playwright, chromium, tmp_path_factory):
    """A browser whose camera is the demo's clip of a moving face, and may be used."""
    camera = tmp_path_factory.mktemp("camera") / "face.y4m"
    with VideoReader(CLIP) as reader, open(camera, "wb") as file:
        file.write(f"YUV4MPEG2 W{reader.width} H{reader.height} F25:1 Ip A1:1 C420jpeg\n".encode())
        for frame in list(reader)[::2]:
            file.write(b"FRAME\n" + cv2.cvtColor(frame.image, cv2.COLOR_RGB2YUV_I420).tobytes())
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags += [f"--use-file-for-fake-video-capture={camera}", "--disable-background-networking", "--disable-sync"]
    browser = playwright.chromium.launch(executable_path=chromium, args=flags)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def corpora(tmp_path_factory) -> Path:
    """A folder with `tiny_corpora`; trainings keep their cache in it."""
    from tests.cases.tiny_corpora import write_corpora

    return write_corpora(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def fer() -> ExpressionRecognizer:
    """A tiny random network with exact CAM; who changes it makes one of their own."""
    return tiny_recognizer()


@pytest.fixture
def online(monkeypatch):
    """What the Hub's client reads in the environment when it is imported; the Hub on loopback does not speak Xet."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def tiny_config() -> GiMeFiveConfig:
    return GiMeFiveConfig(widths=[4, 8], classifier_widths=[8], image_size=16)


@pytest.fixture
def tiny_model(tiny_config) -> GiMeFiveForImageClassification:
    torch.manual_seed(0)
    return GiMeFiveForImageClassification(tiny_config).eval()


@pytest.fixture
def tiny_processor() -> GiMeFiveImageProcessor:
    return GiMeFiveImageProcessor(size={"height": 16, "width": 16})


@pytest.fixture(scope="session")
def tiny_onnx(tmp_path_factory) -> Path:
    """An ONNX file of a tiny network, written once: that takes seconds."""
    folder = tmp_path_factory.mktemp("onnx")
    model, processor = load_checkpoint(make_tiny_checkpoint(folder))
    export_onnx(TorchPredictor(model, processor), folder / "model.onnx")
    return folder / "model.onnx"


@pytest.fixture
def tiny_checkpoint(tmp_path) -> Path:
    return make_tiny_checkpoint(tmp_path)


def make_tiny_checkpoint(folder: Path) -> Path:
    """A saved tiny model with its processor and code."""
    torch.manual_seed(0)
    config = GiMeFiveConfig(widths=[4, 8], classifier_widths=[8], image_size=16)
    GiMeFiveForImageClassification(config).eval().save_pretrained(folder / "tiny")
    GiMeFiveImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture
def small_files():
    """A limit on the size of files makes the same system calls fail as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """Photo of one smiling face, uint8 RGB (512, 512, 3), public domain."""
    return face_photo()


@pytest.fixture
def photo(astronaut, tmp_path) -> Path:
    """The same as a file."""
    Image.fromarray(astronaut).save(tmp_path / "astronaut.png")
    return tmp_path / "astronaut.png"


@pytest.fixture(scope="session")
def faceless() -> np.ndarray:
    """Photo of a cup of coffee, uint8 RGB (400, 600, 3), public domain."""
    from skimage.data import coffee

    return coffee()


@pytest.fixture(scope="session")
def bundled() -> ExpressionRecognizer:
    """The checkpoint that comes with the package."""
    return ExpressionRecognizer.from_pretrained("gimefive")


@pytest.fixture(scope="module")
def demo_model() -> str:
    """What the running demo loads; a test module may name another."""
    return "gimefive"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, demo_model):
    """(URL, folder of Gradio's uploads) of the running demo."""
    uploads = tmp_path_factory.mktemp("uploads")
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(uploads))
    patch.syspath_prepend(str(DEMO))
    import app
    import gradio as gr

    url = app.launch(str(demo_model), port=None, block=False)
    yield url, uploads
    gr.close_all()
    patch.undo()
    for name, module in list(sys.modules.items()):
        if str(DEMO) in str(getattr(module, "__file__", "")):
            del sys.modules[name]
