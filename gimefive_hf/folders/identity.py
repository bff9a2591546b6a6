"""A digest of all that decides a recogniser's scores, by which a run is continued with the very same one."""

import hashlib
import json
from typing import TYPE_CHECKING

from ..faces.detector import FaceDetector
from ..version import __version__

if TYPE_CHECKING:
    from ..recognizer import ExpressionRecognizer


def recognizer_identity(recognizer: "ExpressionRecognizer") -> str:
    """
    The first 16 hex digits of a sha256 over weights, configuration, preprocessing, precision, detector and version.

    A name or path tells nothing: other weights may stand there tomorrow, and the same ones elsewhere.
    """
    detector = recognizer.detector
    search: object = repr(detector)
    if isinstance(detector, FaceDetector):
        search = (detector.min_score, detector.tile_scales, detector.min_size, detector.verify)
    facts = [__version__, recognizer.predictor.fingerprint(), recognizer.margin, search]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
