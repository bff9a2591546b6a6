"""`gimefive explain`: why a face was scored as it was, as a picture and a sentence."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..explain import METHODS
from ..terminal import terminal_text

if TYPE_CHECKING:
    from ..drawing.explanations import Explained
    from ..recognizer import ExpressionRecognizer, Face


PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="image files; every face of them is explained")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.png", help="where to write the picture")
    parser.add_argument(
        "--method",
        default="grad-cam",
        choices=METHODS,
        help="docs/EXPLANATIONS.md compares them (default: grad-cam)",
    )
    parser.add_argument(
        "--emotion",
        nargs="+",
        default=["winner"],
        help="expressions to explain, 'all' for a contact sheet, or 'winner' for that of the highest score, which is "
        "the default",
    )
    parser.add_argument("--model", default="gimefive", help="bundled checkpoint, folder or Hub id (default: gimefive)")
    parser.add_argument("--crops", action="store_true", help="the photos are aligned face crops: search for no face")
    colors = ["inferno", "viridis", "jet"]
    parser.add_argument("--color-map", default="inferno", choices=colors, help="of the heat maps (default: inferno)")
    parser.add_argument("--landmarks", action="store_true", help="draw the 68 landmarks")
    parser.add_argument("--layer", help="for layer-cam and activations: the name of a layer, such as stages.2")
    parser.add_argument("--patch", type=int, help="for occlusion: side of the patch in the network's pixels")
    parser.add_argument("--stride", type=int, help="for occlusion: pixels between patches")
    parser.add_argument("--fill", type=float, help="for occlusion: what the patch shows; 0 is the mean colour")
    parser.add_argument(
        "--aug-smooth", action="store_true", help="for grad-cam, grad-cam++, layer-cam: average 6 variants"
    )


def run(args: argparse.Namespace) -> int:
    from ..drawing.explanations import draw_contact_sheet, draw_feature_grid, draw_panels, save_picture
    from ..recognizer import ExpressionRecognizer

    options = method_options(args)
    check_picture(Path(args.output), args.photos)
    recognizer = ExpressionRecognizer.from_pretrained(args.model)
    faces, code = find_faces(recognizer, args.photos, args.crops)
    if not faces and code:
        return code
    if not faces:
        raise ValueError("no face found in any photo; if they are aligned crops, say --crops")
    if args.method == "activations":
        from ..explain.activations import feature_maps

        if len(faces) > 1:
            print(f"feature maps of the first of {len(faces)} faces")
        maps = feature_maps(recognizer.model, recognizer.pixel_values([faces[0][1].crop.image]), args.layer)[0]
        picture = draw_feature_grid(maps, f"layer {args.layer or 'of the heat maps'},", color_map=args.color_map)
    else:
        explained = []
        for title, face in faces:
            try:
                one = picture_of(recognizer, face, args.emotion, args.method, options)
            except ImportError as error:  # a package that the method needs; the text says which
                raise ValueError(str(error)) from None
            landmarks = one.landmarks if args.landmarks else None
            explained.append(replace(one, title=title if len(faces) > 1 else "", landmarks=landmarks))
            print(f"{title}: {one.reason}")
        draw = draw_contact_sheet if len(explained[0].emotions) > 1 else draw_panels
        picture = draw(explained, args.method, args.color_map)
    save_picture(picture, args.output)
    return code


def check_picture(output: Path, photos: list[str]) -> None:
    """Raise ValueError if the picture cannot be made there or would replace one of the photos."""
    from ..tables import check_output

    check_output(output, PICTURES)
    for photo in photos:
        if output.exists() and Path(photo).exists() and output.samefile(photo):
            raise ValueError(f"the picture {output.name} would replace the photo; give another name")


def find_faces(
    recognizer: "ExpressionRecognizer", photos: list[str], crops: bool
) -> tuple[list[tuple[str, "Face"]], int]:
    """The faces of all photos with titles that tell them apart, and the exit code: 2 if a photo could not be read."""
    faces, code = [], 0
    for photo in photos:
        name = terminal_text(Path(photo).name)
        try:
            here = recognizer(photo, crops=crops)
        except ValueError as error:
            print(f"gimefive explain: {terminal_text(str(error))}", file=sys.stderr)
            code = 2
            continue
        if not here:
            print(f"{name}: no face found")
        faces += [(f"{name}, face {i + 1}" if len(here) > 1 else name, face) for i, face in enumerate(here)]
    return faces, code


def method_options(args: argparse.Namespace) -> dict:
    """The options that were given, for the method. Raises ValueError for one that the method does not have."""
    given = {name: getattr(args, name) for name in ("layer", "patch", "stride", "fill")} | {
        "aug_smooth": args.aug_smooth or None
    }
    allowed = {
        "activations": {"layer"},
        "layer-cam": {"layer", "aug_smooth"},
        "grad-cam": {"aug_smooth"},
        "grad-cam++": {"aug_smooth"},
        "occlusion": {"patch", "stride", "fill"},
    }.get(args.method, set())
    options = {name: value for name, value in given.items() if value is not None}
    wrong = sorted(set(options) - allowed)
    if wrong:
        raise ValueError(f"{args.method} has no option {', '.join('--' + name.replace('_', '-') for name in wrong)}")
    return options


def chosen_emotions(wanted: list[str], face: "Face") -> list[str]:
    """Names out of `--emotion`. Raises ValueError for an unknown one."""
    if wanted == ["all"]:
        return list(face.scores)
    names = [face.emotion if name == "winner" else name for name in wanted]
    unknown = sorted(set(names) - set(face.scores))
    if unknown:
        raise ValueError(f"--emotion takes all, winner, {', '.join(face.scores)}; got {', '.join(unknown)}")
    return names


def picture_of(
    recognizer: "ExpressionRecognizer", face: "Face", wanted: list[str], method: str, options: dict
) -> "Explained":
    """The maps of one face, with the sentence for the strongest of the explained classes."""
    import numpy as np

    from ..drawing.explanations import Explained
    from ..explain.face import explain_face_classes

    emotions = chosen_emotions(wanted, face)
    found = explain_face_classes(recognizer, face, emotions, method, **options)
    return Explained(
        crop=face.crop.image,
        heat=np.stack([one.heat for one in found]),
        emotions=emotions,
        scores=[one.score for one in found],
        landmarks=found[0].landmarks,
        reason=max(found, key=lambda one: one.score).sentence,
    )
