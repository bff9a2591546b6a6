"""`gimefive score --engine ray` on a cluster of two workers that the tests start and stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from gimefive_hf.cli import main
from gimefive_hf.folders.ray_engine import RayEngine
from gimefive_hf.folders.scoring import score_folder
from tests.cases.servers import free_port
from tests.cases.video_cases import image_folder, save_tiny, tiny_recognizer


@pytest.fixture(scope="module")
def cluster():
    """Address of a head and another node, of one core each, so of two workers."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster.address
    cluster.shutdown()


def worker_processes() -> list[psutil.Process]:
    """The processes of our pool, which Ray starts under this process's raylets."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "BatchWorker" in "".join(child.cmdline())]


def test_rows_of_the_local_engine_also_when_a_worker_is_killed(cluster, tmp_path):
    folder = image_folder(tmp_path / "crops", 200)
    (folder / "part1" / "broken.jpg").write_text("no image")
    with open(os.path.join(os.fsencode(folder), b"odd\xff.jpg"), "wb") as file:
        file.write((folder / "part0" / "00000.jpg").read_bytes())
    model = save_tiny(tmp_path / "model")
    score_folder(tiny_recognizer(), folder, tmp_path / "local.csv", crops=True, batch_size=4)
    killed: list[int] = []

    def kill_once(done: int, total: int) -> None:
        if 0 < done < total and not killed:
            worker = worker_processes()[0]
            killed.append(worker.pid)
            worker.send_signal(signal.SIGKILL)

    engine = RayEngine({"model": str(model)}, cluster)
    options = dict(crops=True, batch_size=4, engine=engine, progress=kill_once)
    summary = score_folder(tiny_recognizer(), folder, tmp_path / "ray.csv", **options)
    assert killed, "nobody was there to be killed"
    assert (summary.images, summary.faces, summary.failed) == (202, 201, 1)
    assert (tmp_path / "ray.csv").read_text() == (tmp_path / "local.csv").read_text()


@pytest.mark.slow  # starts a Ray of its own beside the cluster
def test_the_command_without_an_address(tmp_path, capsys):
    folder = image_folder(tmp_path / "crops", 5)
    call = ["score", str(folder), "--crops", "--model", str(save_tiny(tmp_path / "model")), "--precision", "fp32"]
    assert main([*call, "-o", str(tmp_path / "ray.parquet"), "--engine", "ray", "--workers", "1"]) == 0
    assert "5 images" in capsys.readouterr().err
    assert main([*call, "-o", str(tmp_path / "local.parquet")]) == 0
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()


@pytest.mark.slow  # starts a Ray of its own
def test_a_ray_of_our_own_listens_to_this_machine_only():
    """In a process of its own, because a Ray of the cluster above would be taken."""
    code = """
import os, psutil
from gimefive_hf.folders.ray_engine import connect
ray, _ = connect(None, 1)
assert ray.get(ray.remote(lambda: 7).remote()) == 7
me = psutil.Process()
sockets = [c for p in [me, *me.children(recursive=True)] for c in p.net_connections("inet") if c.status == "LISTEN"]
print(len(sockets) > 3, sorted({c.laddr.ip.removeprefix("::ffff:") for c in sockets}), dict(os.environ).get(
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"))
ray.shutdown()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True ['127.0.0.1'] None\n", done.stderr


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:PORT", "no Ray cluster answers at 127.0.0.1"),
        ("head", "HOST:PORT"),
        ("ray://head:10001", "HOST:PORT"),
    ],
)
def test_nobody_answers(tmp_path, capsys, address, message):
    folder = image_folder(tmp_path / "crops", 2)
    call = ["score", str(folder), "-o", str(tmp_path / "s.csv"), "--crops", "--engine", "ray"]
    start = time.monotonic()
    assert main([*call, "--address", address.replace("PORT", str(free_port()))]) == 2
    assert time.monotonic() - start < 20
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops"]


def test_without_ray(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gimefive_hf.folders.ray_engine.find_spec", lambda name: None)
    folder = image_folder(tmp_path / "crops", 2)
    assert main(["score", str(folder), "-o", str(tmp_path / "s.csv"), "--crops", "--engine", "ray"]) == 2
    assert 'pip install ".[ray]" in a clone' in capsys.readouterr().err
    assert main(["score", str(folder), "-o", str(tmp_path / "s.csv"), "--crops", "--address", "a:1"]) == 2
    assert "goes with --engine ray" in capsys.readouterr().err


def test_ray_is_not_imported_unless_asked_for(tmp_path):
    code = "import sys, gimefive_hf.folders.scoring, gimefive_hf.folders.ray_engine; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_a_storage_over_the_network(tmp_path, monkeypatch):
    """A real server; a file that vanishes between listing and reading is a row with its reason."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.endswith("gone.jpg"):
                return self.send_error(404)
            return super().do_GET()

    folder = image_folder(tmp_path / "crops", 9)
    for name in ("gone.jpg", "notes.txt", ".hidden.jpg", "broken.jpg"):
        (folder / "part1" / name).write_text("no image")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fer = tiny_recognizer()
    address = f"http://127.0.0.1:{server.server_port}/crops"
    summary = score_folder(fer, address, tmp_path / "remote.csv", crops=True)
    assert (summary.faces, summary.failed, summary.skipped_files) == (9, 2, 1)
    remote = (tmp_path / "remote.csv").read_text()
    assert "part1/gone.jpg,,,,,,,no such file\n" in remote
    score_folder(fer, f"file://{folder}", tmp_path / "local.csv", crops=True)
    local = (tmp_path / "local.csv").read_text()
    assert remote.replace("no such file", '"not an image, or of an unknown format"') == local
    server.shutdown()
    server.server_close()
    with pytest.raises(ValueError, match=r"127\.0\.0\.1.*cannot be opened|no such folder"):
        score_folder(fer, address, tmp_path / "r.csv", crops=True)


def test_addresses_that_lead_nowhere(tmp_path):
    fer = tiny_recognizer()
    for address in ("memory://nothing/here", "nonsense://bucket/photos", str(tmp_path / "nowhere")):
        with pytest.raises(ValueError, match=r"no such folder|nonsense"):
            score_folder(fer, address, tmp_path / "s.csv")
    assert not list(Path(tmp_path).iterdir())
