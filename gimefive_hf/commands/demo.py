"""`gimefive demo`: start the Gradio Space on this machine."""

import argparse
import runpy
import socket
import sys
from pathlib import Path

APP = Path(__file__).parents[2] / "spaces" / "demo" / "app.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="bundled checkpoint, folder or Hub id (default: gimefive-7 where it is bundled, else gimefive)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: only this machine)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also answer to this name, as behind a proxy; may be given several times (default: loopback and --host)",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")


def require_free_port(host: str, port: int) -> None:
    """Raise ValueError if nothing can listen there: said before the model is loaded, and in one line."""
    address = host.removeprefix("[").removesuffix("]")  # Gradio takes IPv6 in brackets
    try:
        with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            pass
    except (OSError, OverflowError) as error:
        raise ValueError(f"cannot listen on {host}, port {port} ({error}); choose another --port or --host") from None


def run(args: argparse.Namespace) -> int:
    if not APP.is_file():
        raise ValueError("the demo (spaces/demo) is not installed: pip install -e . in a clone, or the wheel")
    require_free_port(args.host, args.port)
    sys.path.insert(0, str(APP.parent))
    app = runpy.run_path(str(APP))
    options = {"host": args.host, "port": args.port, "open_browser": not args.no_browser}
    app["launch"](model=args.model, allowed=args.allow_host, **options)
    return 0
