"""
The one store of results, and the only module that reads or writes its predictions and metrics.

    evaluation/results/predictions/MODEL.parquet   one row per model, corpus, split, protocol and image
    evaluation/results/results.csv                 tidy metrics, derived from the predictions and from nothing else
    evaluation/results/published.csv               other people's figures, as they published them
    evaluation/results/curves.csv                  held-out metrics during training
    evaluation/results/*.csv                       tables of other measurements, read as they are

results.csv could be left out, but to compute its 50,000 rows with their intervals takes 42 s of one core (AMD EPYC),
and to read it 0.15 s: whatever starts with the store would wait.

A file that is missing, half-written or of another schema is named in `Store.problems`; the rest is read.
"""

import hashlib
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from gimefive_hf.emotions import EMOTIONS
from gimefive_hf.tables import whole_file

SCHEMA_VERSION = 1
DEFAULT_STORE = Path(__file__).parent / "results"
NEUTRAL = "neutral"
# What makes a prediction one prediction.
IMAGE_KEY = ["model", "corpus", "split", "protocol", "source"]
PREDICTION_COLUMNS = [*IMAGE_KEY[:4], "revision", "source", "subject", "label", *EMOTIONS, NEUTRAL, "face_found"]
RESULT_KEY = ["model", "corpus", "split", "subset", "protocol", "classes", "metric", "class"]
RESULT_COLUMNS = [
    "model",
    "revision",
    "trained_on",
    "corpus",
    "split",
    "subset",
    "protocol",
    "classes",
    "seed",
    "metric",
    "class",
    "value",
    "low",
    "high",
    "n_scored",
    "n_total",
    "date",
    "commit",
]
PUBLISHED_COLUMNS = ["publication", "model", "parameters", "trained_on", "corpus", "split", "metric", "value", "n"]
CURVE_COLUMNS = ["model", "step", "minutes", "corpus", "metric", "value", "n"]
CURVE_KEY = ["model", "step", "corpus", "metric"]
# Columns that hold numbers, and those of them that may not be empty.
NUMBERS = ("classes", "seed", "value", "low", "high", "n_scored", "n_total", "parameters", "step", "minutes", "n")
COUNTS = ("classes", "n_scored", "n_total", "step")


@dataclass(frozen=True)
class ModelFacts:
    """
    What the store knows of a model; travels as metadata of its Parquet file.

    Args:
        model: short name, unique in the store, used as file name.
        revision: first 12 hex digits of the sha256 of the weights that were scored.
        trained_on: corpora, joined by "+", such as "raf-db+fer2013"; "unknown" if its makers don't say.
        seed: of the training, None if unknown.
        parameters: number of weights and biases.
        classes: 6, or 7 with neutral.
        recipe: one sentence on how it was made.
        licence: of the weights.
        commit: of the code that scored it.
        date: of the scoring, YYYY-MM-DD.
    """

    model: str
    revision: str
    trained_on: str
    seed: int | None
    parameters: int
    classes: int
    recipe: str
    licence: str
    commit: str
    date: str


