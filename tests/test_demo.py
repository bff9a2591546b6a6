"""The Space's image tab in a real browser and through gradio_client."""

import io
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from gimefive_hf import EMOTIONS

from .test_images import bad_files


@pytest.fixture(scope="module")
def two_faces(astronaut, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "two.png"
    half = astronaut[:300, 80:380]
    Image.fromarray(np.hstack([half, half[:, ::-1]])).save(path)
    return path


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, demo):
    page = browser.new_page(viewport={"width": 1200, "height": 1200})
    page.set_default_timeout(60_000)
    page.goto(demo[0])
    page.wait_for_selector("#photo input[type=file]", state="attached")
    yield page
    page.close()


def picture(page, element_id: str) -> np.ndarray:
    """The pixels of an <img> whose source is a data URL."""
    from photo import decode_data_url

    from gimefive_hf import load_image

    return load_image(decode_data_url(page.get_attribute(f"#{element_id}", "src")))


@pytest.mark.browser
def test_photo_to_faces_scores_and_heat_map(page, demo, two_faces):
    page.set_input_files("#photo input[type=file]", two_faces)
    page.wait_for_selector("#heat-out")
    assert "Face 1 of 2: happiness" in page.inner_text("#status")
    bars = page.inner_text("#scores")
    assert all(name in bars for name in EMOTIONS)
    crop, heat = picture(page, "crop-out"), picture(page, "heat-out")
    assert np.abs(crop.astype(int) - heat).max() > 60
    first = picture(page, "photo-out")
    page.click('#face-number label:has-text("2")')
    page.wait_for_function("document.querySelector('#status').innerText.includes('Face 2 of 2')")
    second = picture(page, "photo-out")
    changed = np.abs(first.astype(int) - second).max(2) > 25
    assert changed[:, :300].any()  # the overlay left the first face
    assert changed[:, 300:].any()  # and came to the second
    page.click("#show-heat input")
    page.wait_for_selector("#heat-out", state="detached")
    before = picture(page, "photo-out")
    page.click("#show-landmarks input")
    page.wait_for_function(
        "src => document.querySelector('#photo-out').src != src", arg=page.get_attribute("#photo-out", "src")
    )
    dots = np.abs(before.astype(int) - picture(page, "photo-out")).max(2) > 60
    assert 30 < dots.sum() < 5000
    assert dots[:, 300:].sum() == dots.sum()
    assert [path for path in demo[1].rglob("*") if path.is_file()] == []  # no face stayed on the disk


@pytest.mark.browser
def test_bad_photos_get_a_message_without_a_path(page, demo, tmp_path, faceless):
    bad_files(tmp_path)
    for name in ("text.jpg", "truncated.jpg", "pixel.png"):
        page.set_input_files("#photo input[type=file]", tmp_path / name)
        page.wait_for_function(f"document.querySelector('#status').innerText.includes('{name}')")
        body = page.inner_text("body")
        assert str(demo[1]) not in body
        assert "Traceback" not in body
        page.reload()
        page.wait_for_selector("#photo input[type=file]", state="attached")
    Image.fromarray(faceless).save(tmp_path / "coffee.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "coffee.png")
    page.wait_for_function("document.querySelector('#status').innerText.includes('No face found')")
    assert [path for path in demo[1].rglob("*") if path.is_file()] == []


def test_client_api(demo, two_faces, bundled, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(demo[0], verbose=False, download_files=str(tmp_path))
    records = client.predict(handle_file(two_faces), False, api_name="/predict")
    expected = bundled(two_faces)
    assert [record["emotion"] for record in records] == ["happiness", "happiness"]
    for record, face in zip(records, expected, strict=True):
        assert record["scores"] == pytest.approx(face.scores, abs=1e-4)
        assert record["box"] == pytest.approx(face.box, abs=0.1)
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(AppError, match=r"notes\.jpg: not an image") as info:
        client.predict(handle_file(tmp_path / "notes.jpg"), False, api_name="/predict")
    assert str(demo[1]) not in str(info.value)
    assert [path for path in demo[1].rglob("*") if path.is_file()] == []


def test_upload_input_gives_the_bytes_and_deletes_the_file(demo, two_faces, tmp_path):
    from gradio.data_classes import ImageData
    from photo import Photo, to_data_url
    from server.uploads import Uploads

    uploads = Uploads(tmp_path)
    data = two_faces.read_bytes()
    path = uploads.add("me.png", io.BytesIO(data), len(data))
    photo = Photo(render=False).kept_in(uploads)
    with pytest.raises(gr.Error, match="Upload it again"):
        photo.preprocess(ImageData(path=path, orig_name="me.png"))  # no request has claimed it
    uploads.claim([path])
    assert photo.preprocess(ImageData(path=path, orig_name="me.png")) == ("me.png", data)
    assert not Path(path).exists()
    with pytest.raises(gr.Error, match="Upload it again"):
        photo.preprocess(ImageData(path=path, orig_name="me.png"))
    name, data = photo.preprocess(ImageData(url=to_data_url(np.zeros((9, 9, 3), np.uint8))))
    assert name == "snapshot"
    assert data[:2] == b"\xff\xd8"
    uploads.close()
