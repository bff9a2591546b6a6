"""The demo's gate, attacked over HTTP as a stranger would: nothing but one's own uploads, and nothing that stays."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.cases.servers import files_in
from tests.conftest import make_tiny_checkpoint
from tests.images.test_fuzz import EXAMPLES, options

FILE = {"_type": "gradio.FileData"}
REFUSED = "A file in this request was not uploaded for it. Upload it again for each request."


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory):
    """A tiny random network: what is asked here has nothing to do with its answers."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def client(demo):
    with httpx.Client(base_url=demo[0], timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def photo(astronaut, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "astronaut.jpg"
    Image.fromarray(astronaut[:256, 100:356]).save(path)
    return path


@pytest.fixture
def victim(photo, tmp_path):
    """An image on the server's disk that no visitor has sent."""
    path = tmp_path / "victim.jpg"
    path.write_bytes(photo.read_bytes())
    return path


def wait_until(done, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def upload(client, path: Path, name: str = "me.jpg") -> str:
    [sent] = client.post("gradio_api/upload", files={"files": (name, path.read_bytes())}).raise_for_status().json()
    return sent


def call(client, name: str, data: list) -> httpx.Response:
    return client.post(f"gradio_api/call/{name}", json={"data": data})


def answer(client, name: str, data: list) -> str:
    event = call(client, name, data).raise_for_status().json()["event_id"]
    return client.get(f"gradio_api/call/{name}/{event}").text


def join(client, body: dict) -> httpx.Response:
    return client.post("gradio_api/queue/join", json={"session_hash": "stranger", **body})


def foreign_files(victim: Path) -> list:
    """Every way to name a file that is not one's own upload."""
    link = victim.parent / "link.jpg"
    link.unlink(missing_ok=True)
    link.symlink_to(victim)
    names: list = [victim, link, victim.parent, victim.parent / "missing.jpg", "/etc/passwd", "/dev/zero"]
    names += ["~", "\0", "", "/proc/self/environ"]
    names += [f"{victim.parent}/x/../victim.jpg", f"file://{victim}", f"//{victim}", f"/gradio_api/file={victim}"]
    names += ["http://127.0.0.1:1/x.jpg", "https://example.com/x.jpg", "data:image/png;base64,AAAA"]
    paths = [str(name) for name in names]
    payloads: list = [{"path": path} for path in paths]
    payloads += [{"path": path, "meta": FILE} for path in paths]
    payloads += [{"path": path, "url": "data:image/png;base64,AAAA", "meta": FILE} for path in paths if path]
    payloads += [{"url": path, "meta": FILE} for path in paths if not path.startswith("data:")]
    payloads += [{"path": path, "url": path, "is_stream": True, "meta": FILE} for path in paths]
    payloads += [[{"path": str(victim), "meta": FILE}], {"value": {"path": str(victim), "meta": FILE}}]
    payloads += [{"video": {"path": str(victim), "meta": FILE}}, {"path": [str(victim)]}]
    return [*payloads, {"path": {"path": str(victim)}}, str(victim), str(victim.parent), {"path": True}, {}, []]


@pytest.mark.parametrize("name", ["predict", "predict_video"])
def test_no_endpoint_takes_a_file_of_the_server(client, demo, victim, name):
    before = victim.read_bytes()
    for payload in foreign_files(victim):
        response = call(client, name, [payload, None])
        # one answer for all: not even whether a path exists is told
        assert (response.status_code, response.json()["detail"]) == (400, REFUSED), payload
    assert victim.read_bytes() == before
    assert files_in(demo[1]) == []


def test_no_event_of_the_page_takes_a_file_of_the_server(client, demo, victim):
    before = victim.read_bytes()
    config = client.get("config").json()
    for function in config["dependencies"]:
        for place in range(len(function["inputs"])):
            for payload in foreign_files(victim)[:: 11 if place else 3]:
                data = [None] * len(function["inputs"])
                data[place] = payload
                response = join(client, {"fn_index": function["id"], "data": data})
                if isinstance(payload, str) and response.status_code in (200, 503):
                    continue  # a text where one belongs
                assert response.status_code in (400, 422), (function["id"], payload)
                assert str(victim.parent) not in response.text
    assert victim.read_bytes() == before
    assert files_in(demo[1]) == []


def test_files_cannot_hide_in_other_parts_of_a_call(client, victim):
    hidden = {"path": str(victim), "meta": FILE}
    for body in (
        {"fn_index": 0, "data": hidden},
        {"fn_index": 0, "data": [hidden], "batched": True},
        {"fn_index": 0, "data": None, "event_data": hidden},
        {"fn_index": True, "data": [hidden]},
        {"fn_index": "0", "data": [hidden]},
        {"fn_index": -1, "data": [hidden]},
        {"fn_index": 10**9, "data": [hidden]},
        {"data": [hidden]},
    ):
        assert join(client, body).status_code in (400, 404, 422), body
    assert client.post("gradio_api/call/v2/predict", json={"photo": hidden}).status_code == 400
    for body in ({"other": 1}, {}):
        assert client.post("gradio_api/call/v2/predict", json=body).status_code == 422
    assert victim.exists()


def test_the_ledger_reads_and_deletes_nothing_else_without_the_gate(demo, victim):
    """Behind the gate a component stands on its own feet."""
    import gradio as gr
    from clip_tab import Clip
    from gradio.data_classes import FileData, ImageData
    from photo import Photo
    from server.uploads import Uploads

    uploads = Uploads(victim.parent)
    for component, model in ((Photo, ImageData), (Clip, FileData)):
        with pytest.raises(gr.Error, match="not uploaded"):
            component(render=False).kept_in(uploads).preprocess(model(path=str(victim)))
    uploads.drop(str(victim))
    uploads.close()
    assert victim.exists()


def test_only_what_the_page_needs_is_served(client, victim, demo):
    name = victim.as_posix()
    paths = [f"file/{name}", f"file={name}", "file=/etc/passwd", "deep_link?session_hash=x", "runs"]
    paths += ["proxy=http://127.0.0.1:1/", "stream/a/b/1/playlist.m3u8", "custom_component/1/client/component/x"]
    for path in (f"file={name}", "monitoring", "monitoring/summary", *(f"gradio_api/{path}" for path in paths)):
        assert client.get(path).status_code == 404, path
    body = {"data": [{"path": name}, False], "fn_index": 0}
    paths = ["run/predict", "api/predict", "component_server", "process_recording", "vibe-edit", "login", "mcp"]
    paths += ["call/hold", "call/show", "call/run", "call/_js_fn", "stream/abc"]
    for path in paths:
        assert client.post(f"gradio_api/{path}", json=body).status_code == 404, path
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert client.request(method, "gradio_api/upload").status_code == 404
    assert victim.exists()


def test_another_visitors_upload_is_out_of_reach(client, demo, photo):
    mine = upload(client, photo)
    folder, name = Path(mine).parent, Path(mine).name
    for path in (folder.parent / name, folder / "other.jpg", folder.parent / ("0" * 32) / name, folder / "x" / name):
        assert call(client, "predict", [{"path": str(path), "meta": FILE}, False]).json()["detail"] == REFUSED
    assert "emotion" in answer(client, "predict", [{"path": mine, "meta": FILE}, False])
    assert call(client, "predict", [{"path": mine, "meta": FILE}, False]).json()["detail"] == REFUSED  # once
    assert files_in(demo[1]) == []


def test_places_of_uploads_are_private(client, demo, photo):
    path = Path(upload(client, photo, "../../../../tmp/..\\evil name.jpg"))
    assert path.is_relative_to(demo[1])
    assert path.name == "evil name.jpg"
    assert path.parent.stat().st_mode & 0o77 == 0
    assert path.parents[1].stat().st_mode & 0o77 == 0
    answer(client, "predict", [{"path": str(path)}, False])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "192.168.0.1", "[::2]", ""]
)
def test_the_server_answers_to_its_own_names_alone(client, host):
    """A page of another name that was made to point here gets nothing (DNS rebinding)."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert client.get("config", headers=headers).status_code == 403
    assert client.post("gradio_api/upload", headers=headers, files={"files": b"x"}).status_code == 403


def test_pages_of_other_names_cannot_use_the_server(client, demo):
    host = urlsplit(demo[0]).netloc
    for origin in ("http://evil.example", "null", "http://localhost:1", f"ftp://{host}", "file://", f"http://x@{host}"):
        assert client.get("config", headers={"Origin": origin}).status_code == 403, origin
    assert client.get("config", headers={"Origin": f"http://{host}"}).status_code == 200
    forged = {"X-Forwarded-Host": "evil.example", "X-Gradio-Server": "http://evil.example"}
    answer = client.get("config", headers=forged)
    assert "evil" not in answer.text


def test_hosts_that_the_user_gave(demo, monkeypatch):
    from server.hosts import Hosts

    assert Hosts("fer.lan").trusts("FER.lan:7860")
    assert not Hosts("fer.lan").trusts("10.0.0.1")
    assert Hosts("0.0.0.0").trusts("10.0.0.1:7860")
    assert not Hosts("0.0.0.0").trusts("evil.example")
    assert Hosts("::").trusts("[fe80::1]:7860")
    proxied = Hosts("127.0.0.1", ["faces.example"])
    assert proxied.trusts("faces.example")
    assert proxied.trusts_origin("https://faces.example", "127.0.0.1:7860")
    assert not proxied.trusts_origin("https://other.example", "127.0.0.1:7860")
    monkeypatch.setenv("SPACE_HOST", "me-gimefive.hf.space")
    assert Hosts("0.0.0.0").trusts("me-gimefive.hf.space")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"data": {}}', b'{"data": 1}', b'{"data": []}'),
        *(b'{"data": [NaN, 1]}', b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"data": [' + b"9" * 5000 + b"]}"),
    ],
    ids=range(11),
)
def test_broken_json_is_refused(client, body):
    for path in ("call/predict", "queue/join", "call/v2/predict", "cancel"):
        response = client.post(f"gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 404, 413, 422), path


def test_large_bodies_are_not_read(client, demo):
    sent = 0

    def chunks():
        nonlocal sent
        for sent in range(300):  # noqa: B007 (read outside)
            yield b" " * (1 << 20)

    for path in ("call/predict", "queue/join", "upload", "cancel"):
        headers = {"Content-Type": "multipart/form-data; boundary=x" if path == "upload" else "application/json"}
        with contextlib.suppress(httpx.TransportError):  # the server hangs up
            assert client.post(f"gradio_api/{path}", content=chunks(), headers=headers).status_code in (400, 413), path
        assert sent < 100, "it hangs up long before all has come"
    response = client.post("gradio_api/upload", files={"files": ("big.jpg", bytes(21 << 20))})
    assert response.status_code == 413
    assert files_in(demo[1]) == []


def test_aborted_uploads_leave_nothing(demo):
    place = urlsplit(demo[0])
    for _ in range(20):
        with socket.create_connection((place.hostname, place.port)) as connection:
            head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 3000000\r\n"
            head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            part = '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
            connection.sendall((head + part).encode() + bytes(1_500_000))
    time.sleep(0.5)
    assert files_in(demo[1]) == []


def test_files_end_with_their_request(client, demo, photo):
    """Success, a broken photo, a cancelled request, a client that left: nothing is left a second later."""
    text = photo.parent / "text.jpg"
    text.write_text("no photo")
    answer(client, "predict", [{"path": upload(client, photo)}, False])
    assert files_in(demo[1]) == []
    assert "not an image" in answer(client, "predict", [{"path": upload(client, text)}, False])
    assert files_in(demo[1]) == []
    body = {"session_hash": "leaver", "fn_index": predict_index(client)}
    waiting = []
    for _ in range(6):
        file = {"path": upload(client, photo)}
        waiting.append(join(client, {**body, "data": [file, False]}).json()["event_id"])
    for event in waiting:
        client.post("gradio_api/cancel", json={**body, "event_id": event})
    wait_until(lambda: files_in(demo[1]) == [])


def photo_event(client) -> int:
    """The page's own event that takes a new photo."""
    functions = client.get("config").json()["dependencies"]
    return next(f["id"] for f in functions if f["targets"] and f["targets"][0][1] == "input" and len(f["inputs"]) == 5)


def predict_index(client) -> int:
    [index] = [f["id"] for f in client.get("config").json()["dependencies"] if f["api_name"] == "predict"]
    return index


def test_a_full_queue_keeps_no_file_and_loses_none(client, demo, photo):
    """What waits keeps its file however long it waits; what is refused leaves none."""

    def send(path: str) -> tuple[int, str]:
        response = call(client, "predict", [{"path": path}, True])
        if response.status_code != 200:
            return response.status_code, ""
        return 200, client.get(f"gradio_api/call/predict/{response.json()['event_id']}").text

    paths = [upload(client, photo) for _ in range(38)]
    with ThreadPoolExecutor(38) as pool:
        answers = list(pool.map(send, paths))
    assert {status for status, _ in answers} == {200, 503}
    assert [text for status, text in answers if status == 200 and "emotion" not in text] == []
    assert files_in(demo[1]) == []


def test_one_photo_sent_many_times_at_once_under_one_name(client, demo, photo):
    def send(_: int) -> str:
        return answer(client, "predict", [{"path": upload(client, photo, "same.jpg")}, True])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(send, range(16)))
    assert all("emotion" in result for result in results)
    assert files_in(demo[1]) == []


