"""
Faces followed through a video: looked for near where they were, while the whole frame is searched piece by piece, and
given to persons by the Hungarian method on the generalised IoU (Rezatofighi et al. 2019) of the boxes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .faces import Box, Detection, FaceDetector, overlap, suppress, windows

# Seconds; times are sums of rounded frame durations.
TOLERANCE = 5e-4


@dataclass
class Track:
    """One person: the last detection, and when that was, in seconds."""

    person: int
    detection: Detection
    seen: float


class FaceTracker:
    """
    Args:
        detector: finds the faces.
        search_every: seconds in which the whole frame is searched once, some pieces with every frame, so that no frame
            takes long; a new face is found at the latest then.
        search_empty_every: seconds between searches of the whole frame at once, while nobody is in sight.
        keep: seconds after which a person who is out of sight is forgotten; who comes back later gets a new number.
        max_near: with more persons than this a search of the whole frame is cheaper than one near each.
        min_giou: generalised IoU of a person's last box and a new one under which they are not the same; 0 is about
            two boxes that touch.
    """

    def __init__(
        self,
        detector: FaceDetector,
        search_every: float = 1.0,
        search_empty_every: float = 0.2,
        keep: float = 1.0,
        max_near: int = 8,
        min_giou: float = -0.1,
    ):
        self.detector = detector
        self.search_every, self.search_empty_every, self.keep = search_every, search_empty_every, keep
        self.max_near, self.min_giou = max_near, min_giou
        self.tracks: list[Track] = []
        self._next_person = 1
        self._last_search = -np.inf  # when the whole frame was searched, or a search by pieces began
        self._pieces_done = 0
        self._last_time = -np.inf

    def update(self, image: NDArray[np.uint8], time: float) -> list[tuple[int, Detection]]:
        """
        The persons seen in the next frame, as (number from 1, detection), in the order of their numbers.

        Args:
            image: uint8 RGB (height, width, 3).
            time: of the frame in seconds; must not fall.
        """
        in_sight = any(track.seen == self._last_time for track in self.tracks)
        self.tracks = [track for track in self.tracks if time - track.seen <= self.keep]
        self._last_time = time
        if len(self.tracks) > self.max_near:
            found = self.detector(image)
        else:
            found = [d for track in self.tracks for d in self.detector.detect_near(image, track.detection.box)]
            found = suppress(found)
            found += self._search(image, time, found, in_sight)
        self._assign(found, time)
        return [(track.person, track.detection) for track in self.tracks if track.seen == time]

    def _search(self, image: NDArray[np.uint8], time: float, known: list[Detection], in_sight: bool) -> list[Detection]:
        """Look for further faces, in the pieces that are due or everywhere."""
        since = time - self._last_search
        pieces = list(windows(*image.shape[:2], self.detector.tile_scales))
        if in_sight:
            due = int(len(pieces) * min(1.0, (since + TOLERANCE) / self.search_every))
            pieces = pieces[self._pieces_done : due]
            self._pieces_done = max(due, self._pieces_done)
        elif since + TOLERANCE < self.search_empty_every:
            return []
        if not in_sight or since + TOLERANCE >= self.search_every:
            self._last_search, self._pieces_done = time, 0
        # who was found near has a steady box, which that of a piece would make jump
        return self.detector.search(image, pieces, known)

    def _assign(self, found: list[Detection], time: float) -> None:
        pairs = match([track.detection.box for track in self.tracks], [d.box for d in found], self.min_giou)
        for row, column in pairs:
            self.tracks[row].detection, self.tracks[row].seen = found[column], time
        taken = {column for _, column in pairs}
        # left to right, so that the numbers of a first frame do not hang on the detector's order
        for index in sorted(set(range(len(found))) - taken, key=lambda i: found[i].box[0]):
            self.tracks.append(Track(self._next_person, found[index], time))
            self._next_person += 1


def match(old: list[Box], new: list[Box], min_giou: float) -> list[tuple[int, int]]:
    """Index pairs (old, new) of the assignment with the largest sum of generalised IoUs, each at least `min_giou`."""
    if not old or not new:
        return []
    values = np.array([[generalised_iou(a, b) for b in new] for a in old])
    # Forbidden pairs all cost the same: else the solver would spoil good pairs to make a hopeless one less bad.
    values = np.where(values >= min_giou, values, -2.0)
    rows, columns = linear_sum_assignment(-values)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if values[r, c] > -2.0]


def generalised_iou(a: Box, b: Box) -> float:
    """IoU minus the share of the hull of both boxes that neither covers; from -1 (far apart) to 1 (the same)."""
    iou = overlap(a, b)[0]
    hull = (max(a[0] + a[2], b[0] + b[2]) - min(a[0], b[0])) * (max(a[1] + a[3], b[1] + b[3]) - min(a[1], b[1]))
    union = (a[2] * a[3] + b[2] * b[3]) / (1 + iou)  # intersection = iou · union, so the areas sum to (1 + iou) · union
    return iou - (hull - union) / max(hull, 1e-9)
