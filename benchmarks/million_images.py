"""
A million images through `load_corpus`: does memory stay flat, and how fast are the second load and a pass?

    python -m benchmarks.million_images --cache DIR [--images 1000000]

Writes `benchmarks/million_images.json`; its peak resident memory counts the pages of mapped files, which the system may
take back, the anonymous memory does not. The images are 4,096 different PNG files of 48×48 noise, again and again,
under a million names; they take the path of any corpus: reader, decoding, hash, parts of Arrow files, memory map.
"""

import argparse
import json
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.corpora import Corpus, CorpusFiles, Entry, add_corpus, load_corpus
from training.corpora.schema import LABELS, encode_png

MEMORY: list[tuple[int, float]] = []


def resident() -> float:
    """Resident memory without the pages of mapped files, in MB (Linux)."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1024


def reader(images: int):
    """A reader of `images` synthetic images, which notes the memory on its way."""
    noise = np.random.default_rng(0)
    pool = [encode_png(noise.integers(0, 256, (48, 48), dtype=np.uint8)) for _ in range(4096)]

    def read(files: CorpusFiles) -> Iterator[Entry]:
        for number in range(images):
            if number % (images // 20) == 0:
                MEMORY.append((number, resident()))
            yield Entry(f"{number:07}.png", LABELS[number % 6], lambda number=number: pool[number % 4096])
        MEMORY.append((images, resident()))

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="where the cache of about 3 GB goes")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    root = args.cache / "source"
    root.mkdir(parents=True, exist_ok=True)
    add_corpus(Corpus("synthetic", reader(args.images)))
    times = {}
    start = time.perf_counter(), time.process_time()
    load_corpus("synthetic", root, args.cache)
    times["build_wall_s"], times["build_cpu_s"] = time.perf_counter() - start[0], time.process_time() - start[1]
    start = time.perf_counter()
    splits = load_corpus("synthetic", root, args.cache)
    times["second_load_s"] = time.perf_counter() - start
    before, start = resident(), time.perf_counter()
    seen = 0
    for table in splits["train"].with_format("arrow").iter(batch_size=1000):
        seen += len(table["image"].combine_chunks().field("bytes"))
    times["pass_over_train_s"] = time.perf_counter() - start
    figures = {
        "images": sum(len(dataset) for dataset in splits.values()),
        "splits": {split: len(dataset) for split, dataset in splits.items()},
        "memory_mb": [{"images_built": n, "anonymous_mb": round(mb, 1)} for n, mb in MEMORY],
        "growth_from_first_tenth_to_end_mb": round(MEMORY[-1][1] - MEMORY[2][1], 1),
        "memory_of_pass_mb": round(resident() - before, 1),
        "peak_resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "train_images_in_pass": seen,
        **{name: round(value, 2) for name, value in times.items()},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    args.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
