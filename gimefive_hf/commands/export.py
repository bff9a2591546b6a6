"""`gimefive export -o model.onnx [--int8 --calibration FOLDER]`: the network as a file for onnxruntime."""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, help="file to write: .onnx")
    parser.add_argument("--model", default="gimefive", help="bundled checkpoint, folder or Hub id (default: gimefive)")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="of the file (default: onnx)")
    parser.add_argument(
        "--single-view",
        action="store_true",
        help="note that one pass per face is made, without test-time augmentation (mirrored or zoomed): faster and a "
        "little less accurate",
    )
    parser.add_argument("--int8", action="store_true", help="quantise; needs --calibration")
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        help="aligned face crops, from which the ranges of the activations are taken; a few hundred of all expressions",
    )
    parser.add_argument("--images", type=int, default=256, help="how many of them (default: 256)")


def run(args: argparse.Namespace) -> int:
    from ..runtimes.backends import ONE_VIEW
    from ..runtimes.export import export_onnx
    from ..runtimes.torch_predictor import TorchPredictor
    from ..tables import check_output

    check_output(Path(args.output), (".onnx",))
    if args.int8 != (args.calibration is not None):
        raise ValueError("--int8 needs --calibration FOLDER with aligned face crops, and only it does")
    predictor = TorchPredictor.from_pretrained(args.model, **ONE_VIEW if args.single_view else {})
    crops = read_calibration(Path(args.calibration), args.images) if args.int8 else []

    def batches() -> Iterator:
        for start in range(0, len(crops), 16):
            yield predictor.prepare(crops[start : start + 16])

    export_onnx(predictor, args.output, batches if args.int8 else None)
    size = Path(args.output).stat().st_size / 1e6
    print(f"{args.output}: {'int8' if args.int8 else 'fp32'}, {size:.1f} MB", file=sys.stderr)
    return 0


def read_calibration(folder: Path, count: int) -> list:
    """Up to `count` crops, spread evenly over the folder. Raises ValueError if there are fewer than 16."""
    from ..folders.listing import find_images
    from ..images.photos import load_image

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    names = [name for name, error in find_images(folder) if error is None]
    step = max(1, len(names) // max(count, 1))
    crops = [load_image(folder / name) for name in islice(names, 0, None, step)][:count]
    if len(crops) < 16:
        raise ValueError(f"--calibration needs at least 16 images; {folder.name} has {len(crops)}")
    return crops
