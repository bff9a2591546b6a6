"""
Publish everything on the Hugging Face Hub: models, the aggregate's card, both Spaces, the live page, as one collection.

    gimefive publish USER --dry-run                            # what would go where; asks no server
    HF_TOKEN=… gimefive publish USER                           # again after a cut: what is there is not sent again
    HF_TOKEN=… gimefive publish USER --only gimefive-demo      # some of it

It asks nothing. What could not be published is named at the end.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from huggingface_hub import HfApi

from gimefive_hf.publishing.hub import fill, listing, one_line, patiently
from gimefive_hf.publishing.licence import LICENSE_FILE, LICENSE_TEXT

ROOT = Path(__file__).parents[1]
CHECKPOINTS = ROOT / "gimefive_hf" / "checkpoints"
CARD = ROOT / "cards" / "datasets" / "aggregate.md"
COLLECTION = "GiMeFive"
COLLECTION_ABOUT = "Facial expressions: which, how sure, and why. Models, their figures, and pages to try them."


@dataclass(frozen=True)
class Part:
    """One repository: its kind on the Hub, name, what it is in a line, and what puts its files into a folder."""

    kind: str
    repo: str
    about: str
    assemble: Callable[[Path], object]
    sdk: str | None = None


def parts(user: str) -> list[Part]:
    """Everything that is published: every checkpoint in the package, the aggregate's card, the Spaces."""
    found = []
    for config in sorted(CHECKPOINTS.glob("*/config.json")):
        name = config.parent.name
        repo = f"{user}/{name}"
        found.append(Part("model", repo, describe(config), partial(stage_model, config.parent, repo)))
    found.append(Part("dataset", f"{user}/gimefive-aggregate", "the training corpora, described", aggregate_card))
    found.append(Part("space", f"{user}/gimefive-demo", "photo, clip and webcam", assemble_demo, "gradio"))
    found.append(Part("space", f"{user}/gimefive-explorer", "every result", assemble_explorer, "docker"))
    if find_spec("spaces.build_live") is not None:
        found.append(Part("space", f"{user}/gimefive-live", "in the browser alone", assemble_live, "static"))
    return found


def describe(config: Path) -> str:
    """A model in a few words, out of its configuration."""
    facts = json.loads(config.read_text())
    return f"{len(facts['id2label'])} classes, {facts['image_size']} px"


def stage_model(checkpoint: Path, repo: str, folder: Path) -> None:
    from gimefive_hf.publishing.staging import stage  # torch, which a help text does not need

    stage(checkpoint, folder, repo)


def aggregate_card(folder: Path) -> None:
    """The card, with those of the corpora beside it, and no image: these are not ours to publish."""
    shutil.copytree(CARD.parent, folder, dirs_exist_ok=True)
    (folder / CARD.name).rename(folder / "README.md")


def assemble_demo(folder: Path) -> None:
    from spaces.assemble_demo import assemble

    assemble(folder)


def assemble_explorer(folder: Path) -> None:
    from spaces.assemble_explorer import assemble

    assemble(folder)
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)


def assemble_live(folder: Path) -> None:
    from spaces.build_live import build

    shutil.copytree(build(folder.parent / "live-page"), folder, dirs_exist_ok=True)
    shutil.copyfile(LICENSE_TEXT, folder / LICENSE_FILE)


def link_parts(folder: Path, part: Part, everything: list[Part], endpoint: str) -> None:
    """Name the other repositories at the end of this one's card."""
    prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}
    lines = [
        f"- [{other.repo}]({endpoint}/{prefix[other.kind]}{other.repo}): {other.about}"
        for other in everything
        if other != part
    ]
    card = folder / "README.md"
    card.write_text(card.read_text().rstrip() + "\n\n## Belongs together\n\n" + "\n".join(lines) + "\n")


def publish_part(part: Part, everything: list[Part], api: HfApi, private: bool, dry_run: bool) -> str:
    """Assemble one repository and fill it; the commit's address, or the listing. Raises ValueError with the reason."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        folder.mkdir()
        part.assemble(folder)
        link_parts(folder, part, everything, api.endpoint)
        if dry_run:
            return listing(f"would publish the {part.kind} {part.repo}:", folder)
        return fill(api, part.repo, folder, part.kind, private, part.sdk)


def collect(user: str, published: list[Part], api: HfApi, private: bool) -> str:
    """Put what was published into the user's collection, made if it is not there; returns its address."""
    with one_line(f"{user}'s collection"):
        about = dict(title=COLLECTION, namespace=user, description=COLLECTION_ABOUT, private=private, exists_ok=True)
        slug = patiently(api.create_collection, **about).slug
        for part in published:
            patiently(api.add_collection_item, slug, part.repo, part.kind, exists_ok=True)
    return f"{api.endpoint}/collections/{slug}"


def chosen(everything: list[Part], only: Sequence[str]) -> list[Part]:
    """The parts of these names, or all. Raises ValueError for a name that is none."""
    names = [part.repo.split("/")[1] for part in everything]
    if unknown := set(only) - set(names):
        raise ValueError(f"--only takes some of {', '.join(names)}; got {', '.join(sorted(unknown))}")
    return [part for name, part in zip(names, everything, strict=True) if not only or name in only]


def publish(
    user: str, private: bool = False, dry_run: bool = False, only: Sequence[str] = (), api: HfApi | None = None
) -> list[str]:
    """
    Publish the parts, all or `only` those of these names, then the collection, and print what became of each.

    Returns:
        What could not be published, as "repository: reason"; empty if all could.
    """
    api = api or HfApi()
    everything = parts(user)
    published, problems = [], []
    for part in chosen(everything, only):
        try:
            print(publish_part(part, everything, api, private, dry_run), flush=True)
            published.append(part)
        except ValueError as error:
            problems.append(f"{part.kind} {part.repo}: {error}")
    if published and not dry_run:
        try:
            print(collect(user, published, api, private), flush=True)
        except ValueError as error:
            problems.append(str(error))
    return problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="user or organisation on the Hub")
    parser.add_argument("--private", action="store_true", help="make the repositories private")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="these alone, such as gimefive-demo")
    parser.add_argument("--dry-run", action="store_true", help="list what would go where, and ask no server")


def run(args: argparse.Namespace) -> int:
    if "/" in args.user or not args.user:
        raise ValueError(f"USER is the name of a user or an organisation; got {args.user!r}")
    if not CARD.is_file():
        raise ValueError("this publishes a clone of the project, and runs in one: pip install -e . there")
    problems = publish(args.user, args.private, args.dry_run, args.only)
    for problem in problems:
        print(f"gimefive publish: not published: {problem}", file=sys.stderr)
    if problems:
        print("gimefive publish: the same command goes on with what is missing", file=sys.stderr)
    return 2 if problems else 0
