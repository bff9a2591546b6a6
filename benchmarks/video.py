"""
Frames per second of `gimefive video` beside the paper's way: one face, 640×480, heat map on every frame.

    python -m benchmarks.video [--model gimefive] [--int8 model-int8.onnx] [--seconds 4]
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

from gimefive_hf.video import annotate_video

from . import papers_way
from .clip import write_face_clip
from .measuring import backends, interleaved, table, write_results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="gimefive")
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--int8", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        clip = write_face_clip(Path(place) / "in.mp4", args.seconds)
        network = papers_way.papers_network()
        recognizers = backends(args.model, args.onnx, args.int8, "gimefive video, ")
        works = {"the paper's way": lambda: papers_way.annotate_video(network, clip, Path(place) / "paper.mp4")}
        found = {}

        def ours(name: str) -> None:
            target = Path(place) / "ours.mp4"
            options = {"explain": "grad-cam", "landmarks": True}
            found[name] = annotate_video(recognizers[name], clip, target, Path(place) / "t.csv", **options)

        for name in recognizers:
            works[name] = lambda name=name: ours(name)
        results = interleaved(works, args.repeats)
    frames = round(args.seconds * 25)
    assert all(summary.frames == frames and summary.without_face == 0 for summary in found.values()), found
    base = results["the paper's way"]
    rows = []
    for name, timings in results.items():
        ratios = [b.wall / t.wall for b, t in zip(base, timings, strict=True)]
        cpu = median(t.cpu for t in timings) / frames * 1000
        cells = [name, f"{frames / min(t.wall for t in timings):.1f}", f"{median(ratios):.1f}×", f"{cpu:.1f}"]
        rows.append([*cells, f"{2000 / cpu:.0f}", f"{median(b.cpu for b in base) / frames * 1000 / cpu:.1f}×"])
    header = ["", "frames/s, best", "to the paper's, median of runs", "processor ms per frame"]
    header += ["frames/s that two free cores would allow", "to the paper's, by processor time"]
    text = (
        f"{frames} frames of a moving face, 640×480, H.264 in; {args.repeats} runs of each in turn. The paper's way: "
        "Haar cascade on every frame, one crop at a time through the paper's network (10.5 M parameters, 64×64), "
        "Grad-CAM by hooks and a backward pass, no landmarks, mp4v out. Ours: tracking, Grad-CAM and 68 landmarks on "
        f"every frame, smoothing, six bars, timeline, H.264 out, with the network of `{Path(args.model).name}`. "
        "The column for two free cores divides two seconds by the processor time of a frame."
    )
    print(write_results("video", "Annotating a video", "python -m benchmarks.video", [text, table(header, rows)]))


if __name__ == "__main__":
    main()
