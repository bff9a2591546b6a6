"""The whole path: image → faces → crops → scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

import numpy as np
from numpy.typing import NDArray

from .faces.cropping import CROP_MARGIN, FaceCrop, crop_face
from .faces.detections import Box, Detector
from .faces.detector import FaceDetector
from .faces.landmarks import landmarks_68
from .images.photos import ImageSource, load_image
from .runtimes.backends import load_predictor
from .runtimes.predictor import Predictor, predict_crops

if TYPE_CHECKING:  # only a recogniser on torch needs torch
    import torch

    from .image_processing_gimefive import GiMeFiveImageProcessor
    from .modeling_gimefive import GiMeFiveForImageClassification
    from .runtimes.torch_predictor import TorchPredictor

NO_CLEAR_EMOTION = "no clear emotion"


@dataclass(frozen=True)
class Face:
    """
    One face and its scores.

    Attributes:
        box: (x, y, width, height) in pixels of the image.
        detection_score: how sure the detector is, in [0, 1]; NaN for an image that was given as a crop.
        scores: expression → probability, in the model's order; they sum to 1.
        crop: what the network saw, with the map from the image to it.
        landmarks: float32 (68, 2) in pixels of the image, or None if they were not asked for.
        threshold: confidence under which no expression is clear.
    """

    box: Box
    detection_score: float
    scores: dict[str, float]
    crop: FaceCrop = field(repr=False)
    landmarks: NDArray[np.float32] | None = field(default=None, repr=False)
    threshold: float = 0.0

    @property
    def emotion(self) -> str:
        """The expression of the highest score."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def score(self) -> float:
        """The highest score, in [0, 1]."""
        return max(self.scores.values())

    @property
    def is_clear(self) -> bool:
        """Whether the highest score reaches the model's threshold."""
        return self.score >= self.threshold

    @property
    def label(self) -> str:
        """`emotion`, or "no clear emotion" where the highest score is under the model's threshold."""
        return self.emotion if self.is_clear else NO_CLEAR_EMOTION


