"""The Space's image tab in a real browser and through gradio_client."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from gimefive_hf import EMOTIONS
from tests.cases.servers import files_in
from tests.conftest import DEMO
from tests.images.test_images import bad_files


@pytest.fixture(scope="module")
def two_faces(astronaut, tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "two.png"
    half = astronaut[:300, 80:380]
    Image.fromarray(np.hstack([half, half[:, ::-1]])).save(path)
    return path


@pytest.fixture
def page(browser, demo):
    page = browser.new_page(viewport={"width": 1200, "height": 1200})
    page.set_default_timeout(60_000)
    page.goto(demo[0])
    page.wait_for_selector("#photo input[type=file]", state="attached")
    yield page
    page.close()


def status(page) -> str:
    return page.inner_text("#status-line")


@pytest.mark.browser
def test_the_page_opens_with_an_answer(page):
    assert status(page).startswith("One face: happiness")
    assert page.inner_text(".card h2") == "Happiness"
    assert page.locator(".bars li").count() == len(EMOTIONS)
    assert page.locator(".why .covered img").count() == 4
    assert page.locator(".why .map").count() == len(EMOTIONS)


@pytest.mark.browser
def test_faces_of_an_upload_are_chosen_by_click_and_by_keyboard(page, demo, two_faces, monkeypatch):
    import photo_tab

    decoded, load_image = [], photo_tab.load_image
    monkeypatch.setattr(photo_tab, "load_image", lambda data: decoded.append(data) or load_image(data))
    page.set_input_files("#photo input[type=file]", two_faces)
    page.wait_for_function("document.querySelector('#status-line').innerText.startsWith('2 faces')")
    page.wait_for_selector(".why .covered")
    assert decoded.count(two_faces.read_bytes()) == 1, "an upload is decoded once; then the page's smaller copy is"
    assert page.locator(".card").count() == 2
    assert page.locator(".card:visible").get_attribute("data-card") == "0"
    page.focus("button.face[data-face='0']")
    page.keyboard.press("ArrowRight")
    assert page.locator(".card:visible").get_attribute("data-card") == "1"
    page.wait_for_function("document.querySelector('#why').classList.contains('waiting') === false")
    page.click("button.face[data-face='0']")
    assert page.get_attribute("button.chip[data-face='0']", "aria-pressed") == "true"
    assert page.locator(".card:visible").get_attribute("data-card") == "0"
    heat = page.locator(".card:visible .heat")
    before = heat.get_attribute("src")
    page.click(".map[data-map=anger]")
    assert heat.get_attribute("src") != before
    page.locator(".card:visible [data-heat]").fill("0")
    assert heat.evaluate("node => getComputedStyle(node).opacity") == "0"
    assert files_in(demo[1]) == []  # no face stayed on the disk


@pytest.mark.browser
def test_the_reasons_start_from_the_score_on_the_card(page):
    """Both look at the picture that the page holds, so the same face has one score."""
    page.set_input_files("#photo input[type=file]", DEMO / "examples" / "group.jpeg")
    page.wait_for_function("document.querySelector('#status-line').innerText.startsWith('5 faces')")
    for number in range(5):
        page.click(f"button.chip[data-face='{number}']")
        score = page.inner_text(f".card[data-card='{number}'] .bars li >> nth=0").split("\n")[-1]
        start = f"document.querySelector('.why .covered li')?.innerText.split('\\n').pop().startsWith('{score} → ')"
        page.wait_for_function(start)  # the reasons come after the card


@pytest.mark.browser
def test_what_is_asked_while_a_photo_is_on_its_way_waits_for_it(page, two_faces):
    """An upload can be named once, and the event that takes it has named it."""
    page.click("#settings button:has-text('Settings')")
    page.set_input_files("#photo input[type=file]", two_faces)
    page.wait_for_selector("#photo .image-frame img")
    page.check("#is-crop input")
    page.wait_for_function("document.querySelector('#status-line').innerText.startsWith('One face')")
    page.wait_for_selector("#stage .stage[data-shown='']")
    page.uncheck("#is-crop input")
    page.wait_for_function("document.querySelector('#status-line').innerText.startsWith('2 faces')")
    assert page.locator(".toast-body").count() == 0


@pytest.mark.browser
def test_bad_photos_get_a_message_without_a_path(page, demo, tmp_path, faceless):
    bad_files(tmp_path)
    for name in ("text.jpg", "truncated.jpg", "pixel.png"):
        page.set_input_files("#photo input[type=file]", tmp_path / name)
        page.wait_for_function(f"document.querySelector('#status-line').innerText.includes('{name}')")
        body = page.inner_text("body")
        assert str(demo[1]) not in body
        assert "Traceback" not in body
        assert page.locator(".toast-body").count() == 0
        page.wait_for_selector("#why:not(:has(.why))", state="attached")  # no other photo's reasons stand beside it
        assert not page.is_visible("#card-png")
        page.reload()
        page.wait_for_selector("#photo input[type=file]", state="attached")
    Image.fromarray(faceless).save(tmp_path / "coffee.png")
    page.set_input_files("#photo input[type=file]", tmp_path / "coffee.png")
    page.wait_for_function("document.querySelector('#status-line').innerText.includes('No face found')")
    assert "already cropped" in status(page)
    assert files_in(demo[1]) == []


@pytest.mark.browser
def test_a_link_leads_to_an_example(browser, demo):
    page = browser.new_page()
    page.goto(f"{demo[0]}?example=rocket")
    page.wait_for_function(
        "document.querySelector('#status-line')?.innerText.includes('No face found')", timeout=60_000
    )
    assert page.get_attribute("[data-example=rocket]", "aria-pressed") == "true"
    page.close()


def test_client_api(demo, two_faces, bundled, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(demo[0], verbose=False, download_files=str(tmp_path))
    answer = client.predict(handle_file(two_faces), False, api_name="/predict")
    expected = bundled(two_faces)
    assert [record["emotion"] for record in answer["faces"]] == [face.emotion for face in expected]
    for record, face in zip(answer["faces"], expected, strict=True):
        assert record["scores"] == pytest.approx(face.scores, abs=1e-4)
        assert record["box"] == pytest.approx(face.box, abs=0.1)
    why = client.predict(handle_file(two_faces), False, "grad-cam", 2, api_name="/explain")
    assert why["scores"] == pytest.approx(expected[1].scores, abs=1e-4)
    assert set(why["covered"]) == {"brows", "eyes", "nose", "mouth"}
    assert why["evidence_per_area"]["mouth"] > 1
    heat = np.array(Image.open(io.BytesIO(base64.b64decode(why["heat_map"]))))
    assert (heat.ndim, heat.max(), heat.min()) == (2, 255, 0)
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(AppError, match=r"notes\.jpg: not an image") as info:
        client.predict(handle_file(tmp_path / "notes.jpg"), False, api_name="/predict")
    assert str(demo[1]) not in str(info.value)
    for bad in ({"face": 3}, {"face": 1.5}, {"method": "magic"}):
        with pytest.raises(AppError, match=r"expected a face|method must be"):
            client.predict(handle_file(two_faces), **bad, api_name="/explain")
    assert files_in(demo[1]) == []


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_readmes_curl_lines(demo, two_faces):
    lines = re.search(r"```bash\n(.+?)```", (DEMO / "README.md").read_text(), re.DOTALL)[1]
    lines = lines.replace("http://127.0.0.1:7860/", demo[0]).replace("photo.jpg", str(two_faces))
    done = subprocess.run(["bash", "-ec", lines], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    event, data = done.stdout.strip().split("\n")
    assert event == "event: complete"
    assert len(json.loads(data.removeprefix("data: "))[0]["faces"]) == 2
    form = [f"{demo[0]}gradio_api/call/predict", "-d", '{"data": [null, false]}']
    refused = subprocess.run(["curl", "-s", *form], capture_output=True, text=True, timeout=60)
    assert "Content-Type: application/json" in json.loads(refused.stdout)["detail"]


def test_status_and_headline_never_contradict_each_other(demo, bundled, astronaut):
    from dataclasses import replace

    from words import detail, headline, status

    [face] = bundled(astronaut)
    for high in (0.2, 0.3, 0.45, 0.7, 0.999):
        rest = (1 - high) / 5
        unsure = replace(face, scores={name: high if name == "anger" else rest for name in EMOTIONS}, threshold=0.46)
        says = headline(unsure).lower()
        assert (says == "anger") == unsure.is_clear
        assert says in status([unsure])
        assert ("too little to name one" in detail(unsure)) == (not unsure.is_clear)


def test_confidence_in_words_is_what_the_held_out_answers_say(demo):
    from words import sureness

    bins = [
        {"low": 0.4, "high": 0.5, "count": 200, "accuracy": 0.5},
        {"low": 0.8, "high": 0.9, "count": 50, "accuracy": 0.6},
        {"low": 0.9, "high": 1.0, "count": 60, "accuracy": 1.0},
    ]
    assert sureness(0.45, bins).startswith("About 5 in 10")
    # the bin of 0.85 alone has too few answers: (50 × 0.6 + 60 × 1.0) / 110
    assert sureness(0.85, bins).startswith("About 8 in 10")
    assert sureness(0.9, []) == ""


def test_badges_cover_no_face_and_not_each_other(demo):
    from stage import BADGE, SHOWN_WIDTH, place_badges

    boxes = [(100 + 70 * (index % 8), 100 + 90 * (index // 8), 40, 40) for index in range(24)]
    centres = np.array(place_badges(boxes, 800, 600)) * (800, 600)
    half = BADGE * 800 / SHOWN_WIDTH / 2
    for index, (x, y) in enumerate(centres):
        others = np.delete(centres, index, axis=0)
        assert (np.abs(others - (x, y)).max(1) >= 2 * half - 1e-6).all()


def test_a_crop_that_is_not_square_keeps_its_map_in_place(demo, bundled, astronaut):
    """Landmarks and heat lie on the face as the network sees it, whatever the picture's sides."""
    from cards import crop_points, portrait

    tall = astronaut[40:280, 140:300]
    [face] = bundled(tall, crops=True)
    shown = portrait(tall, face)
    assert shown.shape[0] == shown.shape[1]
    mouth = crop_points(face)[48:68].mean(0)
    eyes = crop_points(face)[36:48].mean(0)
    direct = face.landmarks[48:68].mean(0) / (160, 240)
    assert mouth == pytest.approx(direct, abs=0.01)
    assert mouth[1] - eyes[1] > 0.1