@dataclass
class Store:
    """Everything that could be read: tables with the columns above, and one sentence per thing that could not."""

    predictions: pd.DataFrame
    results: pd.DataFrame
    published: pd.DataFrame
    curves: pd.DataFrame
    models: dict[str, ModelFacts]
    problems: list[str] = field(default_factory=list)
    # Further tables beside results.csv, by name, as their makers wrote them: "faithfulness", "attention" and so on.
    extras: dict[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def by_model(self) -> dict[str, pd.DataFrame]:
        """The predictions of each model that has any."""
        return {str(name): part for name, part in self.predictions.groupby("model", sort=False)}

    def predictions_of(self, model: str) -> pd.DataFrame:
        """The predictions of one model; no rows for one that is not there."""
        return self.by_model.get(model, self.predictions[:0])

    @cached_property
    def positions(self) -> dict[tuple, int]:
        """Row number in `results` of each RESULT_KEY; a page asks for hundreds of rows."""
        columns = (self.results[name].tolist() for name in RESULT_KEY)
        return {key: row for row, key in enumerate(zip(*columns, strict=True))}


def predictions_path(store: Path, model: str) -> Path:
    """The Parquet file of a model. Raises ValueError for a name that is no plain file name."""
    if not model or not all(c.isalnum() or c in "-_." for c in model) or model.startswith("."):
        raise ValueError(f"a model's name may hold letters, digits, '-', '_' and '.'; got {model!r}")
    return store / "predictions" / f"{model}.parquet"


def check_predictions(frame: pd.DataFrame, facts: ModelFacts) -> None:
    """Raise ValueError, saying what is wrong and where, unless `frame` is a full table of predictions of one model."""
    missing = [name for name in PREDICTION_COLUMNS if name not in frame]
    if missing:
        raise ValueError(f"columns {missing} are missing")
    for name, expected in (("model", facts.model), ("revision", facts.revision)):
        others = sorted(set(frame[name].unique()) - {expected})
        if others:
            raise ValueError(f"rows of {name} {others} stand in the table of {expected!r}")
    twice = frame[frame.duplicated(IMAGE_KEY)]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"{len(twice)} duplicate rows, the first for "
            f"{row['corpus']}/{row['split']} {row['protocol']} {row['source']}"
        )
    unknown = sorted(set(frame["label"].unique()) - {*EMOTIONS, NEUTRAL})
    if unknown:
        raise ValueError(f"labels {unknown} are unknown; expected {[*EMOTIONS, NEUTRAL]}")
    names = [*EMOTIONS, NEUTRAL][: facts.classes]
    found = frame[frame["face_found"].astype(bool)]
    scores = found[names].to_numpy(np.float64)
    bad = ~np.isclose(scores.sum(1), 1, atol=1e-3) | (scores < 0).any(1)  # a NaN is not close to 1
    if bad.any():
        raise ValueError(
            f"{bad.sum()} rows of {names} are no distribution, the first is {found['source'].iloc[bad.argmax()]}"
        )


def write_predictions(store: Path, facts: ModelFacts, frame: pd.DataFrame) -> Path:
    """
    Put predictions into the store: rows of the same corpus, split and protocol are replaced, other rows of the same
    revision are kept, rows of another revision are dropped, because they are not of this model any more.

    Raises:
        ValueError: if the table or the name is not as the schema says.
    """
    path = predictions_path(store, facts.model)
    frame = frame.assign(model=facts.model, revision=facts.revision)
    if path.is_file():
        _, old = read_predictions(path)
        runs = ["corpus", "split", "protocol"]
        replaced = pd.MultiIndex.from_frame(old[runs]).isin(pd.MultiIndex.from_frame(frame[runs]))
        kept = old[~replaced & (old["revision"] == facts.revision)]
        frame = pd.concat([kept, frame], ignore_index=True) if len(kept) else frame
    check_predictions(frame, facts)
    frame = frame[PREDICTION_COLUMNS].sort_values(IMAGE_KEY, ignore_index=True)
    frame = frame.astype(dict.fromkeys([*EMOTIONS, NEUTRAL], np.float32))
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    facts_text = json.dumps({"schema": SCHEMA_VERSION, **asdict(facts)})
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"gimefive": facts_text.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        pyarrow.parquet.write_table(table, part, compression="zstd")
    return path


def read_predictions(path: Path) -> tuple[ModelFacts, pd.DataFrame]:
    """
    One model's file.

    Raises:
        ValueError: naming the file and what is wrong with it: unreadable, another schema version, wrong content.
    """
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(
            f"{path.name} is not a whole Parquet file ({str(error).splitlines()[0]}); score it again"
        ) from None
    text = (table.schema.metadata or {}).get(b"gimefive")
    described = json.loads(text) if text else {}
    version = described.pop("schema", None)
    if version != SCHEMA_VERSION:
        raise ValueError(f"{path.name} has schema version {version}, this code reads {SCHEMA_VERSION}; score it again")
    expected = {entry.name for entry in fields(ModelFacts)}
    if set(described) != expected:
        raise ValueError(f"{path.name}: the model's facts should be {sorted(expected)}; got {sorted(described)}")
    facts, frame = ModelFacts(**described), table.to_pandas()
    if path.stem != facts.model:
        raise ValueError(f"{path.name} holds predictions of {facts.model!r}")
    try:
        check_predictions(frame, facts)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return facts, frame


