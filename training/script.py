"""What the command lines of the scripts have in common. Imports nothing of `training`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from evaluation.store import DEFAULT_STORE


class Script(argparse.ArgumentParser):
    """
    The parser of one script, called `name`, whose help is the script's own text.

    Args:
        name: of the module.
        text: its docstring.
        data: adds `--data`, the folder with the corpora, without which the script does nothing.
        store: name of the flag for the store of the results, if it has one.
    """

    def __init__(self, name: str, text: str | None, data: bool = False, store: str | None = None):
        super().__init__(name, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        if data:
            self.add_argument("--data", type=Path, required=True, help="folder with the corpora")
        if store:
            self.add_argument(store, type=Path, default=DEFAULT_STORE, help="folder of the results")

    def run(self, work: Callable[[argparse.Namespace], int | None], argv: list[str] | None = None) -> int:
        """Exit code of `work`, by default 0; 2 after a user's mistake, which a line on standard error names."""
        args = self.parse_args(argv)
        try:
            return work(args) or 0
        except (ValueError, OSError) as error:
            print(f"{self.prog}: {error}", file=sys.stderr)
            return 2
