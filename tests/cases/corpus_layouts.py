"""Tiny synthetic copies of every layout that the readers know: random grey images, real file names."""

import csv
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from training.corpora import VOTES

FER_FOLDERS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")


def picture(seed: str, side: int = 48, kind: str = "JPEG", colour: bool = False) -> bytes:
    """Noise that the seed decides alone."""
    shape = (side, side, 3) if colour else (side, side)
    pixels = np.random.default_rng(zlib.crc32(seed.encode())).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    """Files by relative path."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    """The same as a zip without compression."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def raf_kaggle(per_class: int = 2) -> dict[str, bytes | str]:
    files, tables = {}, {"train": ["image,label"], "test": ["image,label"]}
    for split, table in tables.items():
        for code in range(1, 8):
            for i in range(per_class):
                name = f"{split}_9{code}{i:03}_aligned.jpg"
                files[f"DATASET/{split}/{code}/{name}"] = picture(name, 64, colour=True)
                table.append(f"{name},{code}")
    return files | {f"{split}_labels.csv": "\n".join(table) for split, table in tables.items()}


def raf_authors(per_class: int = 2) -> dict[str, bytes | str]:
    lines, files = [], {}
    for split in ("train", "test"):
        for code in range(1, 8):
            for i in range(per_class):
                name = f"{split}_9{code}{i:03}"
                lines.append(f"{name}.jpg {code}")
                files[f"basic/Image/aligned/{name}_aligned.jpg"] = picture(f"{name}_aligned.jpg", 64, colour=True)
    return files | {"basic/EmoLabel/list_patition_label.txt": "\n".join(lines)}


def fer_folders(per_class: int = 2) -> dict[str, bytes | str]:
    files, rows = {}, [",".join(("file", *VOTES))]
    for split, prefix in (("train", "Training"), ("test", "PublicTest")):
        for folder in FER_FOLDERS:
            for i in range(per_class):
                name = f"{split}/{folder}/{prefix}_{zlib.crc32(folder.encode()) % 1000}{i}.jpg"
                files[name] = picture(name)
                if i:
                    rows.append(",".join((name, *(str(n) for n in range(len(VOTES))))))
    return files | {"ferplus_votes.csv": "\n".join(rows)}


def fer_table(rows: int = 14, plus: bool = True) -> dict[str, bytes | str]:
    usage = ("Training", "PublicTest", "PrivateTest")
    rng = np.random.default_rng(0)
    table, votes = io.StringIO(), io.StringIO()
    writer, plus_writer = csv.writer(table), csv.writer(votes)
    writer.writerow(["emotion", "pixels", "Usage"])
    plus_writer.writerow(["Usage", "Image name", *(name for name in VOTES)])
    for i in range(rows):
        writer.writerow([i % 7, " ".join(map(str, rng.integers(0, 256, 48 * 48))), usage[i % 3]])
        plus_writer.writerow([usage[i % 3], f"fer{i:07}.png", *range(i, i + len(VOTES))])
    files = {"fer2013.csv": table.getvalue()}
    return files | ({"fer2013new.csv": votes.getvalue()} if plus else {})


def class_folders(folders: tuple[str, ...], name: str, prefix: str = "", kind: str = "JPEG", count: int = 4) -> dict:
    """`name` is a format of the folder's first letter and a number."""
    files = {}
    for folder in folders:
        for i in range(count):
            path = f"{prefix}{folder}/{name.format(folder=folder, i=i)}"
            files[path] = picture(path, kind=kind)
    return files


def affectnet() -> dict[str, bytes | str]:
    folders = ("anger", "disgust", "fear", "happy", "sad", "surprise")
    return class_folders(folders, "image99{i:05}{folder}.jpg") | class_folders(("happy",), "ffhq_n{i}.jpg")


def ck48() -> dict[str, bytes | str]:
    folders = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    files = {}
    for number, folder in enumerate(folders):
        for frame in range(3):
            path = f"CK+48/{folder}/S9{number:02}_001_0000000{frame}.png"
            files[path] = picture(path, kind="PNG")
    return files


def ck_tree() -> dict[str, bytes | str]:
    """Two labelled sequences of five frames, one unlabelled; the landmarks and FACS codes that come along."""
    files: dict[str, bytes | str] = {}
    for subject, sequence, code in (("S901", "001", 3), ("S902", "004", 7), ("S902", "005", None)):
        stem = f"{subject}/{sequence}/{subject}_{sequence}_"
        for frame in range(1, 6):
            files[f"cohn-kanade-images/{stem}{frame:08}.png"] = picture(f"{stem}{frame}", kind="PNG")
        files[f"Landmarks/{stem}00000005_landmarks.txt"] = "1 2"
        if code is not None:
            files[f"Emotion/{stem}00000005_emotion.txt"] = f"   {code:.7e}\n"
            files[f"FACS/{stem}00000005_facs.txt"] = "  4.0e+00 0.0e+00"
    return files


def tfeid() -> dict[str, bytes | str]:
    return class_folders(NAMES, "f9{i}_dfh_x.jpg")


def muxspace() -> dict[str, bytes | str]:
    """Two people, one of them twice; one class that is not read, a row without an image, an image without a row."""
    rows = {"Zed_Xu_0001": "neutral", "Zed_Xu_0002": "HAPPINESS", "Yan_7": "happiness", "Yan_8": "fear"}
    files: dict[str, bytes | str] = {f"images/{name}.jpg": picture(name) for name in (*rows, "Stray_0001")}
    lines = [f"302,{name}.jpg,{label}" for name, label in rows.items()]
    return files | {"data/legend.csv": "\n".join(["user.id,image,emotion", *lines, "302,Gone_0001.jpg,neutral"])}


def paper() -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {}
    for folder in ("train", "test", "valid"):
        lines = []
        for code, name in enumerate(("happiness", "surprise", "sadness", "anger", "disgust", "fear")):
            for i in range(3):
                file = f"img{code}{i}_{name}.jpg"
                files[f"{folder}/{file}"] = picture(f"{folder}{file}", 64, colour=True)
                lines.append(f"{file},{code}")
        files[f"{folder}_labels.csv"] = "\n".join(lines)
    return files


def disfa(frames: int = 41) -> dict[str, bytes | str]:
    """One subject, two cameras: neutral until frame 20, then a smile (AU 6 and 12 at 3)."""
    files: dict[str, bytes | str] = {}
    for camera in ("Left", "Right"):
        files[f"Video_{camera}Camera/{camera}VideoSN901_comp.avi"] = clip(frames)
    for unit in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26):
        level = 3 if unit in (6, 12) else 0
        lines = [f"{frame},{level if frame > 20 else 0}" for frame in range(1, frames + 1)]
        files[f"ActionUnit_Labels/SN901/SN901_au{unit}.txt"] = "\n".join(lines)
    return files


def clip(frames: int) -> bytes:
    """An AVI whose frame k (from 1) is a plain grey of 4·k."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for k in range(1, frames + 1):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * k, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
