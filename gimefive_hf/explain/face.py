"""Why a face was scored as it was: heat map, the parts of the face that it lies on, and a sentence."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .methods import explain_classes
from .regions import REGIONS, crop_landmarks, reason, region_map, region_shares

if TYPE_CHECKING:
    from ..recognizer import ExpressionRecognizer, Face

# The landmark network's own confidence under which its points are not used.
PRESENT = 0.5


@dataclass(frozen=True)
class FaceExplanation:
    """
    What speaks for one expression of one face.

    Attributes:
        emotion, score: the expression, and its probability in [0, 1].
        heat: float32 (H, W) in [0, 1], over the crop.
        landmarks: float32 (68, 2) in pixels of the crop; None where the landmark network saw no face.
        shares: region of `REGIONS` → share of the heat; they sum to 1, or are NaN without heat or landmarks.
        areas: region → share of the picture, NaN without landmarks; a share over its area is how dense the heat is.
        sentence: the same for a person.
    """

    emotion: str
    score: float
    heat: NDArray[np.float32] = field(repr=False)
    landmarks: NDArray[np.float32] | None = field(repr=False)
    shares: dict[str, float]
    areas: dict[str, float]
    sentence: str


def explain_face(
    recognizer: "ExpressionRecognizer", face: "Face", emotion: str | None = None, method: str = "grad-cam", **options
) -> FaceExplanation:
    """
    Why `face` got its score of `emotion`; None for the expression of the highest score.

    Args:
        recognizer: that gave the face; its network must be in torch.
        method: one of `METHODS`, with its `options`, see `explain`.

    Raises:
        ValueError: for an unknown expression or method, or if the method does not suit the network.
        ImportError: if the method needs grad-cam or captum and it is missing.
    """
    emotion = face.emotion if emotion is None else emotion
    return explain_face_classes(recognizer, face, [emotion], method, **options)[0]


def explain_face_classes(
    recognizer: "ExpressionRecognizer", face: "Face", emotions: list[str], method: str = "grad-cam", **options
) -> list[FaceExplanation]:
    """As `explain_face`, for several expressions of one face."""
    unknown = sorted(set(emotions) - set(face.scores))
    if unknown:
        raise ValueError(f"expected expressions out of {', '.join(face.scores)}; got {', '.join(unknown)}")
    pixel_values = recognizer.pixel_values([face.crop.image])
    maps = explain_classes(recognizer.model, pixel_values, method, emotions, **options)[0]
    located = face_landmarks(face)
    return [
        describe_heat(face.crop.image, emotion, face.scores[emotion], heat, located)
        for emotion, heat in zip(emotions, maps, strict=True)
    ]


def face_landmarks(face: "Face") -> tuple[NDArray[np.float32], float]:
    """The landmarks of a face in pixels of its crop, and how sure they are: the photo's, where the crop shows none."""
    points, presence = crop_landmarks(face.crop.image)
    if presence < PRESENT and face.landmarks is not None:
        return face.crop.to_crop(face.landmarks).astype(np.float32), 1.0
    return points, presence


def describe_heat(
    crop: NDArray[np.uint8],
    emotion: str,
    score: float,
    heat: NDArray[np.float32],
    located: tuple[NDArray[np.float32], float] | None = None,
) -> FaceExplanation:
    """
    The explanation that a heat map is.

    Args:
        crop: the aligned crop, uint8 RGB (height, width, 3).
        heat: float32 (H, W), of any size, over the crop.
        located: landmarks of the crop and how sure they are, as `crop_landmarks` gives them; None finds them.
    """
    points, presence = crop_landmarks(crop) if located is None else located
    if presence < PRESENT:
        nowhere = dict.fromkeys(REGIONS, float("nan"))
        said = f"{emotion} {score:.2f}; no landmarks were found"
        return FaceExplanation(emotion, score, heat, None, nowhere, nowhere, said)
    scale = np.array([heat.shape[1] / crop.shape[1], heat.shape[0] / crop.shape[0]], np.float32)
    regions = region_map(points * scale, heat.shape)[None]
    shares, area = (region_shares(values[None], regions)[0] for values in (heat, np.ones_like(heat)))
    by_region, areas = (dict(zip(REGIONS, values.tolist(), strict=True)) for values in (shares, area))
    return FaceExplanation(emotion, score, heat, points, by_region, areas, reason(emotion, score, shares, area))
