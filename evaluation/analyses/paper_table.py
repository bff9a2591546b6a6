"""Table 2 of the GiMeFive paper beside the same networks trained anew by one recipe: what holds, and what does not."""

from dataclasses import dataclass

import pandas as pd

from ..metrics import mcnemar, mean_interval
from ..queries import AUGMENTATION, TABLE2, aligned_predictions, find_row, right_of
from ..store import Store

PAPER = "GiMeFive paper"
SLIDES = "slides, augmentation on and off"
WITH, WITHOUT = "with augmentation", "without augmentation"
# The paper's names → ours, as `gimefive_hf.configuration_gimefive` lists the networks.
NETWORKS = {
    "baseline, 4 blocks": "gimefive-4",
    "GiMeFive, 5 blocks, -BN": "gimefive-5",
    "GiMeFive, 5 blocks, +BN": "gimefive-5-bn",
    "GiMeFive, 5 blocks, +BN +SE": "gimefive-5-bn-se",
    "GiMeFive, 5 blocks, +BN +dropout": "gimefive-paper",
    "GiMeFive, 6 blocks, +BN": "gimefive-6-bn",
    "GiMeFive, residual +SE": "gimefive-residual-se",
    "ResNet18": "resnet18",
    "ResNet34": "resnet34",
    "VGG16": "vgg-paper",
}
# What the paper says helps or does not: the network with it and the one without.
CHANGES = {
    "batch norm": ("GiMeFive, 5 blocks, +BN", "GiMeFive, 5 blocks, -BN"),
    "squeeze and excitation": ("GiMeFive, 5 blocks, +BN +SE", "GiMeFive, 5 blocks, +BN"),
    "dropout": ("GiMeFive, 5 blocks, +BN +dropout", "GiMeFive, 5 blocks, +BN"),
    "a sixth block": ("GiMeFive, 6 blocks, +BN", "GiMeFive, 5 blocks, +BN"),
}


@dataclass(frozen=True)
class Change:
    """What one part of the network changes: accuracy with it minus without, 95 % interval, McNemar's p, the paper's."""

    name: str
    value: float
    low: float
    high: float
    p: float
    published: float | None
    source: str = "the paper"

    @property
    def sentence(self) -> str:
        """Whether the paper's finding holds here."""
        ours = f"{100 * self.value:+z.1f} points [{100 * self.low:+z.1f}, {100 * self.high:+z.1f}], p = {self.p:.2g}"
        if self.published is None:
            return f"{self.name}: {ours}; {self.source} has no figure"
        if self.p >= 0.05:
            verdict = "cannot be told from chance here"
        else:
            verdict = "holds" if (self.value > 0) == (self.published > 0) else "does not hold: the sign is the other"
        return f"{self.name}: {100 * self.published:+.1f} points in {self.source}, {ours} here; it {verdict}"


def model_of(network: str) -> str:
    """The store's name of a network of the table trained anew."""
    return TABLE2 + network


def published_value(store: Store, name: str, corpus: str, trained_on: str = "raf-db") -> float | None:
    """The paper's accuracy of one network, or None."""
    table = store.published[store.published["publication"].str.startswith(PAPER)]
    chosen = table[(table["model"] == name) & (table["corpus"] == corpus) & (table["trained_on"] == trained_on)]
    return float(chosen["value"].iloc[0]) if len(chosen) else None


def augmentation_pairs(store: Store) -> dict[str, tuple[str, str]]:
    """Passes → the store's models `augmentation-on-PASSES` and `augmentation-off-PASSES`, where both are there."""
    start = f"{AUGMENTATION}on-"
    pairs = {name.removeprefix(start): name for name in store.models if name.startswith(start)}
    found = {passes: (name, f"{AUGMENTATION}off-{passes}") for passes, name in pairs.items()}
    return {passes: pair for passes, pair in found.items() if pair[1] in store.models}


def augmentation_table(store: Store, corpus: str = "raf-db") -> pd.DataFrame:
    """The slides' two figures, and ours with intervals: network, source, value, low, high, n. Empty without ours."""
    rows = []
    for passes, pair in augmentation_pairs(store).items():
        for name, model in zip((WITH, WITHOUT), pair, strict=True):
            row = find_row(store, model, corpus=corpus)
            if row is not None:
                values = [row[column] for column in ("value", "low", "high", "n_scored")]
                rows.append([name, f"trained here, {passes} passes", *values])
    if rows:
        told = store.published[store.published["publication"] == SLIDES]
        rows += [[name, "as published", value, None, None, None] for name, value in told[["model", "value"]].to_numpy()]
    table = pd.DataFrame(rows, columns=["network", "source", "value", "low", "high", "n"])
    return table.astype(dict.fromkeys(("value", "low", "high", "n"), float))


