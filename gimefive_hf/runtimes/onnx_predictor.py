"""An exported network in onnxruntime: no torch, and ready in a tenth of a second."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..bundled import resolve_checkpoint
from ..explain.scaling import scale_maps
from .predictor import Crops, check_method, softmax
from .preprocessing import Preprocessing
from .views import views


@dataclass(frozen=True)
class ExportedFacts:
    """
    What the metadata of an .onnx file of `gimefive export` says.

    `flip_average` and `zoom_average` are the views that are still to be averaged over: files that earlier versions
    wrote do that themselves.
    """

    emotions: tuple[str, ...]
    preprocessing: Preprocessing
    precision: str
    side: int
    threshold: float
    architecture: str
    flip_average: bool
    zoom_average: tuple[float, ...]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "ExportedFacts":
        """From the JSON under the keys that begin with "gimefive."; a config leaves out what is as by default."""
        config = json.loads(metadata["gimefive.config"])
        outside = "gimefive.views" in metadata
        return cls(
            emotions=tuple(json.loads(metadata["gimefive.labels"])),
            preprocessing=Preprocessing.from_dict(json.loads(metadata["gimefive.preprocessing"])),
            precision=metadata["gimefive.precision"],
            side=int(config.get("image_size", 64)),
            threshold=float(config.get("confidence_threshold") or 0.0),
            architecture=config.get("architecture", "conv"),
            flip_average=outside and bool(config.get("flip_average", False)),
            zoom_average=tuple(config.get("zoom_average", ())) if outside else (),
        )


class OnnxPredictor:
    """
    A `Predictor`.

    Args:
        path: an .onnx file of `gimefive export`, or the name or folder of a checkpoint with a `model.onnx`.
        threads: of onnxruntime; None for one per core, or as many as OMP_NUM_THREADS says.
        single_view: make one pass per face, whatever views the model's config averages over.

    Raises:
        ValueError: if there is no such file or it is none of ours.
    """

    backend = "onnx"

    def __init__(self, path: str | Path, threads: int | None = None, single_view: bool = False):
        self._arguments = path, threads, single_view
        file = onnx_file(path)
        if file is None:
            raise ValueError(
                f"{Path(path).name}: no such .onnx file; make one with `gimefive export -o FILE.onnx` and give it as "
                "--model"
            )
        self._file = file
        try:
            self._open(threads or default_threads())
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise ValueError(f"{file.name}: onnxruntime cannot load it ({type(error).__name__})") from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if "gimefive.config" not in metadata:
            raise ValueError(f"{file.name}: not made by `gimefive export`; its metadata lacks the preprocessing")
        self.facts = facts = ExportedFacts.from_metadata(metadata)
        self.precision, self.emotions, self.side = facts.precision, facts.emotions, facts.side
        self.threshold = facts.threshold
        self._flip, self._zooms = (False, ()) if single_view else (facts.flip_average, facts.zoom_average)
        has_maps = len(self._session.get_outputs()) == 2
        # Grad-CAM of "conv" networks reads a finer map than CAM does
        exact = ("cam",) if facts.architecture == "conv" else ("cam", "grad-cam")
        self.map_methods = exact if has_maps else ()

    def _open(self, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait for the next layer must not keep cores busy: decoding and tracking run meanwhile.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
        self._process = os.getpid()

    def __reduce__(self):
        """A copy in another process loads the file anew: sessions cannot be pickled."""
        return type(self), self._arguments

    def prepare(self, crops: Crops) -> NDArray[np.float32]:
        return self.facts.preprocessing(crops)

    def logits(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        """Float32 (n, classes), already divided by the temperature."""
        return self._run(inputs, average_views, ["logits"])[0]

    def predict(self, inputs: NDArray[np.float32], average_views: bool = True) -> NDArray[np.float32]:
        return softmax(self.logits(inputs, average_views))

    def predict_and_explain(
        self, inputs: NDArray[np.float32], method: str, average_views: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        check_method(self, method)
        logits, maps = self._run(inputs, average_views, ["logits", "maps"])
        scores = softmax(logits)
        chosen = maps[np.arange(len(inputs)), scores.argmax(1)]
        return scores, scale_maps(np.maximum(chosen, 0), inputs.shape[2:])

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([self._flip, self._zooms]).encode())
        digest.update(self._file.read_bytes())
        return digest.hexdigest()

    def use_threads(self, count: int) -> int:
        """The session's number is fixed when it is made."""
        return count

    def _run(self, inputs: NDArray[np.float32], average_views: bool, names: list[str]) -> list[NDArray[np.float32]]:
        """Outputs of that name; logits are averaged over the views, maps are those of the images as they are."""
        seen = views(inputs, self._flip, self._zooms) if average_views else [inputs]
        # One pass for all views: a pass over a single face costs more per image than one over several.
        batch = np.ascontiguousarray(np.concatenate(seen), np.float32)
        if self._process != os.getpid():  # a fork copied the session without its threads, for which it would wait
            self._left = self._session  # nor can it be taken down
            self._open(threads=1)
        outputs = self._session.run(names, {"pixel_values": batch})
        logits = outputs[0].reshape(len(seen), len(inputs), -1).mean(axis=0)
        return [logits, *(output[: len(inputs)] for output in outputs[1:])]


def onnx_file(name_or_path: str | Path) -> Path | None:
    """The .onnx file that a name of `BUNDLED`, a folder or a path stands for; None if there is none."""
    path = Path(resolve_checkpoint(name_or_path))
    path = path / "model.onnx" if path.is_dir() else path
    return path if path.suffix == ".onnx" and path.is_file() else None


def default_threads() -> int:
    """What OMP_NUM_THREADS says, as torch takes it, or the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
