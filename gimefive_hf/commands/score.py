"""`gimefive score FOLDER -o scores.csv`: scores for every image of a folder, resumable."""

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ..terminal import terminal_text

if TYPE_CHECKING:
    from ..folders.ray_engine import RayEngine
    from ..folders.scoring import Summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from ..runtimes.backends import add_model_arguments

    parser.add_argument(
        "folder", metavar="FOLDER", help="searched with its subfolders; a path or an address such as s3://bucket/photos"
    )
    parser.add_argument("-o", "--output", required=True, help="table to write: .csv or .parquet")
    add_model_arguments(parser, precision="auto")
    parser.add_argument(
        "--single-view",
        action="store_true",
        help="one pass per face, no test-time augmentation (mirrored or zoomed views): faster, a little less accurate",
    )
    parser.add_argument(
        "--crops",
        action="store_true",
        help="each image is one face, already cropped and aligned; the table has the paper's columns, path and scores",
    )
    parser.add_argument("--batch-size", type=int, help="images per unit of work (default: 32; with --fast 64)")
    parser.add_argument("--workers", type=int, help="batches at a time (default: one per core)")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="threads of this machine, or a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--address", help="HOST:PORT of a Ray cluster's head, or auto; without it a Ray of this machine"
    )
    parser.add_argument("--decimals", type=int, help="decimals of the numbers in a .csv (default: six digits)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..folders.scoring import score_folder
    from ..recognizer import ExpressionRecognizer
    from ..runtimes.backends import FAST_BATCH_SIZE, load_predictor, model_options

    if any(number is not None and number < 1 for number in (args.batch_size, args.workers)):
        raise ValueError("--batch-size and --workers must be at least 1")
    if args.address is not None and args.engine != "ray":
        raise ValueError("--address goes with --engine ray")
    if args.fast and args.single_view:
        raise ValueError("--fast makes one pass per face anyway: leave out --single-view")
    options = model_options(args)
    engine: RayEngine | None = None
    if args.engine == "ray":
        from ..folders import ray_engine

        engine = ray_engine.RayEngine(address=args.address, workers=args.workers)
        engine.check()  # before a model is loaded
    # Batches run side by side on one thread each, see ThreadEngine.
    predictor = load_predictor(**options, threads=1, single_view=args.single_view)
    fer = ExpressionRecognizer(predictor)
    # All workers of a cluster are given what this machine chose, and paths that do not depend on where they run.
    model = options["model"]
    if engine is not None:
        chosen = {
            "model": os.path.abspath(model) if os.path.exists(model) else model,
            "backend": predictor.backend,
            "precision": predictor.precision if predictor.backend == "torch" else "auto",
            "threads": 1,
            "single_view": args.single_view,
        }
        engine = replace(engine, model=chosen)
    with tqdm(unit=" images", dynamic_ncols=True, delay=0.5) as bar:

        def progress(done: int, total: int) -> None:
            if bar.total is None:  # what an earlier run did counts neither for the speed nor for the time left
                bar.total, bar.initial, bar.n = total, done, done
            bar.update(done - bar.n)

        try:
            summary = score_folder(
                fer,
                args.folder,
                args.output,
                crops=args.crops,
                batch_size=args.batch_size or (FAST_BATCH_SIZE if args.fast else 32),
                workers=args.workers,
                engine=engine,
                decimals=args.decimals,
                overwrite=args.overwrite,
                progress=progress,
            )
        except KeyboardInterrupt:
            print("\ngimefive score: interrupted; the same command goes on from here", file=sys.stderr)
            return 130
    report(args.output, summary)
    return 2 if summary.failed else 0


def report(output: str, summary: "Summary") -> None:
    """What became of the folder, on standard error, with the names of files that could not be read."""
    for text in summary.errors:
        print(f"gimefive score: {terminal_text(text)}", file=sys.stderr)
    if summary.failed > len(summary.errors):
        rest = summary.failed - len(summary.errors)
        print(f"gimefive score: and {rest} more that could not be read: see the column error", file=sys.stderr)
    changed = f", {summary.changed} changed since and scored again" if summary.changed else ""
    print(
        f"{output}: {summary.images} images ({summary.resumed} of them scored before{changed}), {summary.faces} faces, "
        f"{summary.without_face} images without a face, {summary.failed} that could not be read; "
        f"{summary.skipped_files} files of other kinds were passed over",
        file=sys.stderr,
    )
