"""Streamlit's scripts from memory, compressed, and asked for before they are needed, so that a first visit is short."""

import gzip
import mimetypes
import re
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# The parts of Streamlit's page that every page of ours begins with; it asks for each when the first element of its kind
# comes, which for charts, 4.7 MB, is a second too late.
SOON = ("Html", "Selectbox", "PlotlyChart")
IMPORTED = re.compile(r'(?:from|import)\s*"\./([\w.-]+\.js)"')
# Spares the page to look for its server under its own path first, and wait for the answer that it is not there.
ROOT = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL("./", location.href).href }</script>'
# Plotly runs for a second before it can draw. The browser does that while the server still computes the chart: once the
# headline is there, before which there is no time, and not when the chart comes.
EARLY = """<script>(function soon() {
  if (document.querySelector("[data-testid=stHeading]")) import("./static/js/%s"); else setTimeout(soon, 20);
})()</script>"""
COMPRESSED = {".js", ".css", ".html"}
YEAR = "public, immutable, max-age=31536000"  # the files' names change with their content


def needed_scripts(folder: Path, parts: tuple[str, ...] = SOON) -> list[str]:
    """The script of each part, and what it imports, in the order in which they run; without those that do not exist."""
    found: dict[str, None] = {}

    def visit(path: Path) -> None:
        if path.name not in found and path.is_file():
            found[path.name] = None
            for name in IMPORTED.findall(path.read_text(encoding="utf-8")):
                visit(path.parent / name)

    for part in parts:
        for path in sorted((folder / "js").glob(f"{part}.*.js")):
            visit(path)
    return list(found)


def with_preloads(page: str, scripts: list[str]) -> str:
    """The page with a link for each script that it does not ask for itself; what it needs at once goes before them."""
    links = [
        f'<link rel="modulepreload" fetchpriority="low" crossorigin href="./static/js/{name}">'
        for name in scripts
        if name not in page
    ]
    early = [EARLY % name for name in scripts if name.startswith("PlotlyChart.")]
    return page.replace("<script", f"{ROOT}<script", 1).replace("</head>", "".join(links + early) + "</head>", 1)


@cache  # the files of one folder, of those that are asked for
def response_of(path: Path, zipped: bool) -> Response:
    """A file as it goes out."""
    content = path.read_bytes()
    headers = {"Cache-Control": YEAR, "Vary": "Accept-Encoding"}
    if zipped:
        content, headers["Content-Encoding"] = gzip.compress(content, 6), "gzip"
    return Response(content, headers=headers, media_type=mimetypes.guess_type(path.name)[0])


class AssetsFromMemory:
    """
    Answers for the files under `/static/` and for the pages; everything else goes on to Streamlit, which reads a
    hundred files anew for each visitor and sends 9.3 MB uncompressed.
    """

    def __init__(self, app: ASGIApp, static: Path, pages: list[str]) -> None:
        """`static`: Streamlit's folder of files; `pages`: the paths that show its page."""
        self.app = app
        self.files = {f"/static/{p.relative_to(static / 'static').as_posix()}": p for p in static.glob("static/*/*")}
        page = with_preloads((static / "index.html").read_text(encoding="utf-8"), needed_scripts(static / "static"))
        self.page = Response(page, headers={"Cache-Control": "no-cache"}, media_type="text/html")
        self.pages = set(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self.app
        if scope["type"] == "http" and scope["method"] == "GET":
            if path := self.files.get(scope["path"]):
                wanted = "gzip" in Headers(scope=scope).get("accept-encoding", "")
                answer = response_of(path, wanted and path.suffix in COMPRESSED)
            elif scope["path"] in self.pages:
                answer = self.page
        await answer(scope, receive, send)
