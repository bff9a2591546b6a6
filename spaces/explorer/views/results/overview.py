"""The headline figures, the flagship's weakest spots, and published figures beside ours."""

import streamlit as st
from parts.charts import cost_scatter, dot_plot
from parts.leaderboard import METRICS, cost_table, leaderboard, metric_table, spot_links
from parts.sentences import ends, value_text
from parts.store import choose, choose_model, download_table, show_chart, start_page

from evaluation.analyses.weak_spots import LEAST_IMAGES, weak_spots
from evaluation.corpora import title_of

COSTS = {"milliseconds a face": "milliseconds", "megabytes": "megabytes"}


store = start_page(
    "GiMeFive results",
    "Six facial expressions, every figure with its 95 % interval and its denominator. All of it is computed from "
    "predictions per image that stand in the repository.",
)
with st.sidebar:
    model = choose_model(store, cross=False)
    metric_name = choose("Metric", list(METRICS), "metric")
    metric = METRICS[metric_name]
    subset = choose("Test images", ["full", "leak-free"], "subset")

board = leaderboard(store)
st.subheader("Leaderboard")
number = st.column_config.NumberColumn
shares = [name for name in board if "accuracy" in name or "deployed" in name]
short = {f"{title_of('aggregate')} accuracy": "both", "RAF-DB as deployed": "deployed"}
labels = {name: short.get(name, name.removesuffix(" accuracy")) for name in shares}
formats = {name: number(labels[name], format="%.1f %%", width=90, help=name) for name in shares}
formats |= {"parameters": number(format="localized"), "milliseconds": number(format="%.1f")}
formats |= {"megabytes": number(format="%.1f")}
# Narrow enough that a phone shows the model and its first figure.
formats |= {"source": st.column_config.TextColumn("", width=30), "model": st.column_config.TextColumn(width=170)}
alt = ends(board.rename(columns={"RAF-DB accuracy": "value"}), ["model"], "Accuracy on RAF-DB of all models")
# Times 100, because the format "percent" writes 84 % beside 87.14 %.
shown = board.assign(**{name: 100 * board[name] for name in shares})
st.dataframe(shown, hide_index=True, column_config=formats, placeholder="–", alt=alt)
st.caption(
    "● measured here, on the official test splits, six classes, aligned crops; as deployed: RAF-DB's faces found again "
    "by our detector in a larger scene, a face not found counts as wrong. ◇ quoted: the paper's own figures, each of a "
    "network trained on that column's corpus and selected on RAF-DB test images. –: nobody has measured it. A click on "
    "a column sorts. Intervals stand in the charts."
)
download_table(board, "leaderboard")

costs = store.extras.get("cost")
if costs is not None:
    cost_name = st.segmented_control("Cost", list(COSTS), default="milliseconds a face", key="cost")
    cost = COSTS[cost_name or "milliseconds a face"]
    points = cost_table(store, costs).dropna(subset=[cost, "value"])
    if len(points):
        title = "what accuracy on RAF-DB costs"
        how = "; ".join(sorted(points["machine"].dropna().unique()))
        note = (
            f"95 % bootstrap intervals, {points['n'].max():,.0f} images (of fewer in a scene, where the data say so). "
            f"Processor time of one thread, one face, without finding it: {how}."
        )
        named = points[points["kind"] == "aligned crops"].sort_values(cost)
        finding = "; ".join(f"{r['model']} {value_text(r)} at {r[cost]:.3g}" for _, r in named.iterrows())
        finding = f"{cost_name}, of crops: {finding}."
        show_chart(cost_scatter(points, cost, cost_name or "", title), points, f"cost-{cost}", note, finding)

st.subheader(f"Where {model} is weakest")
facts = store.models[model]
spots, links = weak_spots(store, model), spot_links(store, model)
if spots:
    name, sentence = next(iter(spots.items()))
    st.error(f"**{name}:** {sentence} {links.get(name, '')}", icon=":material/error:")
    for name, sentence in list(spots.items())[1:]:
        st.markdown(f"- **{name}:** {sentence} {links.get(name, '')}")
    st.caption(f"Among classes with at least {LEAST_IMAGES} test images; 95 % bootstrap intervals.")
else:
    st.info(f"{model} has no aligned test results.")
st.caption(
    f"{facts.parameters:,} parameters, trained on {', '.join(map(title_of, facts.trained_on.split('+')))}, revision "
    f"{facts.revision}, scored {facts.date}."
)

st.subheader("Ours and published peers")
table = metric_table(store, metric, subset=subset)
if len(table):
    sizes = ", ".join(f"{name} {n:,}" for name, n in table.groupby("test split", sort=False)["n_total"].max().items())
    title = f"{metric_name}, six classes, {subset} test images"
    figure = dot_plot(table, "test split", "model", title)
    note = f"95 % bootstrap intervals. Images per test split: {sizes}. Seven-class peers are restricted to the six."
    show_chart(figure, table, f"overview-{metric}-{subset}", note, ends(table, ["model", "test split"]))
else:
    st.info(
        f"No model has figures for {subset} test images yet; evaluation/results/leaked_test_images.csv names the leaks."
    )
