"""The demo for everybody: axe-core finds nothing serious on a desk, in the dark, on a phone; nothing scrolls aside."""

import shutil
import subprocess

import pytest

AXE = "axe-core@4.14.1"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The script of axe-core, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    if shutil.which("npm") is None or subprocess.run(["npm", "pack", AXE], cwd=folder, capture_output=True).returncode:
        pytest.skip(f"npm or the package {AXE} cannot be had here")
    [archive] = folder.glob("*.tgz")
    shutil.unpack_archive(archive, folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.slow  # three pages with three tabs, each searched by axe
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_axe_finds_nothing_serious(demo, browser, axe, width, theme):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(f"{demo[0]}?__theme={theme}")
    page.wait_for_selector("#photo-out")
    page.wait_for_timeout(1000)  # its script names what Gradio left unnamed
    page.evaluate(axe)
    for tab in ("Photo", "Clip", "Camera"):
        page.click(f'button[role=tab]:has-text("{tab}")')
        if tab == "Clip":
            page.wait_for_selector("#clip-out")  # it opens with an answer, which fades in
        page.wait_for_timeout(1000)
        found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