def augmentation_sentence(store: Store, corpus: str = "raf-db") -> str:
    """What the slides say of augmentation, and whether that holds here; empty without their figures."""
    told = store.published[store.published["publication"] == SLIDES].set_index("model")["value"]
    if not {WITH, WITHOUT} <= set(told.index):
        return ""
    difference = told[WITH] - told[WITHOUT]
    text = (
        f"Published in slides: an accuracy of {100 * told[WITH]:.1f} % with augmentation and {100 * told[WITHOUT]:.1f} "
        f"% without, {100 * difference:+.1f} points, on images whose corpus and number they do not give, so without an "
        "interval."
    )
    found = [
        compare(store, f"augmentation, {passes} passes", pair, corpus, difference, "the slides")
        for passes, pair in augmentation_pairs(store).items()
    ]
    sentences = "; ".join(change.sentence for change in found if change)
    if not sentences:
        return f"{text} No training without it has been finished here, so nothing says whether that holds."
    return f"{text} The paper's network trained on RAF-DB with and without, one seed: {sentences}."


def paper_table(store: Store, corpus: str = "raf-db") -> pd.DataFrame:
    """One row per network: its name, parameters, the paper's accuracy, and ours with interval and count; NaN: none."""
    rows = []
    for name, network in NETWORKS.items():
        row = find_row(store, model_of(network), corpus=corpus)
        ours = [None] * 4 if row is None else [row["value"], row["low"], row["high"], row["n_scored"]]
        facts = store.models.get(model_of(network))
        rows.append([name, facts.parameters if facts else None, published_value(store, name, corpus), *ours])
    columns = ["network", "parameters", "published", "value", "low", "high", "n"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(columns[1:], float))


def compare(
    store: Store, name: str, models: tuple[str, str], corpus: str, published: float | None, source: str = "the paper"
) -> Change | None:
    """The first model against the second one, image by image; None unless both were tested on the corpus."""
    frames = [aligned_predictions(store, model, [corpus]).sort_values("source") for model in models]
    if not all(len(frame) for frame in frames):
        return None
    with_it, without = (right_of(frame) for frame in frames)
    low, high = mean_interval(with_it.astype(float) - without, None)
    *_, p = mcnemar(with_it, without)
    return Change(name, float(with_it.mean() - without.mean()), low, high, p, published, source)


def changes(store: Store, corpus: str = "raf-db") -> list[Change]:
    """Each of `CHANGES` of which both networks were trained anew, compared image by image."""
    found = []
    for name, pair in CHANGES.items():
        first, second = (published_value(store, network, corpus) for network in pair)
        told = None if first is None or second is None else first - second
        models = (model_of(NETWORKS[pair[0]]), model_of(NETWORKS[pair[1]]))
        found.append(compare(store, name, models, corpus, told))
    return [change for change in found if change]


def summary(store: Store, corpus: str = "raf-db") -> str:
    """What holds and what does not, in one paragraph; empty without the runs."""
    table = paper_table(store, corpus).dropna(subset=["published", "value"])
    if len(table) < 3:
        return ""
    rank = table["published"].rank().corr(table["value"].rank())  # Spearman's
    paper_best, our_best = (table.loc[table[name].idxmax(), "network"] for name in ("published", "value"))
    inside = int(((table["low"] <= table["published"]) & (table["published"] <= table["high"])).sum())
    best = (
        f"{our_best} is best in both"
        if paper_best == our_best
        else f"best is {our_best} here and {paper_best} in the paper"
    )
    return (
        "With one recipe, one seed, and selection on images held out of the training split, over the "
        f"{len(table)} networks of which the paper has a figure, the rank correlation with the paper's order is "
        f"{rank:.2f}; {best}; {inside} of the paper's figures {'lies' if inside == 1 else 'lie'} within our 95 % "
        f"intervals. The paper's own order was made by selecting on a "
        "validation set that consists of RAF-DB test images."
    )
