"""The `gimefive` command: one subcommand a module, imported when it is called."""

import argparse
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from .terminal import escape_what_cannot_be_printed, terminal_text


class Command(NamedTuple):
    """
    A subcommand: its line of help, a call that works, and the extra that has what it needs beyond the library's own
    requirements. Its module, in `commands` or at an entry point of the group `gimefive.commands`, has
    add_arguments(parser) and run(args) → exit code.
    """

    help: str
    example: str
    extra: str | None = None


COMMANDS = {
    "predict": Command("score the faces in photos", "gimefive predict photo.jpg --json"),
    "demo": Command("open the demo in the browser", "gimefive demo --port 7861 --no-browser", "demo"),
    "explorer": Command("open the results in the browser", "gimefive explorer --port 8502", "explorer"),
    "score": Command(
        "score all images of a folder into a table", "gimefive score photos -o scores.csv --fast", "score"
    ),
    "video": Command(
        "annotate a video and write its timeline", "gimefive video in.mp4 -o out.mp4 --timeline out.csv", "video"
    ),
    "webcam": Command("analyse the camera live", "gimefive webcam --record out.mp4", "video"),
    "export": Command("write the network as an ONNX file", "gimefive export -o model.onnx", "onnx"),
    "train": Command(
        "train a network on the corpora, or go on training it",
        "gimefive train --recipe paper-raf-db --data DIR --out runs/paper",
        "train",
    ),
    "publish": Command(
        "put models, cards and Spaces on the Hugging Face Hub", "gimefive publish USER --dry-run", "onnx"
    ),
    "explain": Command(
        "show what each expression is seen by: heat maps of the faces in photos",
        "gimefive explain photo.jpg -o why.png --emotion all",
        "explain",
    ),
}


def command_module(name: str) -> ModuleType:
    """The module of a subcommand. Raises ValueError for one of another package that is not installed."""
    try:
        return import_module(f".commands.{name}", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.commands.{name}":
            raise
    from importlib.metadata import entry_points  # reads a file of every package that is installed

    for entry in entry_points(group="gimefive.commands", name=name):
        return entry.load()
    raise ValueError("this command is not installed: pip install -e . in a clone, or the wheel")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser with all subcommands; only that of `command` gets its arguments, so that only it is imported."""
    from .version import __version__

    parser = argparse.ArgumentParser(prog="gimefive", description="Facial expressions: which, how sure, and why.")
    parser.add_argument("--version", action="version", version=f"gimefive {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (text, example, _) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        if name == command:
            module = command_module(name)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Run a subcommand. Exit code 0: all went well; 1: unforeseen; 2: a mistake in the call or in an input, or the system
    refused what was needed, such as room on the disk.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if word in COMMANDS), None)
    escape_what_cannot_be_printed()
    # Loading a small model needs no progress bar; commands that take long show their own.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        args = build_parser(command).parse_args(argv)
        return args.run(args)
    except ValueError as error:  # a user's mistake; the text says what was expected
        print(f"gimefive {command}: {terminal_text(str(error))}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in (__package__, "evaluation", "training"):  # our own mistake
            raise
        extra = COMMANDS[command].extra if command else None
        advice = f'pip install ".[{extra}]" in a clone' if extra else f"pip install {package}"
        print(f"gimefive {command}: this needs the package {package}: {advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # the system's no: a full disk, a folder that is gone
        print(f"gimefive {command}: {terminal_text(system_error(error))}", file=sys.stderr)
        return 2


def system_error(error: OSError) -> str:
    """What the system said, and of which file, without the number."""
    text = error.strerror or str(error) or type(error).__name__
    return text if error.filename is None else f"{error.filename}: {text}"


if __name__ == "__main__":
    sys.exit(main())
