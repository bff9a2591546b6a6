"""
Frames per second of `gimefive video` beside the paper's way: one face, 640×480, heat map on every frame.

    python -m benchmarks.video [--model gimefive] [--seconds 4] [--repeats 3]
"""

import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from gimefive_hf import from_pretrained
from gimefive_hf.recognizer import ExpressionRecognizer
from gimefive_hf.video.analysis import annotate_video
from gimefive_hf.video.files import VideoWriter

from . import papers_way
from .measuring import compared, interleaved, options, table, write_results


def main() -> None:
    args = options(__doc__, model="gimefive", seconds=4.0, repeats=3)
    frames = round(args.seconds * 25)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clip = write_face_clip(folder / "in.mp4", args.seconds)
        recognizers = {
            f"gimefive video, {precision}": from_pretrained(args.model, precision=precision)
            for precision in ("fp32", "bf16")
        }
        paper = partial(papers_way.annotate_video, papers_way.papers_network(), clip, folder / "paper.mp4")
        works = {"the paper's way": paper}
        works |= {name: partial(annotate, fer, clip, folder / name, frames) for name, fer in recognizers.items()}
        results = compared(interleaved(works, args.repeats), frames)
        sizes = ", ".join(f"{path.stat().st_size // 1000} kB" for path in (clip, *folder.glob("*bf16.mp4")))
        differences = compare_scores(recognizers, clip, folder, frames)
    text = (
        f"{frames} frames of a moving face, 640×480, H.264 in; {args.repeats} runs of each in turn. The paper's way: "
        "Haar cascade on every frame, one crop at a time through the paper's network (10.5 M parameters, 64×64), "
        "Grad-CAM by hooks and a backward pass, no landmarks, mp4v out. Ours: tracking, Grad-CAM and 68 landmarks on "
        f"every frame, smoothing, six bars, timeline, H.264 out, with the network of `{Path(args.model).name}`. "
        "The column for two free cores divides two seconds by the processor time of a frame. The command's default is "
        f"bf16 where the processor computes in it. Files in and out: {sizes}."
    )
    views = (
        "A video scores one view of each face, a photo as many as the model's config says. What that and the precision "
        "change on the same clip, against fp32 with all views, per frame and expression (its face is clear; one that "
        "the network is unsure of changes more):"
    )
    header = ["", "frames/s, best", "to the paper's, median of runs", "processor ms per frame"]
    header += ["frames/s that two free cores would allow", "to the paper's, by processor time"]
    rows = [
        [name, f"{rate:.1f}", times, f"{cpu:.1f}", f"{2000 / cpu:.0f}", times_cpu]
        for name, rate, times, cpu, times_cpu in results
    ]
    write_results(__spec__, "Annotating a video", text, table(header, rows), views, differences)


def write_face_clip(path: Path, seconds: float = 6, width: int = 640, height: int = 480, fps: int = 25) -> Path:
    """scikit-image's public-domain portrait sways, nods and comes nearer; ends where it begins. H.264 without sound."""
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


def annotate(
    recognizer: ExpressionRecognizer, clip: Path, output: Path, frames: int, average_views: bool = False
) -> None:
    """The whole work, with the default of everything but heat map and landmarks."""
    video, timeline = output.with_suffix(".mp4"), output.with_suffix(".csv")
    options = {"explain": "grad-cam", "landmarks": True, "average_views": average_views}
    summary = annotate_video(recognizer, clip, video, timeline, **options)
    assert (summary.frames, summary.without_face, summary.persons) == (frames, 0, 1), summary


def compare_scores(recognizers: dict[str, ExpressionRecognizer], clip: Path, folder: Path, frames: int) -> str:
    """The table of what one view and lower precision do to the scores, from the timelines."""
    reference = next(iter(recognizers.values()))
    annotate(reference, clip, folder / "reference", frames, average_views=True)
    expected = pd.read_csv(folder / "reference.csv")
    rows = []
    for name in recognizers:
        found = pd.read_csv(folder / f"{name}.csv")
        cells = [f"{name}, one view"]
        for suffix in ("", "_smooth"):
            columns = [f"{emotion}{suffix}" for emotion in reference.emotions]
            apart = np.abs(found[columns].to_numpy() - expected[columns].to_numpy())
            cells += [f"{apart.mean():.3f}", f"{apart.max():.3f}"]
        rows.append([*cells, f"{(found['emotion'] == expected['emotion']).sum()} of {frames}"])
    header = ["", "raw: mean difference", "largest", "smoothed: mean difference", "largest"]
    return table([*header, "frames with the same name"], rows)


if __name__ == "__main__":
    main()
