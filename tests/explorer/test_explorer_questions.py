"""
Questions that a reviewer asks, each answered by the explorer of the real store within two clicks, in Chromium.

With GIMEFIVE_SCREENSHOTS=DIR each answer is also kept as a picture, light, dark and on a phone.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.servers import free_port, streamlit_answers

pytest.importorskip("streamlit", reason="the explorer's own requirement")

ROOT = Path(__file__).parents[2]
# Question → the clicks from the first page, what the answer says, and the beginning of the name of the chart or table
# that shows it; of the others the sentence is all of the answer.
QUESTIONS = {
    "which class of which corpus is worst": (
        [],
        r"of the [\d,]+ faces labelled \w+ in the test split of .+ recognises [\d.]+ % \[",
        "",
    ),
    "show me those very mistakes": (
        ["These very mistakes"],
        r"[\d,]+ of [\d,]+ test images of \w+ of .+ are taken for",
        "csv-failures-gimefive-",
    ),
    "is the flagship better than another, or is that chance": (
        ["Model against model"],
        r"On [\d,]+ shared images .*: a difference in accuracy of [+-][\d.]+ points \[",
        "chart-compare-gimefive-",
    ),
    "what does a millisecond buy": ([], r"what accuracy on RAF-DB costs", "chart-cost-milliseconds"),
    "does the paper's order of networks hold": (
        ["The paper's table"],
        r"rank correlation with the paper's order is -?[\d.]+",
        "chart-paper-table-",
    ),
    "are the scores worth their face value": (
        ["Calibration"],
        r"[\d,]+ images in \d+ of 15 bins",
        "chart-calibration-gimefive-",
    ),
    "what does the way from photo to label cost": (
        ["As deployed"],
        r"From photo to label .* is right on [\d.]+ %, [+-][\d.]+ points",
        "chart-deployed-",
    ),
    "what do people with glasses get": (["Robustness"], r"glasses [\d.]+ % \[", "chart-robustness-gimefive"),
    "do women and men get the same": (["Fairness"], r"permutation test p = [\d.]+", "chart-sex-gimefive"),
    "how far do corpora carry": (["Cross-dataset"], r"number of test images n", "chart-cross-trained-accuracy"),
    "how much of FER2013 is label noise": (
        ["The labels"],
        r"about \d+ % of the labels are noise by that measure",
        "chart-annotators-gimefive",
    ),
    "where does it look": (["Attention"], r"Mean over [\d,]+ test images", "chart-attention-gimefive-"),
}
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 1400}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 1400}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 1400}, "color_scheme": "light"},
}


@pytest.fixture(scope="module")
def url():
    port = free_port()
    command = [sys.executable, str(ROOT / "spaces/explorer/serve.py"), "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("GIMEFIVE_STORE", None)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert streamlit_answers(port, process), "Streamlit ended"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(120)  # torch is imported to its end first


def open_page(browser, **options):
    context = browser.new_context(**options)
    context.set_default_timeout(120_000)  # of a machine that does other things too
    return context.new_page()


@pytest.mark.browser
@pytest.mark.slow  # starts Streamlit and opens a dozen pages
def test_every_question_is_answered_within_two_clicks(url, chromium):
    from playwright.sync_api import sync_playwright

    pictures = os.environ.get("GIMEFIVE_SCREENSHOTS")
    assert len(QUESTIONS) >= 10 and all(len(clicks) <= 2 for clicks, *_ in QUESTIONS.values())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for look, options in LOOKS.items() if pictures else [("light", LOOKS["light"])]:
            page = open_page(browser, **options)
            for number, (question, (clicks, answer, shown)) in enumerate(QUESTIONS.items()):
                page.goto(url)
                page.get_by_text("Where gimefive is weakest").wait_for()
                for click in clicks:
                    link = page.get_by_role("link", name=click, exact=True)  # its name, without its icon's
                    link.wait_for(state="attached")
                    pages = page.get_by_test_id("stExpandSidebarButton")  # a phone hides the list of pages
                    if pages.is_visible() and link.get_attribute("data-testid") == "stSidebarNavLink":
                        pages.click()
                    if link.get_attribute("target") == "_blank":
                        with page.expect_popup() as opened:
                            link.click()
                        page = opened.value
                    else:
                        link.click()
                found = page.get_by_text(re.compile(answer)).filter(visible=True).first
                found.wait_for()
                if shown.startswith("chart-"):  # with marks in it, not only its frame
                    chart = page.locator(f'[class*="st-key-{shown}"]').filter(visible=True).first
                    chart.locator(".scatterlayer .points path, .heatmaplayer image").first.wait_for()
                elif shown:
                    page.locator(f'[class*="st-key-{shown}"]').first.wait_for()
                assert page.get_by_test_id("stException").count() == 0, question
                if pictures:
                    page.wait_for_timeout(4000)
                    page.screenshot(path=f"{pictures}/{number}-{look}.png")
        browser.close()


@pytest.mark.browser
@pytest.mark.slow  # the same
def test_back_restores_the_choice(url, chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = open_page(browser)
        page.goto(f"{url}/failures?corpus=FER2013&label=fear&predicted=sadness")
        page.get_by_text(re.compile(r"test images of fear of FER2013 are taken for sadness")).wait_for()
        cards = page.get_by_text("taken for").all_inner_texts()
        assert all("fear" in text and "sadness" in text for text in cards), cards
        page.get_by_role("link", name="Calibration", exact=True).click()
        page.get_by_text("If it may abstain").wait_for()
        page.go_back()
        page.get_by_text(re.compile(r"test images of fear of FER2013 are taken for sadness")).wait_for()
        browser.close()


@pytest.mark.browser
@pytest.mark.slow  # the same, and loads every network
def test_a_photo_is_read_by_every_model(url, chromium, astronaut, tmp_path):
    """Boxes and numbers on the photo, all models side by side; nothing says that no photo is there once one is."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    Image.fromarray(astronaut).save(tmp_path / "astronaut.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = open_page(browser)
        page.goto(f"{url}/try_it")
        page.get_by_text("No photo yet").wait_for()
        page.locator("input[type=file]").set_input_files(tmp_path / "astronaut.png")
        page.get_by_text("Face 1 of 1.").wait_for()
        assert page.get_by_text("No photo yet").count() == 0
        page.get_by_role("img", name="the photo, 1 face found").wait_for()
        for name in ("gimefive", "gimefive-fast", "gimefive-paper"):
            page.get_by_text(re.compile(rf"Face 1 of 1\..*{name}: happiness")).wait_for()
        browser.close()
