"""The browser's page: its arithmetic beside the package's, its readings in Chromium, and that it sends nothing."""

import csv
import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from huggingface_hub.repocard import metadata_load
from PIL import Image

from gimefive_hf.explain.covering import PARTS
from gimefive_hf.faces.cropping import crop_face
from gimefive_hf.faces.detections import Detection
from gimefive_hf.images.photos import load_image
from gimefive_hf.recognizer import ExpressionRecognizer
from gimefive_hf.runtimes.onnx_predictor import OnnxPredictor
from spaces.build_live import LIVE, PACKAGES, build
from spaces.live_facts import model_folder
from spaces.serve_live import serving
from tests.cases.live_vectors import vectors
from tests.conftest import DEMO

pytestmark = pytest.mark.node
CAMERA = ["--no-sandbox", "--use-fake-device-for-media-stream", "--disable-background-networking", "--disable-sync"]
# How far scores may lie apart: of the same box, and of what each detector finds. Boxes differ by thousandths of pixels:
# a level more or less in a pixel or two of the crop, of which the rounding of the int8 network makes more.
SAME, APART = 0.01, 0.02
# Remembers what the worker last answered.
LISTEN = """const Plain = Worker; window.Worker = class extends Plain { constructor(...call) { super(...call);
    this.addEventListener("message", ({data}) => { if (data.kind === "faces") window.faces = data.faces; }); } }"""
PHOTOS = DEMO / "examples"


