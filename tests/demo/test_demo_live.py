"""The Space's video and webcam tabs: in Chromium, with a fake camera that shows a moving face, and by the client."""

import csv
from io import StringIO

import numpy as np
import pytest
from PIL import Image

from gimefive_hf import EMOTIONS, from_pretrained
from gimefive_hf.recognizer import NO_CLEAR_EMOTION
from gimefive_hf.video.files import VideoReader
from tests.cases.servers import files_in
from tests.conftest import CLIP


@pytest.fixture(scope="module")
def page(demo, camera_browser):
    page = camera_browser.new_context(permissions=["camera"], viewport={"width": 1200, "height": 1000}).new_page()
    page.set_default_timeout(60_000)
    page.goto(demo[0])
    return page


@pytest.mark.browser
@pytest.mark.slow  # three clips of six to ten seconds through the real network
def test_clip_tab(page, demo):
    page.click('button[role=tab]:has-text("Clip")')  # which opens with an answer
    page.wait_for_selector("#clip-status:has-text('Nobody made these expressions')")
    first = page.get_attribute("#clip-out", "src")
    page.set_input_files("#clip-file", CLIP)
    page.wait_for_function("document.querySelector('#clip-in').videoWidth > 0")
    page.click("#clip-start")
    page.wait_for_selector("#clip-status:not(:has-text('Nobody made'))")
    page.wait_for_function("document.querySelector('#clip-out')?.videoWidth > 0")
    assert "One person in" in page.inner_text("#clip-status")
    assert "of the time" in page.inner_text(".story .person")
    with page.expect_download() as download:
        page.click("#clip-table")
    rows = list(csv.DictReader(StringIO(download.value.path().read_text())))
    assert {row["emotion"] for row in rows} <= {*EMOTIONS, "neutral", NO_CLEAR_EMOTION}
    chart = page.locator(".chart")
    chart.click(position={"x": chart.bounding_box()["width"] / 2, "y": 30})  # scrolls to it first
    middle = float(page.get_attribute(".chart", "data-end")) / 2
    page.wait_for_function(f"Math.abs(document.querySelector('#clip-out').currentTime - {middle}) < 0.3")
    page.wait_for_function("document.querySelector('.playhead').getAttribute('transform').includes('translate(')")
    assert files_in(demo[1]) == [], "no face stays on the disk"
    assert page.get_attribute("#clip-in", "src").startswith("blob:")  # the clip stays in the page
    page.click("#clip-example")
    page.wait_for_selector("#clip-status:has-text('Nobody made these expressions')")
    assert page.get_attribute("#clip-out", "src") == first, "analysed once for everybody"
    page.click("#clip-input button:has-text('Settings')")
    page.check("#clip-landmarks input")
    page.click("#clip-start")  # the example again, as it is what is shown
    page.wait_for_function(
        "src => document.querySelector('#clip-out')?.src.length > 0 && document.querySelector('#clip-out').src != src",
        arg=first,
    )
    assert "Nobody made these expressions" in page.inner_text("#clip-status")


@pytest.mark.browser
@pytest.mark.slow  # watches a live camera for some seconds
def test_webcam_tab(page, demo):
    page.click('button[role=tab]:has-text("Camera")')
    page.click("#camera button:has-text('Click to Access Webcam')")
    page.click("#camera .capture-button:has-text('Start')")
    page.wait_for_selector("#live-out")
    page.wait_for_function("+document.querySelector('#live-speed').dataset.frames > 10")
    assert page.locator("#live-chart path").count() in (len(EMOTIONS), len(EMOTIONS) + 1)  # with neutral
    before = page.get_attribute("#live-out", "src")
    page.wait_for_function("src => document.querySelector('#live-out').src != src", arg=before)
    assert files_in(demo[1]) == [], "frames never touch the disk"


