"""
Search for better settings: a grid like the paper's, or Bayesian search (Optuna's TPE), by the held-out score.

    python -m training.search --recipe paper-raf-db --space paper-grid --trials 12 --data DIR --out runs/search
    python -m training.search --recipe paper-raf-db --space paper-grid --grid --trials 4 --data DIR --out runs/grid

A space is a JSON object, key → list of choices, or {"low": …, "high": …, "log": true}; a key is a setting, or
`network_options.NAME`. The same command goes on after a kill, within the trial that was cut short, until there are
`--trials` finished ones. `--out` holds the study, `search.csv`, two pictures and a folder for every trial.
"""

import argparse
import hashlib
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from transformers import logging as transformers_logging

from gimefive_hf.tables import write_whole

from .loop.paths import RunPaths, add_paths, paths_of
from .loop.settings import TrainingSettings, add_flags, by_todays_names, given_settings, make_settings, read_settings
from .script import Script
from .train import train

SPACES_DIR = Path(__file__).parent / "search_spaces"


def read_space(path: Path) -> dict[str, Any]:
    """The space of a file, or of a name in `search_spaces`; raises ValueError for a domain that is neither kind."""
    if not path.is_file():
        path = SPACES_DIR / f"{path}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SPACES_DIR.glob("*.json")))
        raise ValueError(f"no space {path.stem}; give a JSON file or one of {known}")
    space = {key: value for key, value in json.loads(path.read_text()).items() if key != "comment"}
    for key, domain in space.items():
        if not (isinstance(domain, list) and domain) and not (
            isinstance(domain, dict) and {"low", "high"} <= set(domain)
        ):
            raise ValueError(f"{path.name}: {key} must be a list of choices or have low and high; got {domain!r}")
    return space


def suggest(trial: optuna.Trial, key: str, domain: list | dict) -> Any:
    """One value; choices that are lists or objects travel as JSON, since Optuna stores only plain ones."""
    if isinstance(domain, list):
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in domain]))
    options = {name: domain[name] for name in ("log", "step") if name in domain}
    if isinstance(domain["low"], int) and isinstance(domain["high"], int):
        return trial.suggest_int(key, domain["low"], domain["high"], **options)
    return trial.suggest_float(key, domain["low"], domain["high"], **options)


def changed(base: TrainingSettings, values: dict[str, Any]) -> TrainingSettings:
    """`base` with values by key; `network_options.NAME` changes one of the network's options."""
    result = base.to_dict()
    for key, value in by_todays_names(values, "space").items():
        if key.startswith("network_options."):
            result["network_options"] = result["network_options"] | {key.removeprefix("network_options."): value}
        else:
            result[key] = value
            if key in ("steps", "epochs"):
                result["epochs" if key == "steps" else "steps"] = None
    return make_settings(result, "space")


def run_trial(settings: TrainingSettings, paths: RunPaths) -> float:
    """Train in the folder that belongs to these settings, unless that is done, and return the held-out score in %."""
    digest = hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode()).hexdigest()[:12]
    folder = paths.out / "trials" / digest
    if not (folder / "run.json").is_file():
        train(settings, RunPaths(**{**vars(paths), "out": folder}))
        for path in [*folder.glob("checkpoint-*"), *folder.glob("best-*")]:
            shutil.rmtree(path)
    return json.loads((folder / "run.json").read_text())["held_out"]["score"]


def open_study(out: Path, space: dict[str, Any], grid: bool, seed: int, trials: int) -> optuna.Study:
    """The study of the folder; trials that a killed process left running are queued again."""
    out.mkdir(parents=True, exist_ok=True)
    ranges = [key for key, domain in space.items() if isinstance(domain, dict)]
    if grid and ranges:
        raise ValueError(
            f"a grid needs choices, but {', '.join(ranges)} have ranges; list values or search without --grid"
        )
    study = optuna.create_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(out / "study.journal"))),
        direction="maximize",
        load_if_exists=True,
    )
    known = study.user_attrs.get("space")
    if known is not None and known != json.dumps(space):
        raise ValueError(f"{out} holds a search over another space; choose another --out")
    study.set_user_attr("space", json.dumps(space))
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    if grid:
        choices = {key: [json.dumps(choice) for choice in domain] for key, domain in space.items()}
        study.sampler = optuna.samplers.GridSampler(choices, seed=seed)
    else:
        # A resumed study must not draw its first numbers again.
        startup = max(3, trials // 3)
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=startup)
    return study


