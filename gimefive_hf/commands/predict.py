"""`gimefive predict PHOTO…`: the faces of each photo and their scores, as a table or as JSON."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ..runtimes.backends import add_model_arguments, load_predictor, model_options
from ..terminal import terminal_text

if TYPE_CHECKING:
    from ..recognizer import Face


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="image files")
    add_model_arguments(parser)
    parser.add_argument("--crops", action="store_true", help="each photo is one face, already cropped; search nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object per photo and line")


def run(args: argparse.Namespace) -> int:
    from ..recognizer import ExpressionRecognizer

    fer = ExpressionRecognizer(load_predictor(**model_options(args)))
    if not args.json:
        print(header(fer.emotions))
    code = 0
    for photo in args.photos:
        try:
            faces = fer(photo, crops=args.crops, landmarks=args.json)
        except ValueError as error:
            code = 2
            print(f"gimefive predict: {terminal_text(str(error))}", file=sys.stderr)
            if args.json:
                print(json_line({"photo": photo, "error": str(error), "faces": []}))
            continue
        print(as_json(photo, faces) if args.json else as_rows(terminal_text(photo), faces), flush=True)
    return code


def header(emotions: tuple[str, ...]) -> str:
    left = f"{'photo':24} {'face':>4} {'box (x y w h)':>21}  {'emotion':18}"
    return left + "".join(f"{name:>10}" for name in emotions)


def as_rows(photo: str, faces: list["Face"]) -> str:
    """One line per face, numbered from 1 as in the demo; one line that says so where there is none."""
    name = photo if len(photo) <= 24 else f"…{photo[-23:]}"
    if not faces:
        return f"{name:24}    0 {'':>21}  no face found"
    lines = []
    for number, face in enumerate(faces, 1):
        box = " ".join(f"{round(value)}" for value in face.box)
        scores = "".join(f"{score:10.3f}" for score in face.scores.values())
        lines.append(f"{name:24} {number:4d} {box:>21}  {face.label:18}{scores}")
    return "\n".join(lines)


def as_json(photo: str, faces: list["Face"]) -> str:
    rows = [
        {
            "box": [round(value, 2) for value in face.box],
            # a crop was not searched for, so it has no detection score
            "detection_score": None if face.detection_score != face.detection_score else face.detection_score,
            "emotion": face.emotion,
            "confidence": face.score,
            "clear": face.is_clear,
            "scores": face.scores,
            "landmarks": None if face.landmarks is None else face.landmarks.round(2).tolist(),
        }
        for face in faces
    ]
    return json_line({"photo": photo, "faces": rows})


def json_line(record: dict) -> str:
    """JSON with letters as they are where standard output has them all, else with JSON's own escapes."""
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(record)
    return text
