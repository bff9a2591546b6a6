"""A static server on loopback for the browser's page, with the headers that a good host sends."""

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

PORT = 7870
HEADERS = {
    # the page says the same of itself, for hosts that send no headers; this holds for its worker's scripts as well
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files of one folder and no listing of it."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: str) -> None:  # type: ignore[override]
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of `folder` on 127.0.0.1; port 0 takes a free one. Raises ValueError if the port is taken."""
    handler = functools.partial(Handler, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ValueError(f"port {port} cannot be used ({error.strerror}); give another with --port") from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def serve(folder: Path, port: int = PORT) -> None:
    """Serve until interrupted."""
    with serving(folder, port) as url, contextlib.suppress(KeyboardInterrupt):
        print(f"open {url}, stop with Ctrl-C")
        threading.Event().wait()
    print()
