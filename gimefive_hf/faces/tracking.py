"""
Faces followed through a video: looked for near where they were, while the whole frame is searched piece by piece, and
given to persons by the Hungarian method on the generalised IoU (Rezatofighi et al. 2019) of the boxes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .detections import Box, Detection, Detector, non_maximum_suppression, overlap
from .detector import FaceDetector, windows
from .landmarks import find_landmarks

# Seconds; times are sums of rounded frame durations.
TOLERANCE = 5e-4


# The landmarks that move with the head and little with the expression: nose and eyes.
RIGID = slice(27, 48)


@dataclass
class Track:
    """
    One person: the last detection, and when that was, in seconds; with the `landmarks` (68, 2) of that moment, if they
    are wanted, and detection and landmarks of the last frame, `age` frames ago, in which the detector looked.
    """

    person: int
    detection: Detection
    seen: float
    landmarks: NDArray[np.float32] | None = None
    anchor: tuple[Detection, NDArray[np.float32]] | None = None
    age: int = 0


class FaceTracker:
    """
    Args:
        detector: finds the faces; any `Detector`. One that is no `FaceDetector` looks at every whole frame.
        search_every: seconds in which the whole frame is searched once, some pieces with every frame, so that no frame
            takes long; a new face is found at the latest then.
        search_empty_every: seconds between searches of the whole frame at once, while nobody is in sight.
        keep: seconds after which a person who is out of sight is forgotten; who comes back later gets a new number.
        max_near: with more persons than this a search of the whole frame is cheaper than one near each.
        detect_every: with landmarks, the detector looks near a person in each so many-th frame only; in between, box
            and key points move with the landmarks, which the mesh network finds around their last place.
        max_step: seconds to the last frame above which landmarks are not followed, for the head may be elsewhere.
        min_giou: generalised IoU of a person's last box and a new one under which they are not the same; 0 is about
            two boxes that touch.
    """

    def __init__(
        self,
        detector: Detector,
        search_every: float = 2.0,
        search_empty_every: float = 0.2,
        keep: float = 1.0,
        max_near: int = 8,
        detect_every: int = 3,
        max_step: float = 0.1,
        min_giou: float = -0.1,
    ):
        self.detector = detector
        self.search_every, self.search_empty_every, self.keep = search_every, search_empty_every, keep
        self.max_near, self.min_giou = max_near, min_giou
        self.detect_every, self.max_step = detect_every, max_step
        self.tracks: list[Track] = []
        self._next_person = 1
        self._last_search = -np.inf  # when the whole frame was searched, or a search by pieces began
        self._pieces_done = 0
        self._last_time = -np.inf

    def update(
        self, image: NDArray[np.uint8], time: float, landmarks: bool = False
    ) -> list[tuple[int, Detection, NDArray[np.float32] | None]]:
        """
        The persons seen in the next frame, as (number from 1, detection, landmarks), in the order of their numbers.

        Args:
            image: uint8 RGB (height, width, 3).
            time: of the frame in seconds; must not fall.
            landmarks: also find the 68 landmarks, float32 (68, 2); else they are None.
        """
        in_sight = any(track.seen == self._last_time for track in self.tracks)
        self.tracks = [track for track in self.tracks if time - track.seen <= self.keep]
        self._last_time = time
        points: dict[int, NDArray[np.float32]] = {}  # by the identity of the detection that they were found with
        if not isinstance(self.detector, FaceDetector):
            found = self.detector(image)
        elif len(self.tracks) > self.max_near:  # without the second look that a call gives a photo
            found = self.detector.search(image, windows(image.shape[0], image.shape[1], self.detector.tile_scales))
        else:
            found = []
            for track in self.tracks:
                moved = self._move(image, track, time) if landmarks else None
                if moved is None:
                    found += self.detector.detect_near(image, track.detection.box)
                else:
                    found.append(moved[0])
                    points[id(moved[0])] = moved[1]
            found = non_maximum_suppression(found)
            found += self._search(self.detector, image, time, found, in_sight)
        self._assign(found, time)
        seen = [track for track in self.tracks if track.seen == time]
        for track in seen:
            track.landmarks = points.get(id(track.detection))
            if track.landmarks is not None:
                track.age += 1
            elif landmarks:
                track.landmarks = find_landmarks(image, track.detection)[0]
                track.anchor, track.age = (track.detection, track.landmarks), 0
        return [(track.person, track.detection, track.landmarks) for track in seen]

    def _move(
        self, image: NDArray[np.uint8], track: Track, time: float
    ) -> tuple[Detection, NDArray[np.float32]] | None:
        """Where the landmarks went, and the detection with them; None where the detector must look."""
        late = track.age + 1 >= self.detect_every or time - track.seen > self.max_step
        if late or track.landmarks is None or track.anchor is None:
            return None
        points, sure = find_landmarks(image, track.detection)
        if sure <= FaceDetector.PRESENT:
            return None
        detection, old = track.anchor
        return move_detection(detection, old[RIGID], points[RIGID]), points

    def _search(
        self, detector: FaceDetector, image: NDArray[np.uint8], time: float, known: list[Detection], in_sight: bool
    ) -> list[Detection]:
        """Look for further faces, in the pieces that are due or everywhere."""
        since = time - self._last_search
        pieces = list(windows(image.shape[0], image.shape[1], detector.tile_scales))
        if in_sight:
            due = int(len(pieces) * min(1.0, (since + TOLERANCE) / self.search_every))
            pieces = pieces[self._pieces_done : due]
            self._pieces_done = max(due, self._pieces_done)
        elif since + TOLERANCE < self.search_empty_every:
            return []
        if not in_sight or since + TOLERANCE >= self.search_every:
            self._last_search, self._pieces_done = time, 0
        # who was found near has a steady box, which that of a piece would make jump
        return detector.search(image, pieces, known)

    def _assign(self, found: list[Detection], time: float) -> None:
        pairs = match([track.detection.box for track in self.tracks], [d.box for d in found], self.min_giou)
        for row, column in pairs:
            self.tracks[row].detection, self.tracks[row].seen = found[column], time
        taken = {column for _, column in pairs}
        # left to right, so that the numbers of a first frame do not hang on the detector's order
        for index in sorted(set(range(len(found))) - taken, key=lambda i: found[i].box[0]):
            self.tracks.append(Track(self._next_person, found[index], time))
            self._next_person += 1


def move_detection(detection: Detection, old: NDArray[np.float32], new: NDArray[np.float32]) -> Detection:
    """The detection moved as points (n, 2) moved: turned, scaled and shifted by the least-squares similarity."""
    z, w = (points.astype(np.float64) @ (1, 1j) for points in (old, new))  # the plane as complex numbers: w = a·z + b
    a = np.vdot(z - z.mean(), w - w.mean()) / np.vdot(z - z.mean(), z - z.mean()).real
    b = w.mean() - a * z.mean()
    x, y, width, height = detection.box
    centre = a * complex(x + width / 2, y + height / 2) + b
    width, height = width * abs(a), height * abs(a)
    places = a * (detection.keypoints @ (1, 1j)) + b
    box = float(centre.real - width / 2), float(centre.imag - height / 2), float(width), float(height)
    return Detection(box, detection.score, np.stack([places.real, places.imag], 1).astype(np.float32))


def match(old: list[Box], new: list[Box], min_giou: float) -> list[tuple[int, int]]:
    """Index pairs (old, new) of the assignment with the largest sum of generalised IoUs, each at least `min_giou`."""
    if not old or not new:
        return []
    values = np.array([[generalised_iou(a, b) for b in new] for a in old])
    # Forbidden pairs all cost the same: else the solver would spoil good pairs to make a hopeless one less bad.
    values = np.where(values >= min_giou, values, -2.0)
    if 1 in values.shape:  # one person or one face: no need of scipy, which takes longer to import than to answer
        rows, columns = (np.array([place]) for place in np.unravel_index(values.argmax(), values.shape))
    else:
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(-values)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if values[r, c] > -2.0]


def generalised_iou(a: Box, b: Box) -> float:
    """IoU minus the share of the hull of both boxes that neither covers; from -1 (far apart) to 1 (the same)."""
    iou = overlap(a, b)[0]
    hull = (max(a[0] + a[2], b[0] + b[2]) - min(a[0], b[0])) * (max(a[1] + a[3], b[1] + b[3]) - min(a[1], b[1]))
    union = (a[2] * a[3] + b[2] * b[3]) / (1 + iou)  # intersection = iou · union, so the areas sum to (1 + iou) · union
    return iou - (hull - union) / max(hull, 1e-9)
