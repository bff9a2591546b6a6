"""Where the models look, and what the maps are worth."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from parts.charts import MOST_LINES, dot_plot, face_maps, heat_map, lines
from parts.sentences import ends
from parts.store import choose, show_chart, start_page, stop_without, store_path

from evaluation.analyses.average_maps import likeness_sentence, likeness_table, mean_maps
from evaluation.corpora import title_of
from evaluation.queries import CROSS_TRAINED, FLAGSHIP
from evaluation.store import read_arrays
from gimefive_hf.emotions import EMOTIONS

COLUMNS = {"wide": 6, "narrow": 3}  # of the maps
store = start_page(
    "Attention",
    "Heat maps are measured before they are believed: a map is faithful if deleting what it marks destroys the score, "
    "and it says nothing of the model if an untrained network gives the same map.",
)
measured = store.extras.get("faithfulness")
shares = store.extras.get("attention")
stop_without(
    measured is not None or shares is not None,
    "Nothing has been measured yet: `python -m training.measuring.faithfulness --model gimefive --data DIR` and "
    "`python -m training.measuring.attention --model gimefive --data DIR`.",
)

st.subheader("What the methods are worth")
if measured is None:
    st.info("No faithfulness.csv here yet: `python -m training.measuring.faithfulness --model gimefive --data DIR`.")
else:
    with st.sidebar:
        model = choose("Model", sorted(measured["model"].unique()), "model", FLAGSHIP)
    part = measured[measured["model"] == model].sort_values("gap", ascending=False)
    bars = part[["method", "kind", "gap", "gap_low", "gap_high", "images", "verdict"]]
    bars = bars.rename(columns={"gap": "value", "gap_low": "low", "gap_high": "high", "images": "n"})
    title = f"{model}: insertion − deletion, higher is more faithful"
    figure = dot_plot(bars, "method", "kind", title)
    note = f"Mean over {bars['n'].max():,} test images, 95 % intervals. Baselines know nothing of the model."
    show_chart(figure, bars, f"faithfulness-{model}", note, ends(bars, ["method"]))
    with st.expander("What each method is worth, in words", expanded=True):
        st.markdown("\n".join(f"- **{row.method}**: {row.verdict}" for row in part.itertuples()))
    curves = store.extras.get("faithfulness_curves")
    if curves is not None and (curves["model"] == model).any():
        with st.sidebar:
            kind = choose("Curve", sorted(curves["curve"].unique()), "curve")
        chosen = curves[(curves["model"] == model) & (curves["curve"] == kind)]
        chosen = chosen.rename(columns={"probability": "value", "images": "n"}).sort_values(["method", "fraction"])
        title = f"{model}: probability of the class during {kind}"
        note = f"Mean over {chosen['n'].max():,} test images, 95 % intervals."
        halfway = chosen[chosen["fraction"].sub(0.5).abs() == chosen["fraction"].sub(0.5).abs().min()]
        best = part["method"].head(MOST_LINES).tolist()  # by what the table above says
        figure = lines(chosen, "fraction", "method", title, "probability", first=best)
        show_chart(figure, chosen, f"{kind}-{model}", note, ends(halfway, ["method"], "halfway"))

st.subheader("Where the maps lie")
if shares is None:
    st.info("The store has no attention.csv yet: `python -m training.measuring.attention --model gimefive --data DIR`.")
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
alt = ends(part.rename(columns={"share": "value"})[["row", "region", "value"]], ["row", "region"])
data = part.drop(columns=["text", "row"])
with st.container(key="wide-shares"):
    show_chart(figure, data, f"attention-{looked}-{corpus}", note, alt)
with st.container(key="narrow-shares"):  # where the cells would be too small to read
    columns = {"share": "value", "share_low": "low", "share_high": "high"}
    points = part.rename(columns=columns)[["row", "region", "value", "low", "high"]]
    figure = dot_plot(points, "row", "region", f"{looked}: share of the heat in each region ({methods})")
    show_chart(figure, data, f"attention-{looked}-{corpus}-narrow", note, alt)

st.subheader("Average maps")


def title_of_training(name: str) -> str:
    """What a network was trained on, in a word or two."""
    corpora = store.models[name].trained_on.split("+")
    return title_of(corpora[0]) if len(corpora) == 1 else f"{len(corpora)} corpora"


@st.cache_data(show_spinner=False)
def cached_arrays(path: str, changed: int) -> dict[str, np.ndarray]:
    return read_arrays(Path(path))


def average_maps(name: str) -> dict[str, np.ndarray] | None:
    """The arrays of `training.measuring.attention`; None, and a word about it, if they cannot be read."""
    path = store_path() / f"attention_{name}.npz"
    try:
        return cached_arrays(str(path), path.stat().st_mtime_ns if path.is_file() else 0)
    except ValueError as error:
        st.info(
            f"No average maps of {name}: {error}. `python -m training.measuring.attention --model {name} --data DIR`"
        )
        return None


with st.sidebar:
    others = [name for name in sorted(shares["model"].unique()) if name != looked]
    other = choose("Compare the maps with", ["–", *others], "other") if others else "–"
found = {name: average_maps(name) for name in (looked, other) if name != "–"}
found = {name: arrays for name, arrays in found.items() if arrays is not None}
stop_without(looked in found, "")
shared = [c for c in found[looked]["corpora"].tolist() if all(c in a["corpora"].tolist() for a in found.values())]
chosen = shared if corpus == "all" else [name for name in shared if name == corpus]
stop_without(bool(chosen), "The models' maps were measured on different corpora.")
maps, notes, signed = {}, [], ()
for name, arrays in found.items():
    maps[name], total = mean_maps(arrays, chosen)
    notes.append(f"{name}: " + ", ".join(f"{e} {n:,}" for e, n in zip(EMOTIONS, total, strict=True)))
if len(found) == 2:
    maps["difference"], signed = maps[looked] - maps[other], ("difference",)
title = "average map of each emotion, on " + ", ".join(title_of(name) for name in chosen)
places = pd.MultiIndex.from_product(
    [range(side) for side in next(iter(maps.values())).shape[1:]], names=["row", "column"]
)
flat = pd.concat(
    {name: pd.DataFrame(m.reshape(6, -1).T, places, list(EMOTIONS)) for name, m in maps.items()}, names=["model"]
)
note = "Faces laid over each other by eyes and mouth; dots: the mean face. Images with landmarks: " + "; ".join(notes)
note += ". In the difference red is more heat for the first model. Intervals stand at the region shares above."
most = (
    part[(part["region"] != "background") & (part["emotion"] != "all")].sort_values("share").groupby("emotion").tail(1)
)
alt = "Most heat: " + "; ".join(f"{r.emotion} {r.region} {r.share:.0%}" for r in most.itertuples()) + "."
for width in COLUMNS:
    with st.container(key=f"{width}-maps"):
        landmarks = found[looked]["landmarks"]
        figure = face_maps(maps, list(EMOTIONS), landmarks, title, signed, columns=COLUMNS[width])
        show_chart(figure, flat.reset_index(), f"average-maps-{'-'.join(found)}-{corpus}-{width}", note, alt)


st.subheader("Do models of other corpora look elsewhere?")
known = {name: average_maps(name) for name in sorted(shares["model"].unique()) if name.startswith(CROSS_TRAINED)}
means = {
    title_of_training(name): mean_maps(arrays, chosen)
    for name, arrays in known.items()
    if arrays is not None and name in store.models and set(chosen) <= set(arrays["corpora"].tolist())
}
alike = likeness_table(means)
stop_without(len(alike) > 0, "There are no two networks whose training corpora alone differ and whose maps are known.")
told = likeness_sentence(alike)
st.markdown("Networks of one architecture, from the same weights, trained for as many steps on one corpus or another.")
title = "trained on one corpus or another: average map of each emotion, on " + ", ".join(title_of(c) for c in chosen)
images = "; ".join(f"{name} {total.sum():,}" for name, (_, total) in means.items())
note = (
    f"The same test images for all, so far as they have landmarks: {images}. Trained as for the cross-dataset table. "
    "Networks that see 64 px weigh few places in their last layer, so these maps are coarse. The data are the "
    "correlations."
)
maps = {name: mean for name, (mean, _) in means.items()}
for width in COLUMNS:
    with st.container(key=f"{width}-trained-maps"):
        figure = face_maps(maps, list(EMOTIONS), landmarks, title, columns=COLUMNS[width])
        show_chart(figure, alike, f"maps-alike-{corpus}-{width}", note, told)
