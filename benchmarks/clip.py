"""A clip of a moving face out of scikit-image's public-domain portrait of Eileen Collins."""

from pathlib import Path

import cv2
import numpy as np

from gimefive_hf.video.files import VideoWriter


def write_face_clip(path: Path, seconds: float = 6, width: int = 640, height: int = 480, fps: int = 25) -> Path:
    """The portrait sways, nods and comes nearer, as H.264 without sound; ends where it begins, so that it can loop."""
    from skimage.data import astronaut

    photo = astronaut()
    writer = VideoWriter(path, width, height, rate=fps)
    count = round(seconds * fps)
    for index in range(count):
        phase = 2 * np.pi * index / count
        # the face is about 110 pixels wide around (224, 110)
        matrix = cv2.getRotationMatrix2D((224, 120), 9 * np.sin(2 * phase), height / 512 * (1.5 + 0.3 * np.sin(phase)))
        centre = np.array([width * (0.4 + 0.1 * np.sin(phase)), height * (0.42 + 0.05 * np.sin(3 * phase))])
        matrix[:, 2] += centre - (224, 120)
        frame = cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        writer.write(frame, index / fps)
    writer.close()
    return path