@pytest.fixture(scope="module")
def folder(node_packages, tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("live") / "page")


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="module")
def page(server, camera_browser):
    """The loaded page."""
    page = camera_browser.new_context(permissions=["camera"], viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(LISTEN)
    page.goto(server)
    page.wait_for_selector("body[data-state=ready]")
    return page


def scores_of(page) -> dict[str, float]:
    """The scores that the panel shows."""
    rows = page.eval_on_selector_all(
        "#bars li", "rows => rows.map(row => [row.dataset.emotion, +row.querySelector('output').dataset.score])"
    )
    return dict(rows)


def open_photo(page, path: Path) -> None:
    page.set_input_files("#file", path)
    page.wait_for_selector("body[data-state=photo]:not([data-busy])")


def test_types_and_arithmetic(node_packages, astronaut, tmp_path):
    """`tsc` and `vitest`, which compares with what the Python package computes here and now."""
    file = tmp_path / "vectors.json"
    file.write_text(json.dumps(vectors(astronaut)))
    for command in (["tsc", "--noEmit"], ["vitest", "run"]):
        done = subprocess.run(
            [PACKAGES / ".bin" / command[0], *command[1:]],
            cwd=LIVE,
            env=os.environ | {"GIMEFIVE_VECTORS": str(file), "CI": "true"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_names_no_registry():
    assert "resolved" not in (LIVE / "package-lock.json").read_text()


def test_what_travels(folder):
    """Whole, at most 20 MB for any one browser, and under a policy that allows no other host."""
    manifest = json.loads((folder / "manifest.json").read_text())
    sizes = {file["name"]: (folder / file["path"]).stat().st_size for file in manifest["files"]}
    assert sizes == {file["name"]: file["bytes"] for file in manifest["files"]}
    shell = sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
    assert shell + sum(size for name, size in sizes.items() if "compat" not in name) < 20e6
    page = (folder / "index.html").read_text()
    assert "default-src 'none'" in page
    assert not re.findall(r"https?://(?!arxiv\.org)", page)
    assert manifest["facts"]["model"] == model_folder().name


@pytest.mark.browser
def test_photos_get_the_scores_of_the_package(page, astronaut, tmp_path):
    """Within 0.02 of `gimefive predict` with the same network, clear expression or not, and the same answer."""
    recognizer = ExpressionRecognizer(OnnxPredictor(model_folder()))
    blurred = tmp_path / "blurred.png"  # a face that only O-Net confirms
    Image.fromarray(cv2.GaussianBlur(astronaut, (0, 0), 5)).save(blurred)
    for path in [*sorted(PHOTOS.glob("*.jp*g")), blurred]:
        open_photo(page, path)
        faces = recognizer(path)
        assert page.locator("#people button:visible").count() == (len(faces) if len(faces) > 1 else 0), path.name
        assert page.is_visible("#notice:has-text('No face was found')") == (not faces)
        for number, face in enumerate(faces, 1):
            if len(faces) > 1:
                page.click(f"#people button >> nth={number - 1}")
            ours = scores_of(page)
            assert ours == pytest.approx(face.scores, abs=APART), (path.name, number)
            if abs(face.score - face.threshold) > APART:
                assert page.inner_text("#verdict") == face.label, (path.name, number)


@pytest.mark.browser
def test_the_same_box_gets_the_same_scores(page):
    """Decoding, crop, grey, resizing and network are the package's own, to the level of a pixel."""
    predictor = OnnxPredictor(model_folder())
    recognizer, faces = ExpressionRecognizer(predictor), 0
    for path in sorted(PHOTOS.glob("*.jp*g")):
        open_photo(page, path)
        image = load_image(path)
        for face in page.evaluate("window.faces.map(({box, keypoints, scores}) => ({box, keypoints, scores}))"):
            keypoints = np.reshape(face["keypoints"], (6, 2))  # in double precision, as the page has them
            crop = crop_face(image, Detection(tuple(face["box"]), 1.0, keypoints))
            assert recognizer.score_crops([crop.image])[0] == pytest.approx(face["scores"], abs=SAME), path.name
            faces += 1
    assert faces >= 11


@pytest.mark.browser
def test_why_a_photo_is_read_so(page, astronaut, tmp_path):
    photo = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(photo)
    open_photo(page, photo)
    page.keyboard.press("w")
    page.wait_for_selector("#parts li")
    texts = page.locator("#parts li").all_inner_texts()
    falls = {re.search(r"without the (.+)", text)[1]: [int(n) for n in re.findall(r"(\d+) %", text)] for text in texts}
    assert set(falls) == set(PARTS)
    (before, _), lowest = falls["mouth"], min(after for _, after in falls.values())
    assert falls["mouth"][1] == lowest < before, "a smile is read off the mouth"
    assert "lip corners up" in page.inner_text("#actions")


@pytest.mark.browser
def test_bad_photos(page, tmp_path):
    cases = {"text.jpg": (b"no photo", "not a photo"), "empty.png": (b"", "empty"), "small.png": (None, "too small")}
    for name, (data, words) in cases.items():
        path = tmp_path / name
        if data is None:
            Image.new("RGB", (5, 5)).save(path)
        else:
            path.write_bytes(data)
        page.set_input_files("#file", path)
        page.wait_for_selector(f"#notice:has-text('{words}')")
    faceless = tmp_path / "grey.png"
    Image.new("RGB", (320, 240), "grey").save(faceless)
    page.set_input_files("#file", faceless)
    page.wait_for_selector("#notice:has-text('No face was found')")


@pytest.mark.browser
def test_camera_session_sends_nothing(page, tmp_path):
    """Live scores, a resting face, freeze, downloads; meanwhile no request, and the browser refuses those we try."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.keyboard.press("c")
    page.wait_for_selector("body[data-state=live]")
    page.wait_for_selector("#events li")  # something lasted a second
    assert sum(scores_of(page).values()) == pytest.approx(1, abs=0.01)
    page.keyboard.press("r")
    page.wait_for_selector("#resting:not([hidden])")
    page.wait_for_selector("#against:not([hidden])")  # after three seconds
    page.click("#unrest")
    page.keyboard.press(" ")
    page.wait_for_selector("body[data-state=frozen]")
    with page.expect_download() as table:
        page.click("#csv")
    rows = list(csv.DictReader(table.value.path().open()))
    assert len(rows) > 2  # a busy machine makes few frames
    assert {"happiness", "happiness_smooth", "emotion", "stability", "against_rest"} <= set(rows[0])
    assert {row["against_rest"] for row in rows} == {"0", "1"}
    with page.expect_download() as picture:
        page.click("#png")
    assert Image.open(picture.value.path()).size == (2400, 840)
    assert [url for url in requests if not url.startswith("blob:")] == []
    assert page.inner_text("#requests") == "0 requests since loading"
    for place in (page, page.workers[0]):
        refused = place.evaluate(
            "() => fetch(self.location.origin + '/manifest.json').then(() => 'sent', () => 'refused')"
        )
        assert refused == "refused"
    page.keyboard.press(" ")
    page.wait_for_selector("body[data-state=live]")
    leave_and_return(page)
    page.evaluate("document.getElementById('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))")
    page.wait_for_selector("body[data-state=ready] #notice:has-text('The camera went away')")


def leave_and_return(page) -> None:
    """
    In the background no frame is read, nor any caught up with afterwards, and the table has a gap. Chromium without a
    window never hides a tab, so it is told that it did; frames go on coming, unlike behind a real one.
    """
    hide = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); "
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    frames = "JSON.parse(document.getElementById('speed').dataset.stages ?? '{}').frames"
    page.evaluate(hide, True)
    page.wait_for_timeout(1000)  # the frame on its way, and the panel's next renewal
    before = page.evaluate(frames)
    page.wait_for_timeout(1500)
    assert page.evaluate(frames) == before
    page.evaluate(hide, False)
    page.wait_for_selector("#notice:has-text('while this tab was in the background')")
    for _ in range(200):  # the page's own policy allows no wait_for_function
        if page.evaluate(frames) > before:
            break
        page.wait_for_timeout(100)
    assert page.evaluate(frames) > before
    with page.expect_download() as table:
        page.click("#csv")
    times = [float(row["time"]) for row in csv.DictReader(table.value.path().open())]
    assert max(after - one for one, after in pairwise(times)) > 1.5


def test_it_is_a_static_space(folder):
    assert metadata_load(folder / "README.md")["sdk"] == "static"
    assert b"non-commercial" in (folder / "LICENSE.md").read_bytes()


@pytest.mark.browser
def test_opens_offline(folder, playwright, chromium):
    browser = playwright.chromium.launch(executable_path=chromium, args=CAMERA)
    page = browser.new_page()
    with serving(folder) as url:
        page.goto(url)
        page.wait_for_selector("body[data-state=ready]", timeout=60_000)
    page.reload()
    page.wait_for_selector("body[data-state=ready]", timeout=60_000)
    page.click("nav a")
    page.wait_for_selector("h1:has-text('What happens to your picture')")
    browser.close()


@pytest.mark.browser
def test_what_can_lack(server, playwright, chromium):
    """Permission, a whole file, WebAssembly SIMD: a sentence each."""
    browser = playwright.chromium.launch(executable_path=chromium, args=CAMERA)
    page = browser.new_page(service_workers="block")
    page.goto(server)
    page.wait_for_selector("body[data-state=ready]", timeout=60_000)
    page.click("#start")
    page.wait_for_selector("#notice:has-text('permission was refused')")

    cut = browser.new_page(service_workers="block")
    cut.route("**/files/*", lambda route: route.fulfill(body=route.fetch().body()[:-1000]))
    cut.goto(server)
    cut.wait_for_selector("body[data-state=broken] #notice:has-text('damaged or cut')", timeout=60_000)

    old = browser.new_page()
    old.add_init_script("WebAssembly.validate = () => false")
    old.goto(server)
    old.wait_for_selector("body[data-state=broken] #notice:has-text('WebAssembly SIMD')")
    browser.close()
