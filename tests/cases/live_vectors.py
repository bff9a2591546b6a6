"""What the Python package computes for small inputs, for `vitest` to compare the browser's arithmetic with."""

from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from gimefive_hf.faces import cropping, detections, detector, landmarks, onet, tracking
from gimefive_hf.runtimes.onnx_predictor import OnnxPredictor
from gimefive_hf.video.people import ScoreSmoother
from spaces.live_facts import facts, model_folder


def vectors(photo: np.ndarray) -> dict[str, Any]:
    """`photo` is uint8 RGB with one face; the results are JSON values."""
    small = cv2.resize(photo, (160, 160), interpolation=cv2.INTER_AREA)
    (face,) = detector.detect_faces(photo)
    return {
        "facts": facts(),
        "photo": picture(photo),
        "small": picture(small),
        "warps": [warp(small, *case) for case in WARPS],
        "windows": [
            [h, w, list(map(list, detector.windows(h, w, detector.FaceDetector().tile_scales)))] for h, w in SIZES
        ],
        "decoding": decoding(photo),
        "crops": [crop(photo, face), crop(*near_the_border(photo, face))],
        "onet": onet.onet_input(photo, face.box).ravel().tolist(),
        "mesh": landmarks.mesh_transform(face).ravel().tolist(),
        "smoothing": smoothing(),
        "moving": moving(face),
        "matching": matching(),
        "assignment": assignment(),
        "suppressed": suppressed(),
    }


WARPS = [  # angle in degrees, scale, side of the result, border
    (0.0, 1.0, 32, cv2.BORDER_CONSTANT),
    (17.0, 0.7, 48, cv2.BORDER_CONSTANT),
    (-33.0, 1.9, 40, cv2.BORDER_REPLICATE),
    (8.0, 0.31, 24, cv2.BORDER_CONSTANT),
    (-5.0, 0.12, 24, cv2.BORDER_REPLICATE),
]
SIZES = [(480, 640), (640, 480), (1201, 333), (90, 1000), (64, 64), (1080, 1920)]


def picture(image: np.ndarray) -> dict[str, Any]:
    height, width = image.shape[:2]
    return {"width": width, "height": height, "rgb": image.ravel().tolist()}


def warp(image: np.ndarray, angle: float, scale: float, size: int, border: int) -> dict[str, Any]:
    matrix = cv2.getRotationMatrix2D((60.3, 71.8), angle, scale)
    matrix[:, 2] += (size - 1) / 2 - np.array([60.3, 71.8])
    result = cropping.warp_square(image, matrix, size, border)
    call = {"angle": np.radians(angle), "scale": scale, "size": size, "replicate": border == cv2.BORDER_REPLICATE}
    return {**call, "matrix": matrix.ravel().tolist(), "rgb": result.ravel().tolist()}


def as_json(face: detections.Detection) -> dict[str, Any]:
    return {"box": list(face.box), "score": face.score, "keypoints": face.keypoints.ravel().tolist()}


def decoding(photo: np.ndarray) -> dict[str, Any]:
    """The network's outputs for the whole photo, and what the detector makes of them."""
    finder = detector.FaceDetector()
    outputs: list[np.ndarray] = []
    network = finder._network
    finder._network = lambda pixels: outputs.append(pixels) or outputs.extend(network(pixels)) or outputs[1:]  # type: ignore
    found = finder._detect_in_window(photo, 0, 0, photo.shape[0])
    pixels, logits, values = (array.ravel() for array in outputs)
    return {
        "pixels": pixels[::97].tolist(),
        "logits": logits.tolist(),
        "values": values.tolist(),
        "found": [as_json(face) for face in detections.non_maximum_suppression(found)],
    }


def crop(photo: np.ndarray, face: detections.Detection) -> dict[str, Any]:
    predictor = OnnxPredictor(model_folder())
    cut = cropping.crop_face(photo, face)
    values = predictor.prepare([cut.image])
    return {
        "photo": picture(photo),
        "face": as_json(face),
        "side": cut.image.shape[0],
        "matrix": cut.matrix.ravel().tolist(),
        "rgb": cut.image.ravel().tolist(),
        "values": values.ravel().tolist(),
    }


def near_the_border(photo: np.ndarray, face: detections.Detection) -> tuple[np.ndarray, detections.Detection]:
    """The photo cut so that there is no room for the crop's margin above the face."""
    x, y, width, height = face.box
    top = int(y + 0.05 * height)
    moved = detections.Detection((x, y - top, width, height), face.score, face.keypoints - np.float32([0, top]))
    return photo[top:], moved


def smoothing() -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    cases = []
    for time_constant, hold in ((0.3, 5), (0.0, 1), (1.5, 3)):
        smoother = ScoreSmoother(time_constant, hold)
        steps, time = [], 0.0
        for _ in range(30):
            time += float(random.choice([0.02, 0.033, 0.5, 0.0]))
            scores = random.dirichlet(np.full(6, 0.4))
            smoothed = smoother.update(scores, time).tolist()
            steps.append({"time": time, "scores": scores.tolist(), "smoothed": smoothed, "dominant": smoother.dominant})
        cases.append({"timeConstant": time_constant, "hold": hold, "steps": steps})
    return cases


def moving(face: detections.Detection) -> dict[str, Any]:
    random = np.random.default_rng(4)
    old = (random.normal(size=(21, 2)) * 40 + 200).astype(np.float32)
    turn = np.array([[0.95, -0.2], [0.2, 0.95]])
    new = (old @ turn.T + (12, -7) + random.normal(size=(21, 2))).astype(np.float32)
    moved = tracking.move_detection(face, old, new)
    points = {"old": old.ravel().tolist(), "new": new.ravel().tolist()}
    return {"face": as_json(face), **points, "moved": as_json(moved)}


def matching() -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    cases = []
    for old_count, new_count in ((3, 3), (2, 5), (6, 4), (1, 1)):
        old, new = (
            [tuple(box) for box in np.hstack([random.uniform(0, 300, (n, 2)), random.uniform(30, 90, (n, 2))]).tolist()]
            for n in (old_count, new_count)
        )
        values = [[tracking.generalised_iou(a, b) for b in new] for a in old]
        pairs = sorted(tracking.match(old, new, -0.1))
        cases.append({"old": old, "new": new, "values": values, "pairs": pairs})
    return cases


def assignment() -> list[dict[str, Any]]:
    random = np.random.default_rng(6)
    cases = []
    for shape in ((1, 1), (5, 5), (3, 8), (9, 4), (40, 40)):
        costs = random.normal(size=shape)
        rows, columns = linear_sum_assignment(costs)
        cases.append({"costs": costs.tolist(), "total": float(costs[rows, columns].sum())})
    return cases


def suppressed() -> dict[str, Any]:
    random = np.random.default_rng(7)
    found = [
        detections.Detection((*map(float, box), float(size), float(size)), float(score), np.zeros((6, 2), np.float32))
        for box, size, score in zip(
            random.uniform(0, 200, (30, 2)), random.uniform(20, 90, 30), random.uniform(0.5, 1, 30), strict=True
        )
    ]
    return {
        "found": [as_json(f) for f in found],
        "kept": [as_json(f) for f in detections.non_maximum_suppression(found)],
    }
