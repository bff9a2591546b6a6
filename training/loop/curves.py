"""The curves of a run: `curves.csv` with one row per logged step, and `curves.png`."""

from pathlib import Path

import pandas as pd

from gimefive_hf.tables import write_whole


def curve_table(log_history: list[dict]) -> pd.DataFrame:
    """The Trainer's log as one row per step; training and held-out figures of a step share the row."""
    # Without the Trainer's closing summary, which is of the last session only.
    entries = pd.DataFrame([entry for entry in log_history if "train_runtime" not in entry])
    table = entries.drop(columns="epoch", errors="ignore").groupby("step", as_index=False).last()
    return table[["step", *table.columns.drop("step")]]


def write_curves(log_history: list[dict], folder: Path) -> None:
    """Write `curves.csv`; an empty cell is a figure that was not measured at that step."""
    write_whole(folder / "curves.csv", curve_table(log_history).to_csv(index=False))


def draw_curves(log_history: list[dict], folder: Path) -> None:
    """Write `curves.png`: the training loss, the learning rate and every held-out accuracy against the step."""
    from matplotlib.figure import Figure

    table = curve_table(log_history).set_index("step")
    figure = Figure(figsize=(10, 3.8), layout="tight")
    losses, accuracies = figure.subplots(1, 2)
    rate = losses.twinx()
    for axes, key, color in ((losses, "loss", "#0072b2"), (rate, "learning_rate", "0.6")):
        if key in table:
            axes.plot(table[key].dropna(), color=color, linewidth=1.2)
    losses.set(xlabel="step", ylabel="cross-entropy with soft targets")
    rate.set_ylabel("learning rate", color="0.45")
    held_out = sorted(key for key in table if key.startswith("eval_") and key.endswith("_accuracy"))
    colors = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2")
    for index, key in enumerate(held_out):
        label = key.removeprefix("eval_").removesuffix("_accuracy")
        accuracies.plot(table[key].dropna(), "o-", markersize=3, color=colors[index % len(colors)], label=label)
    accuracies.set(xlabel="step", ylabel="held-out accuracy in %")
    if held_out:
        accuracies.legend(frameon=False)
    figure.savefig(folder / "curves.png", dpi=110)