def read_table(path: Path, columns: list[str], key: list[str], problems: list[str] | None = None) -> pd.DataFrame:
    """
    A CSV with exactly `columns`, unique in `key`, every row whole.

    With a list of `problems`, rows that are cut off, hold a word where a number should stand, or stand there twice are
    named in it and left out; without one they are errors.

    Raises:
        ValueError: naming the file and the fault.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys({*columns} - {*NUMBERS}, "str"), low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a whole CSV file ({error})") from None
    if list(frame.columns) != columns:
        raise ValueError(f"{path.name} should have the columns {columns}; got {list(frame.columns)}")
    if "class" in frame:
        frame["class"] = frame["class"].fillna("")
    broken = frame[key].isna().any(axis=1)
    for name in NUMBERS:
        if name in frame:
            numbers = pd.to_numeric(frame[name], errors="coerce")
            broken |= numbers.isna() & (frame[name].notna() | (name in COUNTS))
            frame[name] = numbers
    for faulty, what in (
        (broken, "cut off or hold no number where one should be"),
        (frame.duplicated(key), "duplicates"),
    ):
        if faulty.any():
            text = f"{path.name}: {faulty.sum()} rows are {what}, the first is line {faulty.idxmax() + 2}"
            if problems is None:
                raise ValueError(text)
            problems.append(f"{text}; they are left out")
    frame = frame[~broken & ~frame.duplicated(key)].reset_index(drop=True)
    return frame.astype({name: "int64" for name in COUNTS if name in frame})


def write_table(path: Path, frame: pd.DataFrame, columns: list[str], key: list[str]) -> None:
    """Write a CSV, unrounded, sorted by `key`, in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        frame[columns].sort_values(key).to_csv(part, index=False, lineterminator="\n")


def write_results(store: Path, frame: pd.DataFrame) -> None:
    """Replace results.csv. A seed stays a whole number where other models have none."""
    frame = frame.assign(seed=pd.to_numeric(frame["seed"]).astype("Int64"))
    write_table(store / "results.csv", frame, RESULT_COLUMNS, RESULT_KEY)


def write_curves(store: Path, frame: pd.DataFrame) -> None:
    """Replace the curves of the models in `frame`; the curves of other models stay."""
    path = store / "curves.csv"
    if path.is_file():
        old = read_table(path, CURVE_COLUMNS, CURVE_KEY)
        frame = pd.concat([old[~old["model"].isin(frame["model"])], frame], ignore_index=True)
    write_table(path, frame, CURVE_COLUMNS, CURVE_KEY)


def read_leaked(store: Path) -> pd.DataFrame | None:
    """
    Test images that have a twin in a training split: columns corpus, source and more; None if there is no such list.
    `training.audit` writes it.
    """
    path = store / "leaked_test_images.csv"
    return pd.read_csv(path) if path.is_file() else None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file of the store. Raises ValueError naming the file if it is missing or not whole."""
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} is not a whole file of arrays ({error})") from None


def read_store(store: Path = DEFAULT_STORE) -> Store:
    """Read everything. Raises nothing for bad content: each fault is a sentence in `problems`."""
    problems: list[str] = []
    frames, models = [], {}
    paths = sorted((store / "predictions").glob("*"))
    if not paths:
        problems.append("no predictions: run python -m training.measuring.evaluate --model gimefive --data DIR")
    for path in paths:
        try:
            if path.suffix != ".parquet":
                raise ValueError(f"{path.name} is not a Parquet file; an interrupted run may have left it")
            facts, frame = read_predictions(path)
        except ValueError as error:
            problems.append(str(error))
            continue
        models[facts.model] = facts
        frames.append(frame)
    tables = {}
    for name, columns, key in (
        ("results", RESULT_COLUMNS, RESULT_KEY),
        ("published", PUBLISHED_COLUMNS, [name for name in PUBLISHED_COLUMNS[:7] if name != "parameters"]),
        ("curves", CURVE_COLUMNS, CURVE_KEY),
    ):
        try:
            tables[name] = read_table(store / f"{name}.csv", columns, key, problems)
        except ValueError as error:
            problems.append(str(error))
            tables[name] = pd.DataFrame(columns=columns)
    known = tables["results"]["model"].isin(models)
    for model in sorted(tables["results"]["model"][~known].unique()):
        problems.append(f"results.csv has rows of {model!r}, of which there are no predictions; they are left out")
    tables["results"] = tables["results"][known].reset_index(drop=True)
    predictions = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=PREDICTION_COLUMNS)
    extras = {}
    for path in sorted(store.glob("*.csv")):
        if path.stem in tables:
            continue
        try:
            extras[path.stem] = pd.read_csv(path)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            problems.append(f"{path.name} is not a whole CSV file ({error})")
    return Store(predictions=predictions, models=models, problems=problems, extras=extras, **tables)


def hash_file(path: Path) -> str:
    """First 12 hex digits of the file's sha256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
