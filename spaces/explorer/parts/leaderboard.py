"""All models in one table: what they are right on, and what they cost."""

from urllib.parse import urlencode

import pandas as pd

from evaluation.analyses.deployed import deployed_row
from evaluation.analyses.weak_spots import commonest_mistake, own_corpora, weakest_class, worst_corruption
from evaluation.corpora import title_of
from evaluation.queries import TABLE2, find_row, order_models, protocol_title, tested_corpora
from evaluation.store import Store

from .charts import KINDS

METRICS = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro-F1": "macro_f1",
    "expected calibration error": "expected_calibration_error",
}


def metric_table(store: Store, metric: str, corpora: list[str] | None = None, subset: str = "full") -> pd.DataFrame:
    """A row per model and test split (None: of all that it was tested on) that has the metric, with its interval."""
    rows = []
    for model in order_models(store):
        for corpus in corpora or tested_corpora(store, model):
            row = find_row(store, model, metric, corpus=corpus, subset=subset)
            if row is not None:
                found = [row[name] for name in ("value", "low", "high", "n_scored", "n_total")]
                rows.append([title_of(corpus), model, *found])
    return pd.DataFrame(rows, columns=["test split", "model", "value", "low", "high", "n", "n_total"])


def spot_links(store: Store, model: str) -> dict[str, str]:
    """Weak spot, as `weak_spots` names it → a link to the page that shows exactly its images."""
    links = {}
    row = weakest_class(store, model)
    if row is not None:
        query = {"model": model, "corpus": title_of(row["corpus"]), "label": row["class"]}
        if mistake := commonest_mistake(store, model, row["corpus"], row["class"]):
            query["predicted"] = mistake[0]
        links["Weakest spot"] = f"[These very mistakes](failures?{urlencode(query)})"
    row = worst_corruption(store, model)
    if row is not None:
        query = {"model": model, "corpus": title_of(row["corpus"]), "images": protocol_title(row["protocol"])}
        links["Worst corruption"] = f"[Its mistakes](failures?{urlencode(query)})"
    rows = [row for corpus in own_corpora(store, model) if (row := find_row(store, model, corpus=corpus)) is not None]
    if rows:
        lowest = min(rows, key=lambda row: row["value"])
        query = {"model": model, "corpus": title_of(lowest["corpus"])}
        links["Lowest accuracy"] = f"[All its mistakes](failures?{urlencode(query)})"
        links["Lowest accuracy"] += f" and [what is taken for what](classes?{urlencode(query)})"
    return links


def leaderboard(store: Store) -> pd.DataFrame:
    """All models, ours, peers and quoted, with what is known of each; NaN where nothing is."""
    corpora = ("raf-db", "fer2013", "aggregate")
    costs = store.extras.get("cost", pd.DataFrame(columns=["model", "milliseconds", "megabytes"])).set_index("model")
    rows = []
    for name in order_models(store):
        facts = store.models[name]
        found = [find_row(store, name, corpus=corpus) for corpus in corpora]
        deployed = deployed_row(store, name, "raf-db")
        cost = costs.loc[name] if name in costs.index else {}
        rows.append(
            [
                "●",
                name,
                facts.trained_on,
                facts.parameters,
                cost.get("milliseconds"),
                cost.get("megabytes"),
                *(None if row is None else row["value"] for row in found),
                None if deployed is None else deployed["value"],
            ]
        )
    quoted = store.published[store.published["publication"].str.startswith("GiMeFive paper")]
    for name, part in quoted.groupby("model", sort=False):
        values = part[part["corpus"].isin(corpora)].set_index("corpus")["value"]
        if len(values):
            by_corpus = [values.get(corpus) for corpus in corpora]
            start = ["◇", name.removeprefix("GiMeFive, "), "the column's corpus", part["parameters"].iloc[0]]
            rows.append([*start, None, None, *by_corpus, None])
    columns = ["source", "model", "trained on", "parameters", "milliseconds", "megabytes"]
    columns += [f"{title_of(corpus)} accuracy" for corpus in corpora] + ["RAF-DB as deployed"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], float))
    # what is asked first stands where a phone shows it
    first = ["source", "model", *columns[6:], "milliseconds", "megabytes", "parameters"]
    return table[[*first, "trained on"]]


def cost_table(store: Store, costs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on RAF-DB and cost of each model; four bytes a weight where the size of its file is not known."""
    aligned, deployed, of_study = KINDS
    rows = []
    for name in [*order_models(store), *(name for name in costs["model"] if name.startswith(TABLE2))]:
        known = costs[costs["model"] == name]
        cost = known.iloc[0] if len(known) else {}
        spent = [cost.get("milliseconds"), cost.get("megabytes", 4e-6 * store.models[name].parameters)]
        found = {of_study if name.startswith(TABLE2) else aligned: find_row(store, name, corpus="raf-db")}
        found[deployed] = deployed_row(store, name, "raf-db")
        for kind, row in found.items():
            if row is not None:
                values = [row["value"], row["low"], row["high"], row["n_scored"]]
                rows.append([name, *spent, *values, cost.get("how"), cost.get("machine"), kind])
    columns = ["model", "milliseconds", "megabytes", "value", "low", "high", "n", "how", "machine", "kind"]
    return pd.DataFrame(rows, columns=columns)
