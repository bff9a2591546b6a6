"""Small checkpoints, folders of images and moving-face clips for the tests of scoring and video."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from PIL import Image

from gimefive_hf import ExpressionRecognizer, GiMeFiveConfig, GiMeFiveForImageClassification, GiMeFiveImageProcessor


def tiny_recognizer(seed: int = 0) -> ExpressionRecognizer:
    """A random network of the flagship's family, small enough for tests; CAM is exact on it."""
    torch.manual_seed(seed)
    config = GiMeFiveConfig(
        architecture="face-resnet", image_size=32, widths=[8, 16], depths=[1, 1], strides=[1, 2], classifier_widths=[]
    )
    model = GiMeFiveForImageClassification(config).eval()
    return ExpressionRecognizer(model, GiMeFiveImageProcessor(size={"height": 32, "width": 32}))


def save_tiny(folder: Path) -> Path:
    """The same as a checkpoint folder."""
    fer = tiny_recognizer()
    fer.model.save_pretrained(folder)
    fer.processor.save_pretrained(folder)
    return folder


def face_photo() -> np.ndarray:
    """The public-domain portrait of Eileen Collins, uint8 RGB (512, 512, 3)."""
    from skimage.data import astronaut

    return astronaut()


def moving_face(count: int, width: int = 320, height: int = 240, people: int = 1) -> list[np.ndarray]:
    """Frames uint8 RGB in which one or two copies of the portrait sway, nod and come nearer."""
    photo = cv2.cvtColor(face_photo(), cv2.COLOR_RGB2BGR)[..., ::-1]
    frames = []
    for index in range(count):
        frame = np.full((height, width, 3), 90, np.uint8)
        for person in range(people):
            share = width / people
            phase = index / 12 + 2 * person
            # the portrait's face is about 110 pixels wide around (224, 110)
            scale = height / 110 * 0.42 * (1 + 0.1 * np.sin(phase)) / (1 if people == 1 else 1.25)
            matrix = cv2.getRotationMatrix2D((224, 120), 8 * np.sin(phase * 0.7), scale)
            centre = (share * (person + 0.5) + 0.08 * share * np.sin(phase), height * (0.5 + 0.04 * np.cos(phase)))
            matrix[:, 2] += np.array(centre) - (224, 120)
            left, right = round(share * person), round(share * (person + 1))
            warped = cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
            frame[:, left:right] = warped[:, left:right]
        frames.append(frame)
    return frames


def write_clip(
    path: Path,
    frames: list[np.ndarray],
    fps: int = 25,
    codec: str = "libx264",
    audio: str | None = None,
    rotation: int = 0,
    times: list[float] | None = None,
) -> Path:
    """A clip of the frames; `audio` is a codec for a 440 Hz tone, `times` are seconds for variable frame rate."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height = frames[0].shape[1], frames[0].shape[0]
        video.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        tone = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        if times is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[index] * 1000), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if tone is not None:
            samples = round(48000 * len(frames) / fps)
            wave = (8000 * np.sin(np.arange(samples) * 2 * np.pi * 440 / 48000)).astype(np.int16)
            for start in range(0, samples, 960):
                part = av.AudioFrame.from_ndarray(wave[None, start : start + 960], format="s16", layout="mono")
                part.sample_rate, part.pts = 48000, start
                container.mux(tone.encode(part))
            container.mux(tone.encode())
    if rotation:
        rotate_clip(path, rotation)
    return path


def rotate_clip(path: Path, degrees: int) -> None:
    """Note in an mp4's track header that a player must turn it clockwise, as phones do: nothing is encoded anew."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    place = start + (40 if data[start] == 0 else 52)  # the matrix, after the fields of version 0 or 1
    one = 1 << 16
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    values = [cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30]
    data[place : place + 36] = b"".join((value & 0xFFFFFFFF).to_bytes(4, "big") for value in values)
    path.write_bytes(data)


def image_folder(folder: Path, count: int, side: int = 40) -> Path:
    """`count` random JPEGs in three subfolders."""
    random = np.random.default_rng(0)
    for index in range(count):
        place = folder / f"part{index % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = cv2.resize(random.integers(0, 256, (8, 8, 3), np.uint8), (side, side))
        Image.fromarray(pixels).save(place / f"{index:05d}.jpg")
    return folder
