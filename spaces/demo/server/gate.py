"""
The one door of the demo: what a request may name and how large it may be is checked before Gradio sees it.

Gradio (6.31) checks the paths in a request only where the sender marks them as files, hands them to components as they
are, downloads addresses in their place, and serves more routes than this page has use for.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .checks import RequestError, check_call, claimed_paths
from .hosts import Hosts
from .uploads import FullError, NotAnUploadError, Uploads

MAX_UPLOAD = 20 << 20
# Of a JSON body. Photos and clips come as uploads; what comes as JSON is a photo the page holds, or a camera's frame.
MAX_JSON = 8 << 20
MAX_FILES = 4
API = "/gradio_api"
# What the page, gradio_client and curl ask for; everything else that Gradio serves is closed.
OPEN_GET = re.compile(
    r"/|/config/?|/theme\.css|/robots\.txt|/favicon\.ico|/manifest\.json|/pwa_icon(/\d+)?"
    r"|/(assets|static|svelte)/.+|/login_check/?"
    rf"|{API}/(info/?|openapi\.json|theme\.css|startup-events|app_id/?|login_check/?|queue/data|queue/status)"
    rf"|{API}/heartbeat/[\w-]{{1,64}}|{API}/call/(v2/)?\w+/[\w-]{{1,64}}"
)
CALLS = re.compile(rf"{API}/(?P<kind>queue/join|call/v2/(?P<v2>\w+)|call/(?P<name>\w+)|stream/(?P<event>\w{{1,64}}))/?")
# Bodies without any data of a visitor: ids alone.
IDS = re.compile(rf"{API}/(cancel|reset/?|stream/\w{{1,64}}/close)")
MAX_IDS = 4096


class Gate:
    """ASGI middleware in front of the Gradio app whose `blocks` it asks for endpoints and events."""

    def __init__(self, app: ASGIApp, uploads: Uploads, hosts: Hosts, blocks: Any) -> None:
        self.app, self.uploads, self.hosts, self.blocks = app, uploads, hosts, blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None  # the page uses no web socket
        request = Request(scope, receive)
        host = request.headers.get("host", "")
        if not self.hosts.trusts(host) or not self.hosts.trusts_origin(request.headers.get("origin"), host):
            response: Response = PlainTextResponse("This server does not answer to that name.", 403)
            return await response(scope, receive, send)
        scope["headers"] = [(k, v) for k, v in scope["headers"] if not self.is_forged(k, v)]
        body = Body(receive)
        try:
            await self.route(Request(scope, body.receive), scope, body.receive, send)
        except RequestError as error:
            answer = {"detail": str(error), "error": str(error)}
            # what is left of a large body that is refused is not worth reading
            small = scope["method"] != "POST" or await body.drain(announced_length(request))
            headers = None if small else {"Connection": "close"}
            await JSONResponse(answer, error.status, headers)(scope, receive, send)
        except ClientDisconnect:
            pass  # nobody is left to answer
        return None

    def is_forged(self, name: bytes, value: bytes) -> bool:
        """Whether a header would make Gradio write another server's address into its answers."""
        if name == b"x-gradio-server":
            return True
        return name == b"x-forwarded-host" and not self.hosts.trusts(value.decode("latin-1").split(",")[0].strip())

    async def route(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD"):
            if not OPEN_GET.fullmatch(path) and not self.is_own_upload(path):
                raise RequestError("Not found.", 404)
            return await self.app(scope, receive, send)
        if method != "POST":
            raise RequestError("Not found.", 404)
        if path.rstrip("/") == f"{API}/upload":
            return await (await self.upload(request))(scope, receive, send)
        if match := CALLS.fullmatch(path):
            return await self.call(match, request, scope, send)
        if IDS.fullmatch(path):
            body = await read_json(request, MAX_IDS)
            return await self.app(scope, replay(body, receive), send)
        raise RequestError("Not found.", 404)

    def is_own_upload(self, path: str) -> bool:
        """Whether it asks for the preview of an upload that is still here."""
        prefix = f"{API}/file="
        return path.startswith(prefix) and self.uploads.holds(unquote(path[len(prefix) :]))

    async def upload(self, request: Request) -> Response:
        """Take files into the ledger. A body that is too large or breaks off leaves nothing behind."""
        limit = MAX_UPLOAD + 8192
        if announced_length(request) > limit:
            raise RequestError(f"Files may have {MAX_UPLOAD >> 20} MB at most.", 413)
        kept: list[str] = []
        try:
            # Starlette spools to files without a name, which vanish with the request however it ends
            limited = Request(request.scope, capped(request.receive, limit))
            async with limited.form(max_files=MAX_FILES, max_fields=MAX_FILES) as parts:
                for _, file in parts.multi_items():
                    if not isinstance(file, str):
                        added = run_in_threadpool(self.uploads.add, file.filename or "", file.file, file.size or 0)
                        kept.append(await added)
        except BaseException as error:
            for path in kept:
                self.uploads.drop(path)
            if isinstance(error, FullError):
                raise RequestError(str(error), 503) from None
            if isinstance(error, (HTTPException, MultiPartException, KeyError)):
                raise RequestError("Expected files in a multipart form.", 400) from None
            raise
        if not kept:
            raise RequestError("Expected files in a multipart form.", 400)
        return JSONResponse(kept)

    async def call(self, match: re.Match[str], request: Request, scope: Scope, send: Send) -> None:
        """Check a call's JSON, give it the files that it names, and let Gradio take it."""
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise RequestError("Expected JSON, with the header Content-Type: application/json.", 415)
        body = await read_json(request, MAX_JSON)
        try:
            checked = check_call(self.blocks, match, body)
        except RecursionError:
            raise RequestError("Expected a JSON object.", 400) from None
        paths = claimed_paths(checked)
        try:
            self.uploads.claim(paths)
        except NotAnUploadError as error:
            raise RequestError(str(error), 400) from None
        event = EventId(send)
        try:
            await self.app(scope, replay(checked, request.receive), event.send)
        finally:
            if event.found is None:
                for path in paths:
                    self.uploads.drop(path)
            else:
                self.uploads.bind(paths, event.found)


class Body:
    """A request's body, of which it is known whether all of it was read."""

    SMALL = 1 << 16

    def __init__(self, receive: Receive) -> None:
        self.source, self.is_read = receive, False

    async def receive(self) -> Message:
        message = await self.source()
        self.is_read |= message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def drain(self, announced: int) -> bool:
        """Read the rest if it is small; a client whose words are left unread may never see the answer."""
        left = self.SMALL - announced
        while not self.is_read and left >= 0:
            left -= len((await self.receive()).get("body", b""))
        return self.is_read


class EventId:
    """Listens to Gradio's answer for the id of the event that now waits in the queue; None if the call was refused."""

    def __init__(self, send: Send) -> None:
        self.forward, self.body, self.found = send, b"", None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body" and len(self.body) < 1000:
            self.body += message.get("body", b"")
            with contextlib.suppress(ValueError, AttributeError):
                self.found = json.loads(self.body).get("event_id", self.found)
        await self.forward(message)


def capped(receive: Receive, limit: int) -> Receive:
    """The same stream, which breaks off with RequestError beyond `limit` bytes: a length may be missing or a lie."""
    left = limit

    async def read() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise RequestError(f"A request may have {limit >> 20} MB at most.", 413)
        return message

    return read


def announced_length(request: Request) -> int:
    """The body's length as its header says, or 0 where it says nothing of use."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


async def read_json(request: Request, limit: int) -> Any:
    """The body, at most `limit` bytes of it read. Raises RequestError."""
    if announced_length(request) > limit:
        raise RequestError(f"A request may have {max(limit >> 20, 1)} MB at most.", 413)
    data = await Request(request.scope, capped(request.receive, limit)).body()
    try:
        body = json.loads(data, parse_constant=refuse_constant)
    except (ValueError, RecursionError):  # broken, NaN, a figure of 5,000 digits, or nested a thousand deep
        raise RequestError("Expected a JSON object.", 400) from None
    if not isinstance(body, dict):
        raise RequestError("Expected a JSON object.", 400)
    return body


def refuse_constant(name: str) -> None:
    raise ValueError(name)


def replay(body: Any, receive: Receive) -> Receive:
    """A stream that gives the checked body once, and then what the client does."""
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
    )

    async def read() -> Message:
        return next(messages, None) or await receive()

    return read


def living_events(blocks: Any) -> set[str]:
    """The ids of the events that wait in Gradio's queue or are at work."""
    queue = blocks._queue
    waiting = {event._id for line in queue.event_queue_per_concurrency_id.values() for event in line.queue}
    return waiting | {event._id for job in queue.active_jobs if job for event in job}
