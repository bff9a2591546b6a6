"""The photos to begin with: what people see in each, and what it is there to show."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from words import percent

from gimefive_hf import Face, load_image

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A photo that may be shown; `shows` is the expression that it was taken to show, `absent` are those nobody has."""

    name: str
    file: str
    title: str
    shows: str | None = None
    absent: tuple[str, ...] = ()


EXAMPLES = (
    Example("astronaut", "astronaut.jpg", "Astronaut", "happiness"),
    Example("happy-baby", "happy-baby.jpeg", "Small in the picture", "happiness"),
    Example("sad-baby", "sad-baby.jpeg", "Crying", "sadness"),
    Example("angry", "angry.jpg", "Black and white", "anger"),
    Example("surprised", "surprised.jpeg", "Glasses and beard", "surprise"),
    Example("neutral", "neutral.jpeg", "At rest", "neutral"),
    Example("group", "group.jpeg", "Five at work", absent=("anger", "sadness")),
    Example("rocket", "rocket.jpg", "No face"),
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
    if example.absent:
        return note_on_group(example.absent, faces)
    if example.shows is None:
        found = "none was found" if not faces else f"{len(faces)} found all the same, which is wrong"
        return f"There is no face here, and {found}."
    if not faces:
        return f"People see {example.shows} here; the network's detector finds no face, which is wrong."
    face = faces[0]
    said = f"says {face.emotion}, {percent(face.score)}" if face.is_clear else "names none"
    if example.shows not in face.scores:
        return f"A face at rest. The network knows no word for that; here it {said}."
    if face.is_clear and face.emotion == example.shows:
        return f"People see {example.shows} here; so does the network."
    place = sorted(face.scores, key=lambda name: -face.scores[name]).index(example.shows) + 1
    rank = {1: "first all the same", 2: "second"}.get(place, f"number {place}")
    own = f"{example.shows} comes {rank} with {percent(face.scores[example.shows])}"
    wrong = "It is wrong, and one should see that it can be."
    return f"People see {example.shows} here; the network {said}, and {own}. {wrong}"


def note_on_group(absent: tuple[str, ...], faces: list[Face]) -> str:
    """People of whom none shows what is `absent`: of whom the network says so nevertheless."""
    numbers = {
        name: [str(number) for number, face in enumerate(faces, 1) if face.is_clear and face.emotion == name]
        for name in absent
    }
    wrong = [f"{name} of face {' and '.join(which)}" for name, which in numbers.items() if which]
    claim = f"says {', and '.join(wrong)}" if wrong else "says so of none"
    return (
        f"{len(faces)} people who listen to one another at work. None of them shows {' or '.join(absent)}; the network "
        f"{claim}. It must choose among the few words it knows, and a face that concentrates looks like a frown to it. "
        "This is why such scores must not judge people, and why the EU AI Act forbids inferring emotions at work and "
        "in schools."
    )
