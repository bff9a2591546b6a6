"""
The demo's example clip: a resting face that smiles and is surprised, because the landmarks of one photo are moved.

    python -m spaces.example_clip spaces/demo/examples/neutral.jpeg -o spaces/demo/examples/changing_face.mp4

No one made these expressions: the photo is bent between 68 landmarks by thin-plate splines (Bookstein 1989), and an
opened mouth is painted dark. Whoever shows the clip says so.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from gimefive_hf import detect_faces, landmarks_68, load_image
from gimefive_hf.video.files import VideoWriter

# Where landmarks of iBUG 300-W go, (sideways, up) in distances between the eyes' centres; sideways is away from the
# middle of the face. Numbers are those of the 68, from 0.
SMILE: dict[int, tuple[float, float]] = {
    **dict.fromkeys((48, 54), (0.16, 0.13)),  # corners of the mouth
    **dict.fromkeys((60, 64), (0.15, 0.12)),
    **dict.fromkeys((49, 53, 59, 55), (0.08, 0.05)),
    **dict.fromkeys((61, 63, 67, 65), (0.07, 0.03)),
    **dict.fromkeys((50, 51, 52, 62), (0.0, 0.015)),
    **dict.fromkeys((57, 58, 56, 66), (0.0, -0.02)),
    **dict.fromkeys((40, 41, 46, 47), (0.0, 0.03)),  # lower lids, pushed up by the cheeks
    **dict.fromkeys((31, 35), (0.03, 0.02)),
}
SURPRISE: dict[int, tuple[float, float]] = {
    **dict.fromkeys(range(17, 27), (0.0, 0.12)),  # brows
    **dict.fromkeys((37, 38, 43, 44), (0.0, 0.03)),  # upper lids
    **dict.fromkeys((40, 41, 46, 47), (0.0, -0.02)),
    **dict.fromkeys((48, 54), (-0.06, -0.05)),
    **dict.fromkeys((60, 64), (-0.05, -0.05)),
    **dict.fromkeys((49, 50, 51, 52, 53), (0.0, 0.03)),
    **dict.fromkeys((61, 62, 63), (0.0, 0.03)),
    **dict.fromkeys((55, 56, 57, 58, 59), (0.0, -0.2)),
    **dict.fromkeys((65, 66, 67), (0.0, -0.18)),
    **dict.fromkeys((6, 7, 8, 9, 10), (0.0, -0.15)),  # chin
    **dict.fromkeys((4, 5, 11, 12), (0.0, -0.1)),
}
# Expression and its strength over the clip: (second, smile, surprise); straight in between, eased at both ends.
SCORE = (
    (0.0, 0, 0),
    (1.5, 0, 0),
    (2.3, 1, 0),
    (4.3, 1, 0),
    (5.1, 0, 0),
    (6.4, 0, 0),
    (6.8, 0, 1),
    (8.6, 0, 1),
    (9.4, 0, 0),
    (11.0, 0, 0),
)
INNER_MOUTH = slice(60, 68)
MOUTH_COLOUR = (62, 16, 20)  # RGB of an open mouth in the shade
GRID = 8  # the spline is computed at every eighth pixel


def moved(landmarks: NDArray[np.float32], moves: dict[int, tuple[float, float]], strength: float) -> NDArray:
    """The 68 landmarks (68, 2) after `strength`, 0 to 1, of an expression."""
    right, left = landmarks[36:42].mean(0), landmarks[42:48].mean(0)
    unit = float(np.linalg.norm(left - right))
    along = (left - right) / unit
    up = np.array([along[1], -along[0]])
    middle = (landmarks - (left + right) / 2) @ along
    result = landmarks.astype(np.float64)
    for index, (sideways, upwards) in moves.items():
        away = np.sign(middle[index]) * sideways
        result[index] += strength * unit * (away * along + upwards * up)
    return result


def bend(photo: NDArray[np.uint8], landmarks: NDArray[np.float32], target: NDArray) -> NDArray[np.uint8]:
    """The photo (height, width, 3) with its landmarks (68, 2) moved to `target`; its border stays where it is."""
    height, width = photo.shape[:2]
    frame = np.array([(x, y) for x in np.linspace(0, width, 5) for y in np.linspace(0, height, 5)])
    low, high = landmarks.min(0) - 0.25 * np.ptp(landmarks, 0), landmarks.max(0) + 0.25 * np.ptp(landmarks, 0)
    frame = frame[((frame < low) | (frame > high)).any(1)]
    spline = RBFInterpolator(np.concatenate([target, frame]), np.concatenate([landmarks, frame]), smoothing=2.0)
    y, x = np.mgrid[0 : height + GRID : GRID, 0 : width + GRID : GRID].astype(np.float64)
    source = spline(np.stack([x.ravel(), y.ravel()], 1)).reshape(*x.shape, 2).astype(np.float32)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / GRID
    full = cv2.remap(source, columns, rows, cv2.INTER_LINEAR)
    return cv2.remap(photo, full[..., 0], full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def open_mouth(picture: NDArray[np.uint8], target: NDArray) -> NDArray[np.uint8]:
    """Paints what lies between the inner lips of `target` dark, with a soft edge, where they are apart."""
    lips = target[INNER_MOUTH]
    unit = float(np.linalg.norm(target[42:48].mean(0) - target[36:42].mean(0)))
    apart = np.linalg.norm(lips[2] - lips[6]) / unit
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(lips * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(mask, (0, 0), 0.02 * unit).astype(np.float32)[..., None] / 255
    soft *= np.clip((apart - 0.06) / 0.08, 0, 1)
    return np.rint(soft * np.array(MOUTH_COLOUR) + (1 - soft) * picture).astype(np.uint8)


def strengths(second: float) -> tuple[float, float]:
    """How strong smile and surprise are at that second, each 0 to 1."""
    times, *values = np.array(SCORE, np.float64).T
    smile, surprise = (float(np.interp(second, times, value)) for value in values)
    return (3 - 2 * smile) * smile**2, (3 - 2 * surprise) * surprise**2  # smoothstep


def write_clip(photo: Path, output: Path, height: int = 560, rate: int = 25) -> None:
    """Write the clip as H.264 without sound. Raises ValueError for a photo without exactly one face."""
    image = load_image(photo)
    width = round(image.shape[1] * height / image.shape[0] / 2) * 2
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    faces = detect_faces(image)
    if len(faces) != 1:
        raise ValueError(f"{photo.name}: expected one face, found {len(faces)}")
    landmarks = landmarks_68(image, faces[0])
    writer = VideoWriter(output, width, height, rate=rate)
    for index in range(round(SCORE[-1][0] * rate)):
        smile, surprise = strengths(index / rate)
        target = moved(landmarks, SMILE, smile) + moved(landmarks, SURPRISE, surprise) - landmarks
        sway = cv2.getRotationMatrix2D((width / 2, height), 2 * np.sin(2 * np.pi * index / rate / 5.5), 1.02)
        frame = open_mouth(bend(image, landmarks, target), target)
        frame = cv2.warpAffine(frame, sway, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        writer.write(frame, index / rate)
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("photo", type=Path, help="a photo of one resting face, mouth closed")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the clip, .mp4")
    arguments = parser.parse_args()
    write_clip(arguments.photo, arguments.output)


if __name__ == "__main__":
    main()
