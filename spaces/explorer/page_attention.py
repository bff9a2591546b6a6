"""Where the models look, and what the maps are worth."""

import streamlit as st
from explorer_charts import heat_map, interval_bars, lines
from explorer_store import choose, show_chart, start_page, stop_without, store_path

from gimefive_hf.result_queries import FLAGSHIP

store = start_page(
    "Attention",
    "Heat maps are measured before they are believed: a map is faithful if deleting what it marks destroys the score, "
    "and it says nothing of the model if an untrained network gives the same map.",
)
measured = store.extras.get("faithfulness")
shares = store.extras.get("attention")
stop_without(
    measured is not None or shares is not None,
    "Nothing has been measured yet: `python -m training.faithfulness --model gimefive --data DIR` and "
    "`python -m training.attention --model gimefive --data DIR`.",
)

st.subheader("What the methods are worth")
if measured is None:
    st.info("The store has no faithfulness.csv yet: `python -m training.faithfulness --model gimefive --data DIR`.")
else:
    with st.sidebar:
        model = choose("Model", sorted(measured["model"].unique()), "model", FLAGSHIP)
    part = measured[measured["model"] == model].sort_values("gap", ascending=False)
    bars = part[["method", "kind", "gap", "gap_low", "gap_high", "images", "verdict"]]
    bars = bars.rename(columns={"gap": "value", "gap_low": "low", "gap_high": "high", "images": "n"})
    figure = interval_bars(bars, "method", "kind", f"{model}: insertion − deletion, higher is more faithful")
    figure.update_yaxes(range=None, autorange=True)
    note = f"Mean over {bars['n'].max():,} test images, 95 % intervals. Baselines know nothing of the model."
    show_chart(figure, bars, f"faithfulness-{model}", note)
    st.dataframe(part[["method", "verdict"]], hide_index=True)
    curves = store.extras.get("faithfulness_curves")
    if curves is not None and (curves["model"] == model).any():
        with st.sidebar:
            kind = choose("Curve", sorted(curves["curve"].unique()), "curve")
        chosen = curves[(curves["model"] == model) & (curves["curve"] == kind)]
        chosen = chosen.rename(columns={"probability": "value"}).sort_values(["method", "fraction"])
        title = f"{model}: probability of the class during {kind}"
        note = f"Mean over {chosen['images'].max():,} test images, 95 % intervals."
        show_chart(lines(chosen, "fraction", "method", title, "probability"), chosen, f"{kind}-{model}", note)

st.subheader("Where the maps lie")
if shares is None:
    st.info("The store has no attention.csv yet: `python -m training.attention --model gimefive --data DIR`.")
    st.stop()
with st.sidebar:
    looked = choose("Model of the maps", sorted(shares["model"].unique()), "maps", FLAGSHIP)
    part = shares[shares["model"] == looked]
    corpus = choose("Test images of", sorted(part["corpus"].unique()), "corpus", "all")
part = part[part["corpus"] == corpus]
part = part.assign(
    text=[f"{100 * r.share:.0f} %<br>[{100 * r.share_low:.0f}, {100 * r.share_high:.0f}]" for r in part.itertuples()],
    row=[f"{r.emotion} ({r.images:,})" for r in part.itertuples()],
)
order, regions = list(dict.fromkeys(part["row"])), list(dict.fromkeys(part["region"]))
tables = [part.pivot(index="row", columns="region", values=name).loc[order, regions] for name in ("share", "text")]
methods = ", ".join(sorted(part["method"].unique()))
figure = heat_map(*tables, f"{looked}: share of the heat in each region ({methods})", "region", "emotion (images)", 0.6)
areas = ", ".join(f"{r} {100 * a:.0f} %" for r, a in part.groupby("region", sort=False)["area"].mean().items())
note = "Mean over the images in brackets, 95 % intervals. Share of the area, which chance would give: " + areas + "."
show_chart(figure, part.drop(columns=["text", "row"]), f"attention-{looked}-{corpus}", note)
picture = store_path() / f"attention_{looked}.png"
if picture.is_file():
    st.image(str(picture), caption=f"{looked}: average map of each emotion and corpus, faces laid over each other")
