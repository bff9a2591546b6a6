"""Servers that tests start on this machine: a port for them, whether one answers, what is left on its disk."""

import socket
import subprocess
import time
import urllib.request
from pathlib import Path


def free_port() -> int:
    """A port of loopback that nobody holds."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def streamlit_answers(port: int, process: subprocess.Popen) -> bool:
    """Whether Streamlit's health check answers while its process lives."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                return answer.read() == b"ok"
        except OSError:
            time.sleep(0.2)
    return False


def files_in(folder: Path) -> list[Path]:
    """All but the mark of a living server."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".alive"]
