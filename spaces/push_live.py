"""
Build the browser's page and push it as a static Space.

    python -m spaces.push_live USER/NAME --dry-run          # only lists what would go
    HF_TOKEN=… python -m spaces.push_live USER/NAME --private
"""

import argparse
import sys
import tempfile
from pathlib import Path

from .build_live import build
from .push_demo import list_files, upload


def push(repo: str, private: bool = False, dry_run: bool = False) -> str:
    """Push and return the commit's address, or with `dry_run` the list of files. Raises ValueError with what to do."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = build(Path(temporary) / "live")
        return list_files(repo, folder) if dry_run else upload(repo, folder, "static", private, "Push the live page")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", metavar="USER/NAME")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="list the files, and ask no server")
    args = parser.parse_args(argv)
    try:
        print(push(args.repo, args.private, args.dry_run))
    except ValueError as error:
        print(f"push_live: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