def test_the_ledger_sweeps_by_owner_and_age(demo, tmp_path):
    import io

    from server.uploads import MAX_BYTES, UNCLAIMED_SECONDS, FullError, NotAnUploadError, Uploads

    uploads = Uploads(tmp_path)
    queued, waiting, ended = (uploads.add(f"{name}.jpg", io.BytesIO(b"x"), 1) for name in "abc")
    uploads.claim([queued, ended])
    uploads.bind([queued], "alive")
    uploads.bind([ended], "gone")
    now = time.monotonic()
    uploads.drop_all(uploads.overdue({"alive"}, now))
    assert [Path(path).exists() for path in (queued, waiting, ended)] == [True, True, False]
    uploads.drop_all(uploads.overdue({"alive"}, now + 10 * UNCLAIMED_SECONDS))
    assert [Path(path).exists() for path in (queued, waiting, ended)] == [True, False, False]
    with pytest.raises(FullError):
        uploads.add("big.mp4", io.BytesIO(b"x"), MAX_BYTES)
    with pytest.raises(NotAnUploadError):
        uploads.claim([queued])
    uploads.close()
    assert list(tmp_path.iterdir()) == []


def test_uploads_of_a_killed_server_are_deleted_by_the_next(demo, tmp_path):
    from server.uploads import PREFIX, Uploads

    left = tmp_path / f"{PREFIX}killed" / "0"
    left.mkdir(parents=True)
    (left / "face.jpg").write_bytes(b"x")
    alive = Uploads(tmp_path)
    other = Uploads(tmp_path)
    assert not left.exists()
    assert alive.folder.exists()
    alive.close()
    other.close()