def test_only_the_papers_six(demo, bundled, astronaut):
    from dataclasses import replace

    from photo_tab import only_six

    [face] = bundled(astronaut)
    seven = replace(face, scores={name: score / 2 for name, score in face.scores.items()} | {"neutral": 0.5})
    assert seven.emotion == "neutral"
    six = only_six(seven)
    assert list(six.scores) == list(EMOTIONS)
    assert six.scores == pytest.approx(face.scores)


@pytest.mark.parametrize("model", ["gimefive", "gimefive-7"])
def test_every_example_is_right_or_says_that_it_is_not(demo, model):
    """What is said below each photo, beside the answer of the model that says it."""
    from examples import EXAMPLES, note_on, read_example

    from gimefive_hf import ExpressionRecognizer

    recognizer = ExpressionRecognizer.from_pretrained(model)
    for example in EXAMPLES:
        faces = recognizer(read_example(example.name))
        note = note_on(example, faces)
        if example.absent:
            called = {name: re.search(rf"{name} of face ([\d and]+)", note) for name in example.absent}
            numbers = {name: [int(n) for n in re.findall(r"\d+", found[1])] for name, found in called.items() if found}
            wrong = {name: [n for n, face in enumerate(faces, 1) if face.label == name] for name in example.absent}
            assert numbers == {name: found for name, found in wrong.items() if found}
            assert note.startswith(f"{len(faces)} people")
        elif example.shows is None:
            assert ("none was found" in note) == (not faces)
        else:
            right = faces[0].label == example.shows
            assert right == ("so does the network" in note), (example.name, note)
            if not right and example.shows in faces[0].scores:
                assert "It is wrong" in note
                percents = [
                    f"{faces[0].scores[name]:.0%}".replace("%", " %") for name in (faces[0].emotion, example.shows)
                ]
                assert [p for p in percents if p in note][-1] == percents[1], note


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


def test_the_readmes_python(demo, astronaut, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut).save("photo.jpg")
    lines = re.search(r"```python\n(.+?)```", (DEMO / "README.md").read_text(), re.DOTALL)[1]
    exec(compile(lines.replace("http://127.0.0.1:7860", demo[0]), "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "'emotion': 'happiness'" in said
    assert "counts most for happiness" in said
