"""How a photo really goes: photo in, label out."""

import pandas as pd
import streamlit as st
from parts.charts import dot_plot
from parts.sentences import ends
from parts.store import choose, choose_corpus, download_table, show_chart, start_page, stop_without

from evaluation.analyses.confidence import confidence_rows
from evaluation.analyses.deployed import DEPLOYED, deployed_row, hard_rows, pose_rows, posed_corpora
from evaluation.cards.deployed_tables import CONDITIONS, HOLDS
from evaluation.corpora import title_of
from evaluation.metrics import share_interval
from evaluation.queries import FLAGSHIP, find_row, order_models, percent_text
from evaluation.store import Store

SOURCES = {"accuracy_of_all": "photo in: of all images", "accuracy": "photo in: of the faces found"}


def deployed_table(store: Store, corpus: str) -> pd.DataFrame:
    """A row per model and way in which the images came: model, way, value, low, high, n."""
    rows = []
    for model in order_models(store):
        found = {way: deployed_row(store, model, corpus, metric) for metric, way in SOURCES.items()}
        if all(row is None for row in found.values()):
            continue
        found["given as aligned crops"] = find_row(store, model, corpus=corpus)
        rows += [
            [model, way, row["value"], row["low"], row["high"], row["n_scored"]]
            for way, row in found.items()
            if row is not None
        ]
    return pd.DataFrame(rows, columns=["model", "way", "value", "low", "high", "n"])


def show_way(store: Store, corpus: str) -> None:
    """Every model that went the way of a photo, beside the same images as aligned crops."""
    table = deployed_table(store, corpus)
    found = deployed_row(store, table["model"].iloc[0], corpus, "faces_found")
    parts = {name: part.set_index("way")["value"] for name, part in table.groupby("model", sort=False)}
    first = parts[table["model"].iloc[0]]
    lost = 100 * (first["photo in: of all images"] - first.get("given as aligned crops", float("nan")))
    st.markdown(
        f"Of {title_of(corpus)}'s test images our detector finds {percent_text(found)}. From photo to label "
        f"**{table['model'].iloc[0]}** is right on **{100 * first['photo in: of all images']:.1f} %**, {lost:+z.1f} "
        "points against aligned crops."
    )
    title = f"accuracy on {title_of(corpus)}, photo in, label out"
    note = (
        "95 % bootstrap intervals. Each test image stands in a larger scene; our detector finds the face, crops it, "
        f"the network reads it; a face that is not found counts as wrong. Up to {table['n'].max():,} images; a model "
        "with fewer was scored on a part, as the data say. Peers get the same crops, restricted to the six classes."
    )
    figure = dot_plot(table, "model", "way", title)
    show_chart(figure, table, f"deployed-{corpus}", note, ends(table, ["model", "way"]))


def show_hard(store: Store, model: str) -> None:
    """Small, turned, dark, blurred and half-hidden faces: found, and right."""
    st.subheader("Faces that are hard to find")
    hard = hard_rows(store, model)
    if len(hard) < 2:
        command = f"python -m training.measuring.evaluate --model {model} --data DIR --protocol hard"
        st.info(f"No hard faces of {model}: `{command}`.")
        return
    named = [CONDITIONS.get(r.condition, f"{r.condition} {{}}").format(r.amount) for r in hard.itertuples()]
    parts = []
    for name, what in (("found", "found"), ("right", "found and right")):
        columns = {f"{name}_share": "value", f"{name}_low": "low", f"{name}_high": "high", "images": "n"}
        part = hard.assign(face=named, what=what).rename(columns=columns)
        parts.append(part[["face", "what", "value", "low", "high", "n"]])
    table = pd.concat(parts, ignore_index=True)
    title = f"{model}: RAF-DB's faces in a scene"
    note = f"95 % Wilson intervals; {hard['images'].min():,} images a row, those of RAF-DB's test split."
    figure = dot_plot(table, "face", "what", title)
    show_chart(figure, table, f"hard-{model}", note, ends(table[table["what"] != "found"], ["face"], "found and right"))


def show_poses(store: Store, model: str) -> None:
    """Found test faces by how they stand."""
    poses = pose_rows(store, model)
    if not len(poses):
        return
    st.subheader("Turned heads")
    named = [f"{r.pose} {r.least}–{r.most}° ({r.images:,})" for r in poses.itertuples()]
    columns = {"right_share": "value", "right_low": "low", "right_high": "high", "images": "n"}
    table = poses.assign(head=named).rename(columns=columns)[["head", "pose", "value", "low", "high", "n"]]
    title = f"{model}: accuracy of found faces"
    note = (
        f"95 % Wilson intervals, faces in brackets. Test faces of {posed_corpora(store)}; angles estimated from the "
        "landmarks."
    )
    show_chart(dot_plot(table, "head", "pose", title), table, f"poses-{model}", note, ends(table, ["head"]))


def show_confidence(store: Store, model: str) -> None:
    """For which kind of input the confidence holds."""
    kinds = confidence_rows(store, model)
    if not len(kinds):
        return
    st.subheader("Does the confidence hold?")
    for row in kinds[kinds["error"] > HOLDS].itertuples():
        way = "low" if row.accuracy > row.confidence else "high"
        told = f"{row.confidence:.1%} sure and {row.accuracy:.1%} right"
        st.markdown(f"For **{row.kind}** it does not: {told}, so it is too {way}.")
    named = kinds.assign(kind=[f"{r.kind} ({r.images:,})" for r in kinds.itertuples()])
    table = named.melt("kind", ["accuracy", "confidence"], "measure").replace({"confidence": "mean confidence"})
    bounds = [share_interval(row.accuracy, row.images) for row in kinds.itertuples()]
    unknown = [(float("nan"), float("nan"))] * len(kinds)  # of a mean of what the model says
    table[["low", "high"]] = [*bounds, *unknown]
    title = f"{model}: accuracy, mean confidence"
    note = (
        "Images in brackets; 95 % Wilson intervals of the accuracy. Where the mean confidence lies outside, the "
        "confidence does not hold."
    )
    figure = dot_plot(table, "kind", "measure", title)
    show_chart(figure, kinds, f"confidence-{model}", note, ends(table, ["kind", "measure"]))
    with st.expander("As a table"):
        percent = st.column_config.NumberColumn(format="percent")
        columns = dict.fromkeys(("accuracy", "confidence", "error", "best_error"), percent)
        st.dataframe(kinds, hide_index=True, column_config=columns, alt=title)
        st.caption(
            "temperature and best_error: what a further temperature of this kind's own would give, fitted on these "
            "very images, so a bound and no result."
        )
        download_table(kinds, f"confidence-table-{model}")


store = start_page(
    "As deployed",
    "Photo in, label out: the face is found, cropped and read. Aligned crops, which all benchmarks use, flatter every "
    "model by what the detector and its crops lose.",
)
tested = [c for c in DEPLOYED if len(deployed_table(store, c))]
stop_without(
    bool(tested),
    "No model went this way yet: `python -m training.measuring.evaluate --model gimefive --data DIR --full`.",
)
models = [m for m in order_models(store) if any(deployed_row(store, m, c) is not None for c in tested)]
with st.sidebar:
    corpus = choose_corpus(tested)
    model = choose("Model of the details", models, "model", FLAGSHIP)
show_way(store, corpus)
show_hard(store, model)
show_poses(store, model)
show_confidence(store, model)
