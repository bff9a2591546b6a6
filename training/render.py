"""
Fill the READMEs' tables and the cards from the store.

    python -m training.render            # writes
    python -m training.render --check    # writes nothing; exit code 1 if a file is stale

Tables stand between `<!-- results:NAME -->` and `<!-- /results:NAME -->` (names in `training.tables.TABLES`) in
README.md, docs/*.md and the Spaces' READMEs. Cards are made of `cards/*.jinja`: cards/models/*.md, cards/datasets/*.md,
and the README.md beside the bundled checkpoint.
"""

import argparse
import csv
import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import jinja2
from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from gimefive_hf.result_queries import CORPUS_TITLES, FLAGSHIP, find_row, order_models, tested_corpora
from gimefive_hf.results import DEFAULT_STORE, Store, read_store

from .tables import TABLES, markdown_table, no_results, percent

ROOT = Path(__file__).parents[1]
MARKER = re.compile(r"<!-- (/?)results:([\w-]+) -->")
METRIC_TYPES = {"accuracy": "accuracy", "macro_f1": "f1"}


def fill_markers(text: str, store: Store, file: str) -> str:
    """
    Replace what stands between each pair of markers.

    Raises:
        ValueError: for an unknown name, and for a marker without its partner.
    """
    parts, position, opened = [], 0, None
    for match in MARKER.finditer(text):
        closes, name = match.group(1) == "/", match.group(2)
        if name not in TABLES:
            raise ValueError(f"{file}: no table {name!r}; there are {', '.join(TABLES)}")
        if closes != (opened is not None) or (closes and opened != name):
            raise ValueError(f"{file}: the marker {match.group()} does not pair with the one before it")
        if closes:
            parts.append(f"\n{TABLES[name](store)}\n")
        else:
            parts.append(text[position : match.end()])
        position = match.start() if closes else match.end()
        opened = None if closes else name
    if opened is not None:
        raise ValueError(f"{file}: <!-- results:{opened} --> is never closed")
    return "".join(parts) + text[position:]


def template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "cards"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
    return environment.get_template(name)


def eval_results(store: Store, model: str) -> list[EvalResult]:
    """Entries of `model-index`: accuracy and macro-F1 of the six classes on every test split, unrounded."""
    entries = []
    for corpus in tested_corpora(store, model):
        for metric, metric_type in METRIC_TYPES.items():
            row = find_row(store, model, metric, corpus=corpus)
            if row is not None:
                name = f"{metric}, six classes, {row['n_scored']} images, 95 % [{row['low']:.4f}, {row['high']:.4f}]"
                entries.append(
                    EvalResult(
                        task_type="image-classification",
                        dataset_type=corpus,
                        dataset_name=CORPUS_TITLES[corpus],
                        dataset_split="test",
                        metric_type=metric_type,
                        metric_name=name,
                        metric_value=float(row["value"]),
                    )
                )
    return entries


def model_metadata(store: Store, model: str) -> str:
    """The card's YAML front matter, without its dashes."""
    licence = store.models[model].licence
    data = ModelCardData(
        language="en",
        license="mit" if licence == "MIT" else "other",
        license_name=None if licence == "MIT" else "research-only-non-commercial",
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["facial-expression-recognition", "emotion", "explainability"],
        metrics=["accuracy", "f1"],
        model_name=model,
        eval_results=eval_results(store, model) or None,
    )
    return data.to_yaml()


def model_card(store: Store, model: str, checkpoint: Path | None) -> str:
    """The card of one model; temperature and threshold come from the checkpoint's config, if it is there."""
    config = {}
    if checkpoint is not None and (checkpoint / "config.json").is_file():
        config = json.loads((checkpoint / "config.json").read_text())
    facts = store.models[model]
    trained_on = facts.trained_on.split("+")
    minutes = store.curves[store.curves["model"] == model]["minutes"].max()
    corpora = read_corpora()
    return template("model_card.md.jinja").render(
        metadata=model_metadata(store, model),
        facts=facts,
        tables={name: table(store) for name, table in TABLES.items()},
        trained_on=[corpora[name]["title"] if name in corpora else name for name in trained_on],
        corpora=[corpora[name] for name in trained_on if name in corpora],
        temperature=config.get("temperature"),
        threshold=config.get("confidence_threshold"),
        minutes=None if minutes != minutes else minutes,  # NaN: no curves
    )


def read_corpora() -> dict[str, dict[str, str]]:
    """cards/corpora.toml."""
    return tomllib.loads((ROOT / "cards" / "corpora.toml").read_text())


def split_table(corpus: str) -> str:
    """Images per split, counted from the split list; None of it is typed in."""
    path = ROOT / "training" / "splits" / f"{corpus}.csv"
    if not path.is_file():
        return "See the parts."
    with open(path, newline="") as file:
        counts = Counter(row["split"] for row in csv.DictReader(file))
    rows = [[split, f"{counts[split]:,}"] for split in ("train", "validation", "test") if counts[split]]
    return markdown_table(["split", "images, all classes"], rows)


def dataset_card(store: Store, corpus: str) -> str:
    """The card of one corpus, with every model's accuracy on its test split."""
    about = read_corpora()[corpus]
    data = DatasetCardData(
        language="en",
        license="other",
        license_name="research-only-non-commercial",
        task_categories=["image-classification"],
        size_categories=[about["size"]],
        pretty_name=about["title"],
        tags=["facial-expression-recognition"],
    )
    rows = []
    for model in order_models(store):
        full = find_row(store, model, corpus=corpus)
        if full is not None:
            rows.append(
                [
                    model,
                    percent(full, n=True),
                    percent(find_row(store, model, corpus=corpus, subset="leak-free"), n=True),
                ]
            )
    table = markdown_table(["accuracy %, six classes [95 % interval]", "all test images", "leak-free"], rows)
    return template("dataset_card.md.jinja").render(
        metadata=data.to_yaml(),
        corpus=about,
        splits=split_table(corpus),
        results=table if rows else no_results("any model"),
    )


def render(store: Store, root: Path = ROOT) -> dict[Path, str]:
    """Every generated file and its text."""
    files = {}
    pages = (*sorted((root / "docs").glob("*.md")), *sorted((root / "spaces").glob("*/README.md")))
    for path in (root / "README.md", *pages):
        if path.is_file():
            files[path] = fill_markers(path.read_text(), store, path.relative_to(root).as_posix())
    checkpoint = root / "gimefive_hf" / "checkpoints" / FLAGSHIP
    if FLAGSHIP in store.models:
        card = model_card(store, FLAGSHIP, checkpoint)
        files[root / "cards" / "models" / f"{FLAGSHIP}.md"] = card
        if checkpoint.is_dir():
            files[checkpoint / "README.md"] = card
    for corpus in read_corpora():
        files[root / "cards" / "datasets" / f"{corpus}.md"] = dataset_card(store, corpus)
    return files


def stale_files(files: dict[Path, str]) -> list[Path]:
    """Those that are missing or say something else than they should."""
    return [path for path, text in files.items() if not path.is_file() or path.read_text() != text]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=DEFAULT_STORE)
    parser.add_argument("--check", action="store_true", help="fail if a file is stale, and write nothing")
    args = parser.parse_args()
    store = read_store(args.store)
    for problem in store.problems:
        print(f"store: {problem}", file=sys.stderr)
    try:
        files = render(store)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in stale_files(files):
        print(f"{'stale' if args.check else 'wrote'}: {path.relative_to(ROOT)}")
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
    return 1 if args.check and stale_files(files) else 0


if __name__ == "__main__":
    raise SystemExit(main())
