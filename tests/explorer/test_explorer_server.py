"""What stands before Streamlit: its files from memory, and a page that asks for the charts at once."""

import gzip
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the explorer's own requirement")
import streamlit
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

EXPLORER = Path(__file__).parents[2] / "spaces" / "explorer"
STATIC = Path(streamlit.__file__).parent / "static"


@pytest.fixture(scope="module")
def client():
    sys.path.insert(0, str(EXPLORER))
    try:
        from parts.assets import AssetsFromMemory
    finally:
        sys.path.remove(str(EXPLORER))
    return TestClient(AssetsFromMemory(PlainTextResponse("Streamlit's"), STATIC, ["/", "/overview"]))


def test_a_script_is_what_streamlit_ships_but_smaller(client):
    (path,) = STATIC.glob("static/js/PlotlyChart.*.js")
    address = f"/static/js/{path.name}"
    with client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip" and len(sent) < path.stat().st_size / 3
    assert gzip.decompress(sent) == path.read_bytes()
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == path.read_bytes()
    assert "immutable" in plain.headers["cache-control"] and "javascript" in plain.headers["content-type"]


def test_the_page_asks_for_the_charts_at_once_and_for_nothing_that_is_not_there(client):
    page = client.get("/overview")
    links = re.findall(r'<link rel="modulepreload"[^>]* href="\./([^"]+)"', page.text)
    assert any("PlotlyChart" in link for link in links) and len(links) == len(set(links))
    assert all(client.get(f"/{link}").text != "Streamlit's" for link in links)
    (early,) = re.findall(r'import\("\./([^"]+)"\)', page.text)  # runs what the first chart needs, the same file
    assert "PlotlyChart" in early and early in links
    assert page.headers["cache-control"] == "no-cache"
    assert page.text.index("BACKEND_BASE_URL") < page.text.index('src="./static/js/index.')  # read when that runs


@pytest.mark.parametrize("path", ["/_stcore/health", "/static/../index.html", "/static/js/none.js", "/nobody"])
def test_all_else_is_streamlits(client, path):
    assert client.get(path).text == "Streamlit's"
    assert client.post("/overview").text == "Streamlit's"
