"""
Fill the READMEs' tables and the cards from the store.

    python -m evaluation.cards.render            # writes
    python -m evaluation.cards.render --check    # writes nothing; exit code 1 if a file is stale

Tables stand between `<!-- results:NAME -->` and `<!-- /results:NAME -->` (names in `evaluation.cards.tables.TABLES`) in
README.md, docs/*.md and the Spaces' READMEs. Cards are made of `cards/*.jinja`: cards/models/*.md, cards/datasets/*.md,
and the README.md beside the bundled checkpoint.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import jinja2
import pandas as pd
from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from gimefive_hf.publishing.licence import LICENSE, LICENSE_FILE, LICENSE_NAME

from ..analyses.weak_spots import weak_spots
from ..corpora import corpora_with, read_records, title_of
from ..queries import FLAGSHIP, find_row, order_models, tested_corpora
from ..store import DEFAULT_STORE, Store, read_store
from .audit_sentences import audit_sentences, count_rows, listed_rows
from .markdown import markdown_table, no_results, percent
from .starts import STARTS
from .tables import MODEL_TABLES, STORE_TABLES, TABLES

ROOT = Path(__file__).parents[2]
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
                        dataset_name=title_of(corpus),
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
        license="mit" if licence == "MIT" else LICENSE,
        license_name=None if licence == "MIT" else LICENSE_NAME,
        license_link=None if licence == "MIT" else LICENSE_FILE,
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["facial-expression-recognition", "emotion", "explainability"],
        metrics=["accuracy", "f1"],
        model_name=model,
        eval_results=eval_results(store, model) or None,
    )
    return data.to_yaml()


def read_json(checkpoint: Path | None, name: str) -> dict | None:
    """A record beside the checkpoint, None if there is none."""
    path = None if checkpoint is None else checkpoint / name
    return json.loads(path.read_text()) if path is not None and path.is_file() else None


def training_hours(store: Store, model: str, run: dict | None) -> float | None:
    """Hours of the training run: from its record, else from its curves."""
    if run is not None:
        return run["seconds"] / 3600
    minutes = store.curves[store.curves["model"] == model]["minutes"].max()
    return None if pd.isna(minutes) else minutes / 60


def describe_views(config: dict) -> str | None:
    """What the logits are averaged over in eval mode, in words; None for the image alone."""
    zooms = ", ".join(f"{factor:g}" for factor in config.get("zoom_average") or [])
    parts = [f"the face zoomed by {zooms}"] if zooms else []
    parts += ["the mirror image of each" if zooms else "its mirror image"] if config.get("flip_average") else []
    return " and ".join(["the face as it is", *parts]) if parts else None


def draw_network(config: dict) -> str | None:
    """A network as a line of boxes, out of its configuration; None for one whose stages it does not name."""
    if not config.get("widths") or config.get("architecture") == "timm":
        return None
    depths = config.get("depths") or [1] * len(config["widths"])
    unit = {"conv": "convolution", "face-resnet": "residual block", "residual": "residual block"}[
        config["architecture"]
    ]
    stages = [
        f"{depth} {unit}{'s' if depth > 1 else ''}, {width} channels"
        for depth, width in zip(depths, config["widths"], strict=True)
    ]
    side = config.get("image_size", 64)
    hidden = [f"linear, {width}" for width in config.get("classifier_widths") or []]
    steps = [f"face crop, {side}×{side} px, grey in three channels", *stages, "mean over the map", *hidden]
    return "\n  → ".join([*steps, f"linear, {len(config['id2label'])}", "divided by the temperature", "softmax"])


def model_card(store: Store, model: str, checkpoint: Path | None) -> str:
    """The card of one model; how it was trained and calibrated comes from the records in `checkpoint`, if there."""
    config = read_json(checkpoint, "config.json") or {}
    run = read_json(checkpoint, "run.json")
    facts = store.models[model]
    trained_on = facts.trained_on.split("+")
    corpora, audit = read_corpora(), read_audit()
    return template("model_card.md.jinja").render(
        metadata=model_metadata(store, model),
        facts=facts,
        table=lambda name: MODEL_TABLES[name](store, model) if name in MODEL_TABLES else STORE_TABLES[name](store),
        weak=weak_spots(store, model),
        trained_on=[corpora[name]["title"] if name in corpora else name for name in trained_on],
        corpora=[corpora[name] | {"audited": audit_sentences(audit, name)} for name in trained_on if name in corpora],
        architecture=config.get("architecture"),
        drawing=draw_network(config),
        pictured=checkpoint is not None and (checkpoint / "reliability.png").is_file(),
        temperature=config.get("temperature"),
        threshold=config.get("confidence_threshold"),
        views=describe_views(config),
        settings=read_json(checkpoint, "settings.json"),
        starts=STARTS,
        run=run,
        hours=training_hours(store, model, run),
        threads=2 if run is None else run["threads"] * run["processes"],
    )


def read_corpora() -> dict[str, dict[str, str]]:
    """The records of `evaluation/corpora.toml` that have the texts of a card."""
    return {name: record for name, record in read_records().items() if "about" in record}


def read_audit() -> dict:
    """evaluation/results/audit.json, as `training.audit` wrote it."""
    return json.loads((DEFAULT_STORE / "audit.json").read_text())


def dataset_card(store: Store, corpus: str) -> str:
    """The card of one corpus, with every model's accuracy on its test split."""
    about = read_corpora()[corpus]
    data = DatasetCardData(
        language="en",
        license=LICENSE,
        license_name=LICENSE_NAME,
        task_categories=["image-classification"],
        size_categories=[about["size"]],
        pretty_name=about["title"],
        tags=["facial-expression-recognition"],
    )
    classes = 7 if corpus in corpora_with(neutral_test=True) else 6
    rows = accuracy_rows(store, corpus, classes)
    audit = read_audit()
    header, counts = count_rows(audit, corpus)
    if not counts:
        header, counts = listed_rows(ROOT / "training" / "corpora" / "split_lists" / f"{corpus}.csv")
    words = {6: "six", 7: "seven"}[classes]
    table = markdown_table([f"accuracy %, {words} classes [95 % interval]", "all test images", "leak-free"], rows)
    return template("dataset_card.md.jinja").render(
        metadata=data.to_yaml(),
        corpus=about,
        splits=markdown_table(header, counts) if counts else "None: it is neither trained on nor tested on here.",
        audited=audit_sentences(audit, corpus),
        results=table if rows else no_results("any model"),
    )


