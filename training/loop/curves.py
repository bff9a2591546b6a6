"""The curves of a run: `curves.csv` with one row per logged step, and `curves.png`."""

import csv
import io
from pathlib import Path

from gimefive_hf.tables import write_whole


def curve_rows(log_history: list[dict]) -> list[dict]:
    """The Trainer's log as one row per step; training and held-out figures of a step share the row."""
    rows: dict[int, dict] = {}
    for entry in log_history:
        if "train_runtime" in entry:
            continue  # the Trainer's closing summary, of the last session only
        values = {key: value for key, value in entry.items() if key != "epoch"}
        rows.setdefault(entry["step"], {}).update(values)
    return [{"step": step} | row for step, row in sorted(rows.items())]


def write_curves(log_history: list[dict], folder: Path) -> None:
    """Write `curves.csv`; an empty cell is a figure that was not measured at that step."""
    rows = curve_rows(log_history)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / "curves.csv", text.getvalue())


def draw_curves(log_history: list[dict], folder: Path) -> None:
    """Write `curves.png`: the training loss, the learning rate and every held-out accuracy against the step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = curve_rows(log_history)

    def series(key: str) -> tuple[list, list]:
        points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
        return [p[0] for p in points], [p[1] for p in points]

    figure, (losses, accuracies) = pyplot.subplots(1, 2, figsize=(10, 3.8))
    losses.plot(*series("loss"), color="#0072b2", linewidth=1.2, label="training loss")
    losses.set(xlabel="step", ylabel="cross-entropy with soft targets")
    rate = losses.twinx()
    rate.plot(*series("learning_rate"), color="0.6", linewidth=1)
    rate.set_ylabel("learning rate", color="0.45")
    held_out = sorted({key for row in rows for key in row if key.startswith("eval_") and key.endswith("_accuracy")})
    colors = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2")
    for index, key in enumerate(held_out):
        label = key.removeprefix("eval_").removesuffix("_accuracy")
        accuracies.plot(*series(key), "o-", markersize=3, color=colors[index % len(colors)], label=label)
    accuracies.set(xlabel="step", ylabel="held-out accuracy in %")
    if held_out:
        accuracies.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(folder / "curves.png", dpi=110)
    pyplot.close(figure)