def test_sessions_keep_no_photo_and_no_result(client, demo, photo):
    """Photos and answers of ended requests are not in the server's memory; sessions are few."""
    from server.sessions import CAPACITY

    holder = running_page().state_holder
    for number in range(3):
        file = {"path": upload(client, photo)}
        data = [file, "", False, False, "automatic"]
        body = {"session_hash": f"visitor{number}", "fn_index": photo_event(client), "data": data}
        client.post("gradio_api/queue/join", json=body).raise_for_status()
    for number in range(3):
        with client.stream("GET", f"gradio_api/queue/data?session_hash=visitor{number}") as stream:
            for line in stream.iter_lines():
                if "process_completed" in line:
                    assert "data:image" in line
                    break
    text = json.dumps([session.config_values for session in holder.session_data.values()], default=str)
    assert "data:image" not in text
    for number in range(2 * CAPACITY):
        holder[f"passer-by-{number}"]
    assert len(holder.session_data) <= CAPACITY
    later = {key: used.replace(year=2000) for key, used in holder.time_last_used.items()}
    holder.time_last_used.update(later)
    holder.delete_all_expired_state()
    assert len(holder.session_data) == 0


def running_page():
    """The demo's Blocks."""
    import gc

    import gradio as gr

    return next(block for block in gc.get_objects() if isinstance(block, gr.Blocks) and block.is_running)


