"""
Run the commands shown in README.md and paste what they really print.

    python -m evaluation.cards.readme_output            # writes
    python -m evaluation.cards.readme_output --check    # writes nothing; exit code 1 if an output is stale

A block between `<!-- output -->` and `<!-- /output -->` is a fenced console block; each line that starts with `$ ` is
run by the shell in an empty folder that holds only `astronaut.png`, the public-domain photo. `why.jpg`, which one of
them makes, goes to docs/, where README shows it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "why.jpg"
BLOCK = re.compile(r"(<!-- output -->\n```console\n)(.*?)(```\n<!-- /output -->)", re.DOTALL)


def run_block(text: str, folder: Path) -> str:
    """The block's commands, each followed by what it prints on standard output. Raises RuntimeError if one fails."""
    # The environment's own programs first, so that `gimefive` is the one of this checkout.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    lines = []
    for line in text.splitlines():
        if not line.startswith("$ "):
            continue
        result = subprocess.run(line[2:], shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{line[2:]}\nended with exit code {result.returncode}:\n{result.stderr}")
        lines += [line, *result.stdout.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    from PIL import Image
    from skimage.data import astronaut

    text = README.read_text()
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(astronaut()).save(Path(folder) / "astronaut.png")
        fresh = BLOCK.sub(lambda m: m.group(1) + run_block(m.group(2), Path(folder)) + m.group(3), text)
        if not args.check:
            shutil.copyfile(Path(folder) / PICTURE.name, PICTURE)
    if fresh == text:
        return 0
    if args.check:
        print("README.md shows output that the commands no longer print: run python -m evaluation.cards.readme_output")
        return 1
    README.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
