"""What the browser's page must know of the package, as one JSON value: no constant of it is written down twice."""

import inspect
from pathlib import Path
from typing import Any

import cv2
import pandas as pd

from evaluation.store import DEFAULT_STORE
from gimefive_hf.bundled import resolve_checkpoint
from gimefive_hf.drawing.colors import EMOTION_COLORS, OTHER_COLOR
from gimefive_hf.explain import covering, regions
from gimefive_hf.faces import cropping, detections, detector, landmarks, onet, tracking
from gimefive_hf.images.opening import MAX_PIXELS, MIN_SIDE
from gimefive_hf.recognizer import NO_CLEAR_EMOTION
from gimefive_hf.runtimes.onnx_predictor import ExportedFacts, OnnxPredictor
from gimefive_hf.version import __version__
from gimefive_hf.video.people import ScoreSmoother

# The first of these that is there; with neutral if it can be had.
MODELS = ("gimefive-fast-7", "gimefive-fast")


def model_folder() -> Path:
    """The checkpoint that the page runs. Raises ValueError if there is none with a `model.onnx`."""
    for name in MODELS:
        folder = Path(resolve_checkpoint(name))
        if (folder / "model.onnx").is_file():
            return folder
    raise ValueError(f"the page needs the model.onnx of {' or '.join(MODELS)} in gimefive_hf/checkpoints")


def facts(folder: Path | None = None) -> dict[str, Any]:
    """The value of `Facts` in `live/src/assets.ts`."""
    folder = folder or model_folder()
    network = OnnxPredictor(folder).facts
    return {
        "model": folder.name,
        "version": __version__,
        "emotions": [{"name": name, "color": css(EMOTION_COLORS.get(name, OTHER_COLOR))} for name in network.emotions],
        "noClearEmotion": NO_CLEAR_EMOTION,
        "otherColor": css(OTHER_COLOR),
        "threshold": network.threshold,
        "maxPixels": MAX_PIXELS,
        "minSide": MIN_SIDE,
        "network": network_facts(network),
        "crop": {
            "margin": cropping.CROP_MARGIN,
            "lift": cropping.CROP_LIFT,
            "least": cropping.CROP_LEAST,
            "boxPerEyes": cropping.BOX_PER_EYES,
            "minSide": cropping.CROP_SIDES[0],
            "maxSide": cropping.CROP_SIDES[1],
            "replicate": cropping.CROP_BORDER == cv2.BORDER_REPLICATE,
        },
        "detector": {
            "side": detector.DETECTOR_SIDE,
            **camel(defaults(detector.FaceDetector)),
            "minTile": detector.LEAST_TILE,
            "wider": detector.WIDER,
            "leastFilling": detector.LEAST_FILLING,
            "sure": detector.FaceDetector.SURE,
            "present": detector.FaceDetector.PRESENT,
            "likely": detector.FaceDetector.LIKELY,
            **camel(defaults(detections.non_maximum_suppression)),
        },
        "onet": {"side": onet.ONET_SIDE, "margin": onet.ONET_MARGIN, "lift": onet.ONET_LIFT},
        "mesh": {
            "side": landmarks.MESH_SIDE,
            "margin": landmarks.MESH_MARGIN,
            "to68": landmarks.mesh_to_68().tolist(),
            "groups": {name: [part.start, part.stop] for name, part in landmarks.LANDMARK_GROUPS.items()},
        },
        "tracker": {
            **camel(defaults(tracking.FaceTracker)),
            "rigid": [tracking.RIGID.start, tracking.RIGID.stop],
        },
        "smoothing": camel(defaults(ScoreSmoother)),
        "regions": {
            "browLift": regions.BROW_LIFT,
            "eyeMargin": regions.EYE_MARGIN,
            "noseMargin": regions.NOSE_MARGIN,
            "mouthMargin": regions.MOUTH_MARGIN,
            "covered": covering.PARTS,
            "edge": covering.EDGE,
        },
        "figures": figures(folder.name),
    }


def network_facts(network: ExportedFacts) -> dict[str, Any]:
    """Preprocessing and views. Raises ValueError for a network that the page cannot feed."""
    steps = network.preprocessing
    if steps.size is None or steps.mean is None or steps.std is None or not steps.grey or network.zoom_average:
        raise ValueError("the page needs a network of grey, resized, normalised crops that is not averaged over zooms")
    return {"imageSize": steps.size[0], "mean": steps.mean, "std": steps.std, "flip": network.flip_average}


def css(color: tuple[int, int, int]) -> str:
    """RGB as #rrggbb."""
    return "#" + "".join(f"{level:02x}" for level in color)


def defaults(function: Any) -> dict[str, Any]:
    """The numbers that stand as defaults in a signature."""
    values = {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}
    return {name: value for name, value in values.items() if isinstance(value, (int, float, tuple)) and value != ()}


def camel(values: dict[str, Any]) -> dict[str, Any]:
    """The same with names as TypeScript writes them."""
    return {name.split("_")[0] + "".join(w.title() for w in name.split("_")[1:]): v for name, v in values.items()}


def figures(model: str, store: Path = DEFAULT_STORE) -> dict[str, Any]:
    """
    How often the model is right, from the results store: over each test split, per class, and on corrupted images by
    strength; each with its 95 % interval, its number of images, and how many classes were told apart. Where the model
    was not tried on corrupted images, they are those of `corruptedOf`.
    """
    table = pd.read_csv(store / "results.csv")
    table = table[(table["split"] == "test") & (table["subset"] == "full")].sort_values(["protocol", "classes"])
    own = table[table["model"] == model]
    accuracy = own[(own["metric"] == "accuracy") & (own["protocol"] == "aligned")]
    recall = own[(own["metric"] == "recall") & (own["protocol"] == "aligned") & (own["corpus"] == "aggregate")]
    corrupted = table[(table["metric"] == "accuracy") & table["protocol"].str.startswith("corrupted/")]
    tried = next((name for name in (model, *MODELS) if (corrupted["model"] == name).any()), model)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for _, row in corrupted[corrupted["model"] == tried].iterrows():
        kinds.setdefault(row["protocol"].split("/")[1], []).append(figure(row))
    return {
        # of two rows, that of more classes comes last and stays
        "accuracy": {row["corpus"]: figure(row) for _, row in accuracy.iterrows()},
        "recall": {row["class"]: figure(row) for _, row in recall.iterrows()},
        "corrupted": kinds,
        "corruptedOf": tried,
    }


def figure(row: pd.Series) -> dict[str, Any]:
    """One figure of the store, as a share."""
    shares = {name: round(float(row[name]), 4) for name in ("value", "low", "high")}
    return {**shares, "images": int(row["n_scored"]), "classes": int(row["classes"])}
