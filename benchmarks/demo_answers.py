"""
What one visitor of the demo waits for, without the network between: the answer to an upload, and the reasons of a face.

    python -m benchmarks.demo_answers --repeats 10
"""

import sys
from collections.abc import Callable
from pathlib import Path

from .measuring import interleaved, medians, options, table, write_results

DEMO = Path(__file__).parents[1] / "spaces" / "demo"
PHOTOS = {"one face": "astronaut.jpg", "five faces": "group.jpeg"}


def works() -> dict[str, Callable[[], object]]:
    """Label → what the page's functions do for a photo that arrives as a file."""
    sys.path.insert(0, str(DEMO))
    from app import default_model
    from photo import decode_data_url, shrink, to_data_url
    from photo_tab import Analyst, Settings, read
    from why import cover_all

    from gimefive_hf import ExpressionRecognizer

    model = default_model()
    analyst = Analyst(ExpressionRecognizer.from_pretrained(model), model)
    found: dict[str, Callable[[], object]] = {}
    for label, name in PHOTOS.items():
        data = (DEMO / "examples" / name).read_bytes()
        held = shrink(read((name, decode_data_url(to_data_url(shrink(read((name, data))))))))
        face = analyst.faces(held, Settings())[0]

        def upload(name=name, data=data):
            page = to_data_url(shrink(read((name, data))))
            analyst.answer(shrink(read((name, decode_data_url(page)))), Settings())

        found[f"{label}: from the upload to faces, scores and heat maps"] = upload
        found[f"{label}: then the reasons of a face, with all maps"] = lambda held=held: analyst.why(
            held, Settings(), 0
        )
        found[f"{label}: of these the four covered parts"] = lambda face=face: cover_all(analyst.fer, face)
    return found


def main() -> None:
    args = options(__doc__, repeats=10)
    rows = []
    for label, timings in interleaved(works(), args.repeats).items():
        wall, cpu = medians(timings)
        rows.append([label, *(f"{value:.2f}" for value in (wall / 1000, min(t.wall for t in timings), cpu / 1000))])
    about = f"Seconds on the server, each measured {args.repeats} times in turn, after one to warm up."
    header = ["", "wall clock, median", "fastest", "processor, median"]
    write_results(__spec__, "What one visitor of the demo waits for", about, table(header, rows))


if __name__ == "__main__":
    main()
