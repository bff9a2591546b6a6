"""The clip to begin with: what is to be seen in it, what the network says of that, and its answer, computed once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pandas as pd

EXAMPLE = Path(__file__).parent / "examples" / "changing_face.mp4"
ABOUT = (
    "Nobody made these expressions: one photo of a face at rest was bent by moving its landmarks, into a smile, back, "
    "and into surprise."
)
# What is bent, the expression that it stands for, and from and until which second it is there in full.
BENT = (("smile", "happiness", 2.3, 4.3), ("surprised face", "surprise", 6.8, 8.6))

Answer = tuple[str, str]


def about(table: pd.DataFrame) -> str:
    """What the clip shows, and what its timeline says of it, right or wrong."""
    said = []
    for what, meant, start, end in BENT:
        names = table.loc[table["time"].between(start, end), "emotion"].dropna()
        if not len(names):
            continue
        name = names.mode()[0]
        if name == meant:
            said.append(f"the {what} {name}")
        elif (names == meant).any():
            said.append(f"the {what} {name} most of the time, which is wrong")
        else:
            said.append(f"the {what} {name}, which is wrong")
    return f"{ABOUT} The network calls {' and '.join(said)}." if said else ABOUT


class ExampleAnswer:
    """
    What everybody who opens the tab sees first: computed once, ahead of the first visitor or for whoever comes earlier.

    `make` gets a function that is called as a `gr.Progress` is.
    """

    def __init__(self, make: Callable[[Callable[..., Any]], Answer]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._future: Future[Answer] | None = None
        self._far: tuple[tuple, dict[str, Any]] | None = None

    def prepare(self) -> Future[Answer]:
        """Begin in the background, unless that was done; a failed attempt is made again."""
        with self._lock:
            if self._future is None or (self._future.done() and self._future.exception()):
                self._future = Future()
                threading.Thread(target=self._fill, args=(self._future,), daemon=True).start()
            return self._future

    def get(self, progress: Callable[..., Any]) -> Answer:
        """The answer; whoever must wait is told how far it is."""
        future = self.prepare()
        while not wait([future], timeout=0.2).done:
            if self._far is not None:
                positional, named = self._far
                progress(*positional, **named)
        return future.result()

    def _fill(self, future: Future[Answer]) -> None:
        try:
            future.set_result(self._make(self._note))
        except BaseException as error:  # goes to whoever waits
            future.set_exception(error)

    def _note(self, *positional: Any, **named: Any) -> None:
        self._far = (positional, named)
