"""
A small Hub on loopback: enough of the Hub's HTTP interface for huggingface_hub to push to and load from.

    with hub() as server:
        environment = os.environ | server.environment   # for a subprocess; the client reads it when it is imported
        server.repos["model", "user/name"].files        # {path: bytes} after a push

Repositories live in memory: models, datasets and Spaces, public or private, with commits and large files.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from urllib.parse import unquote, urlsplit

TOKEN = "hf_loopback"
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
LARGE = 100_000  # bytes from which a file is uploaded by its hash, as the Hub demands of binary files


@dataclass
class Repo:
    """`commits` holds (hash, {path: bytes}), oldest first."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=lambda: [("0" * 40, {})])

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1][1]

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision in ("main", "HEAD"):
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.collections: dict[str, dict] = {}
        self.troubles: list[int] = []  # answers to the next calls; 200: as ever, 0: hangs up without one
        self.retry_after: int | None = None  # seconds, which answers of trouble then ask to wait for
        self.at_call: Callable[[int], None] = lambda number: None  # told of each call, from 1, before it is answered
        self.paid: set[str] = set()  # kinds of repositories that this user may not make

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *args) -> None:
        pass

    def answer(self, body=b"", status: int = 200, **headers) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content_Length": len(data)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str) -> None:
        self.answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def find(self, kind: str, name: str) -> Repo | None:
        """The repository; a private one is not there for those who have no token."""
        repo = self.server.repos.get((kind, name))
        return repo if repo and (not repo.private or self.authorized()) else None

    def handle_any(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self.body()
        self.server.calls.append(f"{self.command} {path}")
        self.server.at_call(len(self.server.calls))
        trouble = self.server.troubles.pop(0) if self.server.troubles else 200
        if trouble == 0:
            return self.connection.shutdown(SHUT_RDWR)
        if trouble != 200:
            asked = {} if self.server.retry_after is None else {"Retry_After": self.server.retry_after}
            return self.answer({"error": "Trouble"}, trouble, X_Error_Message="Trouble", **asked)
        open_to_all = path == "/api/validate-yaml" or path.startswith("/large/")  # the Hub signs the latter's addresses
        if self.command in ("POST", "PUT") and not self.authorized() and not open_to_all:
            return self.refuse(401, "Unauthorized")
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if path == "/api/whoami-v2":
            return (
                self.answer({"name": "user", "type": "user", "orgs": []})
                if self.authorized()
                else self.refuse(401, "?")
            )
        if path.startswith("/api/collections"):
            return self.handle_collections(path.removeprefix("/api/collections").strip("/"), body)
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path.startswith("/large/"):
            return self.store_large(path.removeprefix("/large/"), body)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.answer_batch(json.loads(body))
        return self.handle_repo(path.strip("/").split("/"), body)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def create(self, wanted: dict) -> None:
        kind = wanted.get("type") or "model"
        name = wanted["name"] if "/" in wanted["name"] else f"{wanted.get('organization') or 'user'}/{wanted['name']}"
        url = {"url": f"{self.server.url}/{PREFIXES[kind]}{name}"}
        if kind in self.server.paid:
            return self.refuse(402, "PaymentRequired")
        if name in {taken for _, taken in self.server.repos}:
            return self.answer(url | {"error": "You already created this repo"}, 409)
        self.server.repos[kind, name] = Repo(wanted.get("private") or wanted.get("visibility") == "private")
        return self.answer(url)

    def handle_collections(self, slug: str, body: bytes) -> None:
        """Create a collection, tell of one, add an item to one."""
        collections = self.server.collections
        if not slug:
            wanted = json.loads(body)
            slug = f"{wanted['namespace']}/{wanted['title'].lower().replace(' ', '-')}-0123456789abcdef01234567"
            if slug in collections:
                return self.answer({"error": "exists", "slug": slug}, 409, X_Error_Code="Conflict")
            about = {"slug": slug, "title": wanted["title"], "description": wanted.get("description")}
            rest = {"owner": {"name": "user", "type": "user"}, "items": [], "lastUpdated": "2026-11-23T00:00:00.000Z"}
            fixed = {"position": 0, "private": False, "theme": "orange", "upvotes": 0}
            collections[slug] = about | rest | fixed
            return self.answer(collections[slug])
        if slug.endswith("/items"):
            found, item = collections[slug.removesuffix("/items")], json.loads(body)["item"]
            if any((i["id"], i["type"]) == (item["id"], item["type"]) for i in found["items"]):
                return self.answer({"error": "exists"}, 409, X_Error_Code="Conflict")
            found["items"].append({"_id": f"{len(found['items']):024}", "position": len(found["items"]), **item})
            return self.answer(found)
        return self.answer(collections[slug])

    def store_large(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self.refuse(400, "WrongHash")
        self.server.large[oid] = body
        return self.answer()

    def answer_batch(self, wanted: dict) -> None:
        objects = [
            {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": f"{self.server.url}/large/{o['oid']}"}}}
            for o in wanted["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects}, Content_Type="application/vnd.git-lfs+json")

    def handle_repo(self, parts: list[str], body: bytes) -> None:
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = next((k for k in PREFIXES if parts[0] == f"{k}s"), "model")
        parts = parts[1:] if parts[0] == f"{kind}s" else parts
        name, action = "/".join(parts[:2]), parts[2:]
        repo = self.find(kind, name)
        if repo is None:
            return self.refuse(404 if self.authorized() else 401, "RepoNotFound")
        if not action:
            action = ["revision", "main"]
        if action[0] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["size"] >= LARGE else "regular", "shouldIgnore": False}
                | ({"oid": oid(repo.files[f["path"]])} if f["path"] in repo.files else {})
                for f in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        if action[0] == "commit":
            return self.commit(kind, name, repo, body)
        found = repo.at(action[1])
        if found is None:
            return self.refuse(404, "RevisionNotFound")
        sha, files = found
        if action[0] == "revision":
            siblings = [{"rfilename": path} for path in files]
            return self.answer({"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "tags": []})
        if action[0] == "tree":
            return self.answer(
                [{"type": "file", "path": p, "size": len(d), "oid": git_hash(d)} for p, d in files.items()]
            )
        assert action[0] in ("resolve", "raw"), self.path
        return self.resolve("/".join(action[2:]), sha, files)

    def resolve(self, path: str, sha: str, files: dict[str, bytes]) -> None:
        if path not in files:
            return self.refuse(404, "EntryNotFound")
        data = files[path]
        self.answer(data, ETag=f'"{git_hash(data)}"', X_Repo_Commit=sha, Content_Type="application/octet-stream")

    def commit(self, kind: str, name: str, repo: Repo, body: bytes) -> None:
        files = dict(repo.files)
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                assert value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        sha = hashlib.sha1(f"{repo.commits[-1][0]}{len(repo.commits)}".encode() + body).hexdigest()
        repo.commits.append((sha, files))
        url = f"{self.server.url}/{PREFIXES[kind]}{name}/commit/{sha}"
        self.answer({"success": True, "commitOid": sha, "commitUrl": url})


def oid(data: bytes) -> str:
    """By which the client knows that it need not send a file again."""
    return hashlib.sha256(data).hexdigest() if len(data) >= LARGE else git_hash(data)


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def hub():
    """A running `HubServer`."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