def test_answers_that_nobody_fetches_are_dropped(demo):
    import asyncio
    from types import SimpleNamespace

    from server.sessions import UNREAD_SECONDS, UnreadAnswers

    queue = SimpleNamespace(
        pending_messages_per_session={"left": asyncio.Queue(), "works": asyncio.Queue()},
        pending_event_ids_session={"left": {"1"}, "works": {"2"}},
    )
    unread = UnreadAnswers(queue)
    unread.sweep({"2"}, 0)
    unread.sweep({"2"}, UNREAD_SECONDS - 1)
    assert "left" in queue.pending_messages_per_session
    unread.sweep({"2"}, UNREAD_SECONDS + 1)
    assert list(queue.pending_messages_per_session) == list(queue.pending_event_ids_session) == ["works"]


KEYS = ["path", "url", "meta", "data", "video", "orig_name", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
BODIES = JSON | st.fixed_dictionaries(
    {"data": st.lists(JSON, max_size=6)},
    optional={
        "fn_index": st.integers(-2, 20) | JSON,
        "session_hash": st.just("fuzz") | JSON,
        "event_data": JSON,
        "trigger_id": JSON,
    },
)
ROUTES = ["queue/join", "cancel", "reset", "stream/x", "stream/x/close", "upload", "call/predict", "call/explain"]
ROUTES += ["call/predict_video", "call/predict_frame", "call/v2/predict", "call/v2/explain", "component_server"]


@settings(max_examples=EXAMPLES // 4, **options)
@given(route=st.sampled_from(ROUTES), body=BODIES)
def test_any_json_gets_an_answer(client, route, body):
    """No error of the server's own, whatever is sent; the texts name no path."""
    response = client.post(f"gradio_api/{route}", json=body)
    assert response.status_code in (200, 400, 404, 413, 415, 422, 503), (route, body, response.text)
    assert "/tmp/" not in response.text.replace(json.dumps(body), "")
