"""All models in one table: what they are right on, and what they cost."""

from urllib.parse import urlencode

import pandas as pd

from evaluation.corpora import title_of
from evaluation.queries import TABLE2, find_row, order_models
from evaluation.store import Store
from evaluation.weak_spots import commonest_mistake, weakest_class


def spot_links(store: Store, model: str) -> str:
    """Links to the pages that show the weakest class, with its corpus, label and commonest mistake."""
    row = weakest_class(store, model)
    if row is None:
        return ""
    query = {"model": model, "corpus": title_of(row["corpus"])}
    choice = query | {"label": row["class"]}
    if mistake := commonest_mistake(store, model, row["corpus"], row["class"]):
        choice["predicted"] = mistake[0]
    return (
        f"[These very mistakes](failures?{urlencode(choice)}) and [the confusion matrix](classes?{urlencode(query)}) "
        "show more."
    )


def leaderboard(store: Store) -> pd.DataFrame:
    """All models, ours, peers and quoted, with what is known of each; NaN where nothing is."""
    corpora = ("raf-db", "fer2013", "aggregate")
    costs = store.extras.get("cost", pd.DataFrame(columns=["model", "milliseconds", "megabytes"])).set_index("model")
    rows = []
    for name in order_models(store):
        facts = store.models[name]
        found = [find_row(store, name, corpus=corpus) for corpus in corpora]
        deployed = find_row(store, name, "accuracy_of_all", corpus="raf-db", protocol="detected")
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
            start = ["◇", f"paper: {name}", "the column's corpus", part["parameters"].iloc[0]]
            rows.append([*start, None, None, *by_corpus, None])
    columns = ["source", "model", "trained on", "parameters", "milliseconds", "megabytes"]
    columns += [f"{title_of(corpus)} accuracy" for corpus in corpora] + ["as deployed"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], float))
    # what is asked first stands where a phone shows it
    first = ["source", "model", *columns[6:], "milliseconds", "megabytes", "parameters"]
    return table[[*first, "trained on"]]


def cost_table(store: Store, costs: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on RAF-DB and cost of each model; four bytes a weight where the size of its file is not known."""
    rows = []
    for name in [*order_models(store), *(name for name in costs["model"] if name.startswith(TABLE2))]:
        row = find_row(store, name, corpus="raf-db")
        if row is None:
            continue
        known = costs[costs["model"] == name]
        size = 4e-6 * store.models[name].parameters
        cost = known.iloc[0] if len(known) else {}
        values = [row["value"], row["low"], row["high"], row["n_scored"]]
        rows.append(
            [name, cost.get("milliseconds"), cost.get("megabytes", size), *values, cost.get("how"), cost.get("machine")]
        )
    columns = ["model", "milliseconds", "megabytes", "value", "low", "high", "n", "how", "machine"]
    table = pd.DataFrame(rows, columns=columns)
    of_study = table["model"].str.startswith(TABLE2)
    return table.assign(kind=of_study.map({True: "a network of the paper's table, trained anew", False: "a model"}))
