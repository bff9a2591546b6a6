"""
Build the browser's page and push it as a static Space.

    python -m spaces.push_live USER/NAME --dry-run          # only lists what would go
    HF_TOKEN=… python -m spaces.push_live USER/NAME --private
    HF_TOKEN=… python -m spaces.push_live USER/NAME --page build/live      # pushes what is built already
"""

import argparse
import sys
import tempfile
from pathlib import Path

from .build_live import build
from .push_demo import list_files, upload


def push(repo: str, page: Path | None = None, private: bool = False, dry_run: bool = False) -> str:
    """
    Push `page`, or one built now, and return the commit's address; with `dry_run` the list of files.

    Raises:
        ValueError: with what to do.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = page or build(Path(temporary) / "live")
        if not (folder / "manifest.json").is_file():
            raise ValueError(f"{folder.name} holds no built page; leave out --page, or run `make live`")
        return list_files(repo, folder) if dry_run else upload(repo, folder, "static", private, "Push the live page")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", metavar="USER/NAME")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="a built page; without it, one is built")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="list the files, and ask no server")
    args = parser.parse_args(argv)
    try:
        print(push(args.repo, args.page, args.private, args.dry_run))
    except ValueError as error:
        print(f"push_live: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
