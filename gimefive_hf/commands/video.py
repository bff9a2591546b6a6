"""`gimefive video IN -o OUT.mp4`: follow the persons in a video, annotate it, and write their scores over time."""

import argparse
import signal
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ..explain import METHODS
    from ..runtimes.backends import add_model_arguments

    parser.add_argument("video", metavar="IN", help="video file: mp4, mov, webm, avi, mkv, gif, …")
    parser.add_argument("-o", "--output", help="annotated video to write: .mp4")
    parser.add_argument("--timeline", help="table to write: .csv or .parquet, one row per frame and person")
    parser.add_argument("--picture", help="interactive picture of the scores over time to write: .html")
    add_model_arguments(parser, precision="auto")
    parser.add_argument("--explain", choices=METHODS, metavar="METHOD", help=f"heat map: {', '.join(METHODS)}")
    parser.add_argument("--landmarks", action="store_true", help="find and draw the 68 landmarks")
    parser.add_argument("--every", type=int, default=1, help="analyse each N-th frame only (default: 1)", metavar="N")
    parser.add_argument(
        "--smooth",
        type=float,
        help="seconds to smooth the scores over (default: 0.25, --causal 0.3; 0: none)",
        metavar="S",
    )
    parser.add_argument(
        "--causal", action="store_true", help="smooth with what was alone, as a live camera must; names then lag"
    )
    parser.add_argument(
        "--average-views",
        action="store_true",
        help="average over mirrored faces as for photos: slower, and smoothing does much the same",
    )
    parser.add_argument("--no-audio", action="store_true", help="leave the sound out")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..recognizer import ExpressionRecognizer
    from ..runtimes.backends import load_predictor, model_options
    from ..video.analysis import annotate_video

    check_arguments(args)
    fer = ExpressionRecognizer(load_predictor(**model_options(args), explain=args.explain))
    stopped = []

    def stop(number: int, _frame: object) -> None:
        """The first Ctrl-C ends after this frame, with whole files; the second one ends at once, with none."""
        stopped.append(number)
        if len(stopped) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with tqdm(unit=" frames", dynamic_ncols=True, delay=0.5) as bar:

            def progress(done: int, total: int | None) -> None:
                bar.total = None if total is None else max(total, done)
                bar.update(done - bar.n)

            summary = annotate_video(
                fer,
                args.video,
                args.output,
                args.timeline,
                explain=args.explain,
                landmarks=args.landmarks,
                every=args.every,
                average_views=args.average_views,
                smooth=args.smooth,
                centre=not args.causal,
                audio=not args.no_audio,
                stop=lambda: bool(stopped),
                progress=progress,
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if args.picture:
        write_picture(Path(args.timeline), Path(args.picture), fer.emotions)
    for text in summary.errors:
        print(f"gimefive video: {text}", file=sys.stderr)
    if summary.is_cut:
        print(f"gimefive video: the file seems cut: it promises {summary.announced} frames", file=sys.stderr)
    print(
        f"{summary.frames} frames, {summary.analysed} analysed, {summary.without_face} of them without a face, "
        f"{summary.broken} broken, {summary.persons} persons, {summary.seconds:.2f} s",
        file=sys.stderr,
    )
    if stopped:
        print("gimefive video: stopped; the files hold what was done so far", file=sys.stderr)
        return 128 + stopped[0]
    return 0


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what cannot work before a model is loaded or a file made."""
    from ..tables import FORMATS, check_output

    if not (args.output or args.timeline):
        raise ValueError("nothing to write: give -o OUT.mp4, --timeline OUT.csv, or both")
    if args.picture and not args.timeline:
        raise ValueError("--picture is made from the timeline: give --timeline too")
    if args.every < 1:
        raise ValueError(f"--every must be at least 1; got {args.every}")
    if args.smooth is not None and not 0 <= args.smooth < float("inf"):
        raise ValueError(f"--smooth must be 0 or more seconds; got {args.smooth}")
    for path, suffixes in ((args.output, (".mp4",)), (args.timeline, FORMATS), (args.picture, (".html",))):
        if path:
            check_output(Path(path), suffixes)
            if Path(path).exists() and Path(path).resolve() == Path(args.video).resolve():
                raise ValueError("the output would replace the input; give another name")


def write_picture(timeline: Path, picture: Path, emotions: tuple[str, ...]) -> None:
    """The timeline as a page of its own, which needs no network."""

    import pandas as pd

    from ..tables import whole_file
    from ..video.timeline import timeline_figure

    table = pd.read_csv(timeline) if timeline.suffix == ".csv" else pd.read_parquet(timeline)
    with whole_file(picture) as part:
        timeline_figure(table, emotions).write_html(part, include_plotlyjs=True)