def search(base: TrainingSettings, space: dict[str, Any], paths: RunPaths, trials: int, grid: bool) -> optuna.Study:
    """
    Search until `trials` trials have finished. A trial whose settings contradict each other or whose loss is not finite
    has failed; its reason stands in `search.csv`. Three failures in a row stop the search with the last one's error.
    """
    study = open_study(paths.out, space, grid, base.seed, trials)
    before = len(study.trials)

    def objective(trial: optuna.Trial) -> float:
        values = {key: suggest(trial, key, domain) for key, domain in space.items()}
        try:
            return run_trial(changed(base, values), paths)
        except (ValueError, FloatingPointError) as error:
            trial.set_user_attr("error", str(error))
            raise

    def finished() -> int:
        return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    while finished() < trials:
        study.optimize(objective, n_trials=1, catch=(ValueError, FloatingPointError))
        write_history(study, paths.out)
        last = [trial.user_attrs.get("error") for trial in study.trials[before:][-3:]]
        if len(last) == 3 and all(last):
            raise ValueError(f"three trials in a row failed, the last with: {last[-1]}")
        if isinstance(study.sampler, optuna.samplers.GridSampler) and study.sampler.is_exhausted(study):
            break
    draw_history(study, paths.out)
    return study


def plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def write_history(study: optuna.Study, out: Path) -> None:
    """`search.csv`: one row per trial, with its values, its score or the reason why it has none."""
    keys = list(json.loads(study.user_attrs["space"]))
    rows = []
    for trial in study.trials:
        cut_short = "cut short; begun again" if trial.state == TrialState.FAIL else None
        row = {"trial": trial.number, "state": trial.state.name, "score": trial.value}
        row["seconds"] = round(trial.duration.total_seconds(), 1) if trial.duration else None
        row |= {key: plain(trial.params.get(key)) for key in keys}
        rows.append(row | {"error": trial.user_attrs.get("error", cut_short)})
    write_whole(out / "search.csv", pd.DataFrame(rows, dtype=object).to_csv(index=False))


def draw_history(study: optuna.Study, out: Path) -> None:
    """`search.png`: every trial's score, the best so far; `search_settings.png`: scores against each setting."""
    from optuna.visualization import matplotlib as charts

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        for name, chart in (("search", charts.plot_optimization_history), ("search_settings", charts.plot_slice)):
            panels = np.ravel(chart(study, target_name="held-out score in %"))
            for panel in panels:
                panel.xaxis.set_minor_formatter("")  # labels of a decade's ninths overlap
            figure = panels[0].figure
            figure.set_size_inches(max(7, 3.5 * len(panels)), 4.5)
            figure.savefig(out / f"{name}.png", dpi=110, bbox_inches="tight")


def main(argv: list[str] | None = None) -> int:
    parser = Script("training.search", __doc__)
    add_paths(parser)
    parser.add_argument("--recipe", type=Path, required=True, help="settings file that every trial starts from")
    parser.add_argument("--space", type=Path, required=True, help="JSON file, or the name of one in search_spaces/")
    parser.add_argument("--trials", type=int, default=10, help="finished trials that the search ends with")
    parser.add_argument("--grid", action="store_true", help="try the choices' combinations instead of Bayesian search")
    add_flags(parser)
    return parser.run(run, argv)


def run(args: argparse.Namespace) -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # failures stand in search.csv
    if args.data is None:
        raise ValueError("expected --data DIR, the folder with the corpora")
    base = read_settings(args.recipe, **given_settings(args))
    study = search(base, read_space(args.space), paths_of(args), args.trials, args.grid)
    print(f"best: trial {study.best_trial.number}, held-out score {study.best_value:.2f} %")
    for key, value in study.best_params.items():
        print(f"  {key}: {plain(value)}")


if __name__ == "__main__":
    sys.exit(main())
