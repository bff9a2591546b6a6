"""The photos to begin with: what people see in each, and what it is there to show."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gimefive_hf import Face, load_image

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A photo that may be shown; `shows` is the expression that it was taken to show, or None."""

    name: str
    file: str
    title: str
    shows: str | None = None
    note: str = ""


EXAMPLES = (
    Example("astronaut", "astronaut.jpg", "Astronaut", "happiness"),
    Example("happy-baby", "happy-baby.jpeg", "Small in the picture", "happiness"),
    Example("sad-baby", "sad-baby.jpeg", "Crying", "sadness"),
    Example("angry", "angry.jpg", "Black and white", "anger"),
    Example("surprised", "surprised.jpeg", "Glasses and beard", "surprise"),
    Example("neutral", "neutral.jpeg", "At rest", "neutral"),
    Example(
        "group",
        "group.jpeg",
        "Five at work",
        note="Five people who listen to one another at work. None of them is angry or sad, whatever stands above: a "
        "network must choose among the few words it knows, and a face that concentrates looks like a frown to it. This "
        "is why such scores must not judge people, and why the EU AI Act forbids inferring emotions at work and in "
        "schools.",
    ),
    Example("rocket", "rocket.jpg", "No face", note="There is no face here, and none should be found."),
)
BY_NAME = {example.name: example for example in EXAMPLES}


@lru_cache(maxsize=len(EXAMPLES))
def read_example(name: str) -> NDArray[np.uint8]:
    """Raises ValueError for a name that is none."""
    if name not in BY_NAME:
        raise ValueError(f"there is no example {name[:40]!r}; there are {', '.join(BY_NAME)}")
    return load_image(FOLDER / BY_NAME[name].file)


def note_on(example: Example, faces: list[Face]) -> str:
    """What is to be said of the answer: whether it is right, and if it is not, that this is the point."""
    if example.note or example.shows is None or not faces:
        return example.note
    face = faces[0]
    if example.shows not in face.scores:
        said = "names none" if not face.is_clear else f"says {face.emotion}"
        return f"A face at rest. The network knows no word for that; here it {said}."
    if face.is_clear and face.emotion == example.shows:
        return f"People see {example.shows} here; so does the network."
    said = f"says {face.emotion}" if face.is_clear else "cannot decide"
    return f"People see {example.shows} here; the network {said}. It is wrong, and one should see that it can be."