def accuracy_rows(store: Store, corpus: str, classes: int) -> list[list[str]]:
    """A row for each model that was scored on the corpus with so many classes: all its test images, and leak-free."""
    rows = []
    for model in order_models(store):
        full = find_row(store, model, corpus=corpus, classes=classes)
        if full is not None:
            leak_free = find_row(store, model, corpus=corpus, classes=classes, subset="leak-free")
            rows.append([model, percent(full, n=True), percent(leak_free, n=True)])
    return rows


def render(store: Store, root: Path = ROOT) -> dict[Path, str]:
    """Every generated file and its text."""
    files = {}
    pages = (*sorted((root / "docs").glob("*.md")), *sorted((root / "spaces").glob("*/README.md")))
    for path in (root / "README.md", *pages):
        if path.is_file():
            files[path] = fill_markers(path.read_text(), store, path.relative_to(root).as_posix())
    checkpoints = root / "gimefive_hf" / "checkpoints"
    bundled = {path.parent.name for path in checkpoints.glob("*/config.json")}
    for model in sorted(store.models):
        if model == FLAGSHIP or model in bundled:
            card = model_card(store, model, checkpoints / model)
            files[root / "cards" / "models" / f"{model}.md"] = card
            if model in bundled:
                files[checkpoints / model / "README.md"] = card
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
    stale = stale_files(files)
    for path in stale:
        print(f"{'stale' if args.check else 'wrote'}: {path.relative_to(ROOT)}")
        if not args.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
