"""`gimefive score FOLDER -o scores.csv`: scores for every image of a folder, resumable."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from .backends import add_model_arguments

    parser.add_argument("folder", metavar="FOLDER", help="searched with its subfolders")
    parser.add_argument("-o", "--output", required=True, help="table to write: .csv or .parquet")
    add_model_arguments(parser)
    parser.add_argument("--crops", action="store_true", help="each image is one face, already cropped and aligned")
    parser.add_argument("--batch-size", type=int, default=32, help="images per unit of work (default: 32)")
    parser.add_argument("--workers", type=int, help="threads that decode and search (default: one per core)")
    parser.add_argument("--decimals", type=int, help="decimals of the numbers in a .csv (default: six digits)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .backends import load_recognizer
    from .score import score_folder

    if args.batch_size < 1 or (args.workers is not None and args.workers < 1):
        raise ValueError("--batch-size and --workers must be at least 1")
    fer = load_recognizer(args)
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
                batch_size=args.batch_size,
                workers=args.workers,
                decimals=args.decimals,
                model_name=f"{args.model}, {args.backend}, {args.precision}",
                overwrite=args.overwrite,
                progress=progress,
            )
        except KeyboardInterrupt:
            print("\ngimefive score: interrupted; the same command goes on from here", file=sys.stderr)
            return 130
    print(
        f"{args.output}: {summary.images} images ({summary.resumed} of them scored before), {summary.faces} faces, "
        f"{summary.without_face} images without a face, {summary.failed} that could not be read; "
        f"{summary.skipped_files} files of other kinds were passed over",
        file=sys.stderr,
    )
    return 0