def test_client_video(demo, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(demo[0], verbose=False, download_files=str(tmp_path))
    result = client.predict(handle_file(CLIP), 10, api_name="/predict_video")
    assert (result["persons"], result["broken"]) == (1, 0)
    assert [row["frame"] for row in result["rows"]] == list(range(0, result["frames"], 10))
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(AppError, match=r"text\.mp4: not a video") as info:
        client.predict(handle_file(text), 1, api_name="/predict_video")
    assert str(demo[1]) not in str(info.value)
    for step in (0, -1, 1000):
        with pytest.raises(AppError, match="from 1 to 100"):
            client.predict(handle_file(text), step, api_name="/predict_video")
    assert files_in(demo[1]) == []


def test_a_clip_in_words(demo):
    import pandas as pd
    from clip_story import lasting_people, name_unclear, story

    happy = np.zeros(100)
    happy[40:80] = 1
    emotion = np.where(happy > 0, "happiness", "anger")
    table = pd.DataFrame({"time": np.arange(100) / 10, "person": 1, "emotion": emotion, "confidence": 0.9})
    assert story(table) == "anger 60 % of the time, happiness 40 %; 2 changes"
    assert story(table[:30]) == "anger > 99 % of the time; no change"
    table.loc[:19, "confidence"] = 0.4
    assert "no clear emotion 20 %" in story(name_unclear(table, 0.5))
    flash = table[50:52].assign(person=2)
    assert [len(rows) for rows in lasting_people(pd.concat([table, flash]))] == [100]
    assert [len(rows) for rows in lasting_people(flash)] == [2], "better than nobody"


def test_what_is_said_of_the_example_clip_is_what_its_timeline_says(demo):
    import pandas as pd
    from clip_example import about

    times = np.arange(110) / 10
    table = pd.DataFrame({"time": times, "emotion": np.where(times < 6, "happiness", "fear")})
    assert "calls the smile happiness and the surprised face fear, which is wrong." in about(table)
    table.loc[table["time"] > 8, "emotion"] = "surprise"
    assert "fear most of the time, which is wrong." in about(table)
    assert "wrong" not in about(table.assign(emotion=np.where(times < 6, "happiness", "surprise")))


def test_the_example_clip_shows_what_it_is_said_to_show(demo):
    from clip_example import BENT

    fer = from_pretrained("gimefive-fast", backend="onnx")
    with VideoReader(CLIP) as video:
        frames = list(video)
    for _, meant, start, end in BENT:
        [face] = fer(next(frame.image for frame in frames if frame.time >= (start + end) / 2))
        assert face.emotion == meant


def test_the_example_clip_is_computed_once_for_all_its_visitors(demo):
    from concurrent.futures import ThreadPoolExecutor

    from clip_example import ExampleAnswer

    calls = []

    def make(progress):
        calls.append(progress)
        if len(calls) == 1:
            raise ValueError("not this time")
        return "status", "result"

    answer = ExampleAnswer(make)
    with pytest.raises(ValueError, match="not this time"):
        answer.get()
    with ThreadPoolExecutor(4) as pool:  # a failed attempt is made again, and once
        assert set(pool.map(answer.get, range(4))) == {("status", "result")}
    assert len(calls) == 2


def test_client_frame(demo, astronaut):
    from gradio_client import Client
    from photo import to_data_url

    client = Client(demo[0], verbose=False)
    [record] = client.predict(to_data_url(astronaut), api_name="/predict_frame")
    assert record["emotion"] == "happiness"
    assert sum(record["scores"].values()) == pytest.approx(1, abs=1e-4)
    assert client.predict(to_data_url(np.zeros((99, 99, 3), np.uint8)), api_name="/predict_frame") == []


def test_live_chart_and_history(demo, bundled, astronaut):
    """Thirty seconds are kept, and a gap breaks the line."""
    import webcam_tab

    session = webcam_tab.new_session(bundled)
    small = np.asarray(Image.fromarray(astronaut).resize((256, 256)))
    result = webcam_tab.process(bundled, session, small, heat=True, landmarks=True)
    assert result.people[0].heat is not None
    now, scores = session.history[-1]
    session.history.extendleft([(now - 3, scores), (now - 3.1, scores), (now - 40, scores)])
    webcam_tab.process(bundled, session, small, heat=False, landmarks=False)
    assert session.history[0][0] >= session.history[-1][0] - 30
    chart = webcam_tab.chart_html(session)
    assert chart.count("<path") == len(EMOTIONS)
    assert chart.count("M") == 2 * len(EMOTIONS)


def test_history_keeps_five_points_a_second_and_the_newest(demo):
    from collections import deque

    from webcam_tab import remember

    history: deque = deque()
    for index in range(1000):
        remember(history, index / 16, {"happiness": index / 1000})
        assert history[-1][0] == index / 16
    steps = np.diff([when for when, _ in history])
    assert 29 < history[-1][0] - history[0][0] <= 30
    assert steps[:-1].min() >= 0.2
    assert steps.max() < 0.3
    remember(history, 92, None)
    assert [when for when, _ in history] == [62.0, 62.25, 62.4375]
