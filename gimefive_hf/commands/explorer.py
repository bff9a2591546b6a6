"""`gimefive explorer`: start the Streamlit Space on this machine."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

APP = Path(__file__).parents[2] / "spaces" / "explorer" / "serve.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, help="folder of the results (default: evaluation/results)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this machine)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (default: 8501)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")


def run(args: argparse.Namespace) -> int:
    if not APP.is_file():
        raise ValueError("the explorer (spaces/explorer) is not installed: pip install -e . in a clone, or the wheel")
    missing = [name for name in ("streamlit", "plotly", "pandas", "pyarrow") if find_spec(name) is None]
    if missing:
        raise ValueError(f'the explorer needs {", ".join(missing)}: pip install ".[explorer]" in a clone')
    environment = dict(os.environ)
    if args.store is not None:
        if not args.store.is_dir():
            raise ValueError(f"no folder {args.store} with results")
        environment["GIMEFIVE_STORE"] = str(args.store.resolve())
    command = [sys.executable, str(APP), "--host", args.host, "--port", str(args.port)]
    command += [] if args.no_browser else ["--open"]
    os.chdir(APP.parent)
    # In the place of this process, so that whoever ends it ends the server too.
    os.execve(sys.executable, command, environment)
