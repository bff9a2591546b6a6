"""
DISFA (Mavadati et al. 2013): videos with the intensity, 0 to 5, of twelve action units in every frame.

    Video_LeftCamera/LeftVideoSN001_comp.avi, Video_RightCamera/RightVideoSN001_comp.avi
    ActionUnit_Labels/SN001/SN001_au12.txt        lines "frame,intensity", frames counted from 1

DISFA names no emotion. `name_emotion` names one where the coded action units are a prototype of EMFACS (Friesen &
Ekman 1983); all other frames keep `label=None` and their intensities.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import av

from ..files import CorpusFiles
from ..schema import Entry, Problem, encode_png

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)  # the twelve that DISFA codes: the order of `action_units`
# EMFACS prototypes (Friesen & Ekman 1983), cut to what DISFA codes: it has no AU 7, 16 and 23. Each: units that must
# be present, and units whose presence makes it another prototype or a blend.
PROTOTYPES: dict[str, tuple[set[int], set[int]]] = {
    "happiness": ({6, 12}, {1, 4, 9, 15, 20}),
    "surprise": ({1, 2, 5, 26}, {4, 9, 12, 15, 20}),
    "sadness": ({1, 4, 15}, {2, 5, 9, 12, 20}),
    "anger": ({4, 5}, {1, 2, 9, 12, 15, 20}),
    "disgust": ({9, 15}, {1, 2, 5, 12, 20}),
    "fear": ({1, 2, 4, 5, 20, 26}, {9, 12, 15}),
}
PRESENT = 2  # intensity B: traces (A) are not reliably coded
SUBJECTS = 27  # of the whole corpus
FRAME_STEP = 10  # at 20 frames a second neighbours hardly differ; every tenth is kept
VIDEO = re.compile(r"(?:^|/)(?P<camera>Left|Right)Video(?P<subject>SN\d+)_comp\.(?:avi|mp4)$", re.IGNORECASE)
TABLE = re.compile(r"(?:^|/)(?P<subject>SN\d+)_au(?P<unit>\d+)\.txt$", re.IGNORECASE)
FRAME = re.compile(r"\s*(\d+)\s*,\s*([0-5])\s*$")


def name_emotion(intensities: dict[int, int]) -> str | None:
    """
    The emotion of a frame, from action unit → intensity (0–5); None where no prototype, or more than one, fits.

    A unit counts as present from intensity B (2). "neutral" only where all twelve are 0.
    """
    if not any(intensities.values()):
        return "neutral"
    present = {unit for unit, intensity in intensities.items() if intensity >= PRESENT}
    fitting = [
        emotion for emotion, (needed, excluded) in PROTOTYPES.items() if needed <= present and not excluded & present
    ]
    return fitting[0] if len(fitting) == 1 else None


class VideoFrames:
    """Frames of one video by number from 1, decoded in order, so that asking upwards costs one pass."""

    def __init__(self, files: CorpusFiles, name: str):
        self._files, self._name = files, name
        self._frames: Iterator[Any] | None = None
        self._next = 1

    def png(self, number: int) -> bytes:
        """Frame `number` as a PNG file; `OSError` if the video ends before it or cannot be decoded."""
        if self._frames is None or number < self._next:
            self._frames, self._next = self._decode(), 1
        try:
            while True:
                frame = next(self._frames)
                self._next += 1
                if self._next > number:
                    return encode_png(frame.to_ndarray(format="rgb24"))
        except StopIteration:
            raise OSError(f"the video has {self._next - 1} frames, the action units go on to {number}") from None
        except av.FFmpegError as error:
            raise OSError(f"frame {self._next}: {error}") from error

    def _decode(self) -> Iterator[Any]:
        with self._files.open(self._name) as stream, av.open(stream) as container:
            yield from container.decode(video=0)


def read_units(files: CorpusFiles, tables: dict[int, str]) -> Iterator[tuple[int, dict[int, int]] | Problem]:
    """(frame, unit → intensity) of one subject for every frame that all twelve tables have; the others are problems."""
    intensities: dict[int, dict[int, int]] = defaultdict(dict)
    for unit, name in sorted(tables.items()):
        for number, line in enumerate(files.read(name).decode("ascii", "replace").splitlines(), 1):
            match = FRAME.match(line)
            if match:
                intensities[int(match.group(1))][unit] = int(match.group(2))
            elif line.strip():
                yield Problem(f"{name}#{number}", f"expected 'frame,intensity' with 0 to 5, got {line[:20]!r}")
    for frame, units in sorted(intensities.items()):
        if len(units) == len(UNITS):
            yield frame, units
        else:
            missing = ", ".join(str(unit) for unit in UNITS if unit not in units)
            yield Problem(f"{next(iter(tables.values()))}#{frame}", f"frame {frame} has no intensity for AU {missing}")


def read(files: CorpusFiles) -> Iterator[Entry | Problem]:
    """Every tenth frame of every video whose subject has action-unit tables."""
    videos: dict[str, list[str]] = defaultdict(list)
    tables: dict[str, dict[int, str]] = defaultdict(dict)
    for name in files.names:
        if match := VIDEO.search(name):
            videos[match["subject"].upper()].append(name)
        elif (match := TABLE.search(name)) and int(match["unit"]) in UNITS:
            tables[match["subject"].upper()][int(match["unit"])] = name
        else:
            yield Problem(name, "neither a DISFA video nor a table of one of its twelve action units")
    subjects = sorted(videos.keys() | tables.keys())
    if len(subjects) != SUBJECTS:
        yield Problem(".", f"{len(subjects)} subjects are here; DISFA has {SUBJECTS}", left_out=False)
    for subject in subjects:
        missing = [unit for unit in UNITS if unit not in tables[subject]]
        if missing:
            yield Problem(subject, f"no table for AU {', '.join(map(str, missing))}: the subject's videos are not read")
            continue
        if not videos[subject]:
            yield Problem(subject, "action units without a video")
            continue
        frames = []
        for item in read_units(files, tables[subject]):
            if isinstance(item, Problem):
                yield item
            elif (item[0] - 1) % FRAME_STEP == 0:
                frames.append(item)
        for video in videos[subject]:
            reader = VideoFrames(files, video)
            for number, units in frames:
                yield Entry(
                    f"{video}#{number}",
                    name_emotion(units),
                    partial(reader.png, number),
                    subject=subject,
                    action_units=[units[unit] for unit in UNITS],
                )