class ExpressionRecognizer:
    """
    Finds faces and scores their expressions.

    Args:
        model: any `GiMeFiveForImageClassification`, or a `Predictor`.
        processor: the model's image processor; a `Predictor` has its own.
        detector: finds the faces; any `Detector`, None for the default one.
        margin: side of the crop over the side of the face box, see `crop_face`.

    Example:
        >>> fer = ExpressionRecognizer.from_pretrained("gimefive")
        >>> for face in fer("photo.jpg"):
        ...     print(face.emotion, face.score, face.box)
    """

    def __init__(
        self,
        model: "GiMeFiveForImageClassification | Predictor",
        processor: "GiMeFiveImageProcessor | None" = None,
        detector: Detector | None = None,
        margin: float = CROP_MARGIN,
    ):
        if processor is None:
            if not isinstance(model, Predictor):
                raise ValueError(
                    "a torch model needs its image processor; expected ExpressionRecognizer(model, processor)"
                )
            self.predictor: Predictor = model
        else:
            from .runtimes.torch_predictor import TorchPredictor

            network = cast("GiMeFiveForImageClassification", model)
            self.predictor = TorchPredictor(network, processor)
        self.detector: Detector = detector or FaceDetector()
        self.margin = margin

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path = "gimefive",
        detector: Detector | None = None,
        margin: float = CROP_MARGIN,
        **options,
    ) -> "ExpressionRecognizer":
        """
        Load a network: `"gimefive"` for the checkpoint in the package, a folder, a Hub id, or with `backend="onnx"` an
        .onnx file.

        Args:
            options: of `load_predictor`: `backend="onnx"` needs no torch and starts in a fraction of a second; with
                torch, which is the default, also those of transformers' `from_pretrained`, such as `revision`.

        Raises:
            ValueError: if there is no such model, it is not whole, or options contradict each other.
        """
        return cls(load_predictor(pretrained_model_name_or_path, **options), None, detector, margin)

    @property
    def torch_predictor(self) -> "TorchPredictor":
        """The network in torch. Raises ValueError for a recogniser on another runtime."""
        if self.predictor.backend != "torch":
            raise ValueError("this needs the network in torch: load it with backend='torch'")
        return cast("TorchPredictor", self.predictor)

    @property
    def model(self) -> "GiMeFiveForImageClassification":
        """The torch model; raises as `torch_predictor` does."""
        return self.torch_predictor.model

    @property
    def processor(self) -> "GiMeFiveImageProcessor":
        """The torch model's image processor; raises as `torch_predictor` does."""
        return self.torch_predictor.processor

    @property
    def emotions(self) -> tuple[str, ...]:
        """The model's classes in the order of its scores."""
        return self.predictor.emotions

    @overload
    def __call__(
        self, images: ImageSource, crops: bool = ..., landmarks: bool = ..., batch_size: int = ...
    ) -> list[Face]: ...

    @overload
    def __call__(
        self, images: list[ImageSource], crops: bool = ..., landmarks: bool = ..., batch_size: int = ...
    ) -> list[list[Face]]: ...

    def __call__(
        self,
        images: ImageSource | list[ImageSource],
        crops: bool = False,
        landmarks: bool = True,
        batch_size: int = 64,
    ) -> list[Face] | list[list[Face]]:
        """
        Find and score the faces of one image, or of each image of a list.

        Args:
            images: paths, PIL images or uint8 RGB arrays (height, width, 3), one or a list.
            crops: each image is one face, already cropped and upright; nothing is searched.
            landmarks: also find the 68 landmarks of each face.
            batch_size: faces per pass through the network.

        Returns:
            The faces, largest first; an empty list where there is none. For a list, a list of lists.

        Raises:
            ValueError: if an image cannot be read; the text names it and the reason.
        """
        if isinstance(images, (list, tuple)):
            return self._recognize(images, crops, landmarks, batch_size)
        return self._recognize([cast(ImageSource, images)], crops, landmarks, batch_size)[0]

    def _recognize(
        self, images: Sequence[ImageSource], crops: bool, landmarks: bool, batch_size: int
    ) -> list[list[Face]]:
        found: list[tuple[int, Box, float, FaceCrop, NDArray[np.float32] | None]] = []
        for index, source in enumerate(images):
            image = load_image(source)
            if crops:
                height, width = image.shape[:2]
                box: Box = (0.0, 0.0, float(width), float(height))
                points = landmarks_68(image, box) if landmarks else None
                found.append((index, box, float("nan"), FaceCrop(image, np.eye(2, 3)), points))
                continue
            for detection in sorted(self.detector(image), key=lambda d: -d.box[2]):
                points = landmarks_68(image, detection) if landmarks else None
                crop = crop_face(image, detection, self.margin)
                found.append((index, detection.box, detection.score, crop, points))
        scores = self.score_crops([crop.image for _, _, _, crop, _ in found], batch_size)
        result: list[list[Face]] = [[] for _ in images]
        threshold = self.predictor.threshold
        for (index, box, detection_score, crop, points), row in zip(found, scores, strict=True):
            by_name = dict(zip(self.emotions, row.tolist(), strict=True))
            result[index].append(Face(box, detection_score, by_name, crop, points, threshold))
        return result

    def score_crops(self, crops: Sequence[NDArray[np.uint8]], batch_size: int = 64) -> NDArray[np.float32]:
        """Probabilities float32 (n, classes) of aligned crops, each uint8 RGB (height, width, 3) of any size."""
        return predict_crops(self.predictor, crops, batch_size)

    def pixel_values(self, crops: Sequence[NDArray[np.uint8]]) -> "torch.Tensor":
        """
        The torch network's input (n, channels, height, width) for uint8 RGB crops, on the model's device.

        Raises:
            ValueError: for a recogniser on another runtime.
        """
        return self.torch_predictor.pixel_values(crops)


def from_pretrained(pretrained_model_name_or_path: str | Path = "gimefive", **kwargs) -> ExpressionRecognizer:
    """Shorthand for `ExpressionRecognizer.from_pretrained`."""
    return ExpressionRecognizer.from_pretrained(pretrained_model_name_or_path, **kwargs)
