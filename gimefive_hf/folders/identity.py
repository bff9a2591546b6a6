"""A digest of all that decides a recogniser's scores, by which a run is continued with the very same one."""

import hashlib
import json
from typing import TYPE_CHECKING

from ..version import __version__

if TYPE_CHECKING:
    from ..recognizer import ExpressionRecognizer


def recognizer_identity(recognizer: "ExpressionRecognizer") -> str:
    """
    The first 16 hex digits of a sha256 over weights, configuration, preprocessing, precision, detector and version.

    A name or path tells nothing: other weights may stand there tomorrow, and the same ones elsewhere.
    """
    model, detector = recognizer.model, recognizer.detector
    config = {k: v for k, v in model.config.to_dict().items() if k not in ("_name_or_path", "transformers_version")}
    search = (detector.min_score, detector.tile_scales, detector.min_size, detector.verify)
    facts = [__version__, config, recognizer.processor.to_dict(), str(model.dtype), recognizer.margin, search]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    file = getattr(model, "path", None)
    if file is not None:  # an ONNX file
        digest.update(file.read_bytes())
    else:
        import torch

        for name, value in model.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
