"""
YuNet (Wu, Peng and Yu 2023) through OpenCV, as another face detector. Its weights are a file that you bring: no package
of the registries ships it; OpenCV gives it away (MIT) as `opencv/face_detection_yunet` on the Hugging Face Hub.
"""

import hashlib
import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .detections import Detection, check_rgb, check_score, six_points

# YuNet misses faces that fill a picture of thousands of pixels, so larger ones are reduced to this side first.
LONGEST = 640


class YuNetDetector:
    """
    A `Detector`. It may be called by several threads; they wait for each other.

    Args:
        path: `face_detection_yunet_2023mar.onnx`.
        min_score: detections under it are dropped.
        longest: the longest side, in pixels, in which it looks; larger images are reduced.

    Boxes are squares around the centre of YuNet's, of its longer side. The ears' key points are NaN: YuNet has none.

    Raises:
        ValueError: if the file is not there or OpenCV does not take it for YuNet.
    """

    def __init__(self, path: str | Path, min_score: float = 0.7, longest: int = LONGEST):
        check_score(min_score)
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"no file {path.name}: YuNet needs its weights, face_detection_yunet_2023mar.onnx")
        self.min_score, self.longest = min_score, longest
        self._digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        self._lock = threading.Lock()  # the size of the input is a state of the network
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), "", (longest, longest), min_score)
            self._rows(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise ValueError(f"{path.name} is no YuNet network for OpenCV: {error.err or error}") from None

    def __repr__(self) -> str:
        return f"YuNetDetector({self._digest}, min_score={self.min_score}, longest={self.longest})"

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Detect in `image`, uint8 RGB (height, width, 3); the best first. Raises ValueError for another array."""
        check_rgb(image)
        height, width = image.shape[:2]
        scale = min(1.0, self.longest / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = [to_detection(row, width / size[0], height / size[1]) for row in self._rows(small)]
        return sorted(found, key=lambda detection: -detection.score)

    def _rows(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 15): box (x, y, width, height); right eye, left eye, nose, right and left corner of the mouth; score."""
        with self._lock:
            self._network.setInputSize((image.shape[1], image.shape[0]))
            _, rows = self._network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return np.zeros((0, 15), np.float32) if rows is None else rows


def to_detection(row: NDArray[np.float32], scale_x: float, scale_y: float) -> Detection:
    """A row of YuNet's in pixels of the whole image."""
    x, y, width, height = row[:4] * (scale_x, scale_y, scale_x, scale_y)
    side = float(max(width, height))
    box = float(x + width / 2) - side / 2, float(y + height / 2) - side / 2, side, side
    return Detection(box, float(row[14]), six_points(row[4:14].reshape(5, 2) * (scale_x, scale_y)))
