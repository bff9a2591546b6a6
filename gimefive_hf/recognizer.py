"""The whole path: image → faces → crops → scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from .faces.cropping import CROP_MARGIN, FaceCrop, crop_face
from .faces.detections import Box
from .faces.detector import FaceDetector
from .faces.landmarks import landmarks_68
from .image_processing_gimefive import GiMeFiveImageProcessor
from .images.photos import ImageSource, load_image
from .modeling_gimefive import GiMeFiveForImageClassification

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
        model: any `GiMeFiveForImageClassification`.
        processor: its image processor.
        detector: finds the faces; None for the default one.
        margin: side of the crop over the side of the face box, see `crop_face`.

    Example:
        >>> fer = ExpressionRecognizer.from_pretrained("gimefive")
        >>> for face in fer("photo.jpg"):
        ...     print(face.emotion, face.score, face.box)
    """

    def __init__(
        self,
        model: GiMeFiveForImageClassification,
        processor: GiMeFiveImageProcessor,
        detector: FaceDetector | None = None,
        margin: float = CROP_MARGIN,
    ):
        self.model = model.eval()
        self.processor = processor
        self.detector = detector or FaceDetector()
        self.margin = margin

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path = "gimefive",
        detector: FaceDetector | None = None,
        margin: float = CROP_MARGIN,
        **kwargs,
    ) -> "ExpressionRecognizer":
        """
        Load model and processor: `"gimefive"` for the checkpoint in the package, a folder, or a Hub id.

        Further arguments go to transformers' `from_pretrained` of the model, such as `revision` or `token`.

        Raises:
            ValueError: if there is no such model.
        """
        try:
            model = GiMeFiveForImageClassification.from_pretrained(pretrained_model_name_or_path, **kwargs)
        except OSError as error:
            raise ValueError(
                f"no model {str(pretrained_model_name_or_path)!r}: expected 'gimefive', the folder of a checkpoint or "
                f"the id of one on the Hub ({str(error).splitlines()[0]})"
            ) from error
        shared = {k: v for k, v in kwargs.items() if k in ("revision", "token", "cache_dir", "local_files_only")}
        processor = GiMeFiveImageProcessor.from_pretrained(pretrained_model_name_or_path, **shared)
        return cls(model, processor, detector, margin)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The model's classes in the order of its scores."""
        return tuple(self.model.config.id2label[index] for index in range(self.model.config.num_labels))

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
        threshold = self.model.config.confidence_threshold or 0.0
        for (index, box, detection_score, crop, points), row in zip(found, scores, strict=True):
            by_name = dict(zip(self.emotions, row.tolist(), strict=True))
            result[index].append(Face(box, detection_score, by_name, crop, points, threshold))
        return result

    @torch.inference_mode()
    def score_crops(self, crops: Sequence[NDArray[np.uint8]], batch_size: int = 64) -> NDArray[np.float32]:
        """Probabilities float32 (n, classes) of aligned crops, each uint8 RGB (height, width, 3) of any size."""
        rows = [np.zeros((0, self.model.config.num_labels), np.float32)]
        for start in range(0, len(crops), batch_size):
            pixel_values = self.pixel_values(crops[start : start + batch_size])
            rows.append(self.model(pixel_values).logits.float().softmax(-1).cpu().numpy())
        return np.concatenate(rows)

    def pixel_values(self, crops: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """The network's input (n, channels, height, width) for uint8 RGB crops, on the model's device."""
        # crops of one size are resized and normalised as one array
        options = {"return_tensors": "pt", "input_data_format": "channels_last", "disable_grouping": False}
        values = self.processor(list(crops), **options)["pixel_values"]
        return values.to(self.model.device, self.model.dtype)


def from_pretrained(pretrained_model_name_or_path: str | Path = "gimefive", **kwargs) -> ExpressionRecognizer:
    """Shorthand for `ExpressionRecognizer.from_pretrained`."""
    return ExpressionRecognizer.from_pretrained(pretrained_model_name_or_path, **kwargs)
