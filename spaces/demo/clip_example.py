"""The clip to begin with: what is to be seen in it, what the network says of that, and its answer, computed once."""

import threading
from collections.abc import Callable
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
        for name in names.mode()[:1]:
            often = " most of the time" if (names == meant).any() else ""
            said.append(f"the {what} {name}" + ("" if name == meant else f"{often}, which is wrong"))
    return f"{ABOUT} The network calls {' and '.join(said)}." if said else ABOUT


class ExampleAnswer:
    """
    What everybody who opens the tab sees first: computed once, ahead of the first visitor or for whoever comes earlier.

    `make` gets a `gr.Progress`, or None where nobody waits. A failed attempt is made again by the next visitor.
    """

    def __init__(self, make: Callable[[Any], Answer]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._answer: Answer | None = None

    def prepare(self) -> None:
        """Begin in the background."""
        threading.Thread(target=self.get, daemon=True).start()

    def get(self, progress: Any = None) -> Answer:
        """The answer, at once or when it is there."""
        with self._lock:
            if self._answer is None:
                self._answer = self._make(progress)
            return self._answer
