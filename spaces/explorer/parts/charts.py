"""Charts as plotly figures from plain tables; values are shares in [0, 1], colours are safe for the colour-blind."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import get_colorscale
from plotly.subplots import make_subplots

from gimefive_hf.drawing.colors import EMOTION_COLORS, MODEL_COLORS

# Okabe and Ito (2008).
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#999999")
# Of a dot plot's rows: characters that stand beside their dots on a phone too.
LONGEST_BESIDE = 24
# More lines than these cannot be told apart.
MOST_LINES = 6
# A chart's width on a phone, in pixels.
PHONE = 330
# Of what must be seen on white and on black.
VISIBLE = "#888888"
# One colour per emotion and per model, on every page and in the demo.
OWN_COLORS = {name: f"rgb{color}" for name, color in (EMOTION_COLORS | MODEL_COLORS).items()}
# Streamlit's theme takes Inferno's first colour, #000004, for one of its own placeholders, #000001 to #000040, and
# replaces it.
INFERNO = [[share, color if share else "#010004"] for share, color in get_colorscale("Inferno")]
LAYOUT = {"margin": {"l": 10, "r": 10, "t": 40, "b": 10}, "legend": {"orientation": "h", "y": -0.2}}
# Of a heat map's cells, light enough for black text in both themes, and their hover text.
CELLS = [[0, "#F7FBFF"], [1, "#6BAED6"]]
CELL = "%{y} → %{x}<br>%{text}<extra></extra>"


def color_of(name: str, number: int) -> str:
    """An emotion's or a model's own colour, the same on every page; for anything else the `number`-th."""
    return OWN_COLORS.get(name, COLORS[number % len(COLORS)])


def error_bars(table: pd.DataFrame, axis: str, color: str | None = None) -> dict:
    """The plotly error bars of columns value, low, high; none where the interval is not known."""
    above, below = (table["high"] - table["value"]).clip(lower=0), (table["value"] - table["low"]).clip(lower=0)
    return {f"error_{axis}": {"type": "data", "array": above, "arrayminus": below, "thickness": 1.2, "color": color}}


def dot_plot(
    table: pd.DataFrame, y: str, group: str, title: str, quoted: list[str] | None = None, share: bool = True
) -> go.Figure:
    """
    A row per entry of `y`, a dot per group with its interval, from columns y, group, value, low, high and perhaps n.

    Groups in `quoted` are other people's figures: hollow. `share`: values are shares, else differences of shares. Where
    there is one group, emotions and models have their own colours.
    """
    groups, names = list(dict.fromkeys(table[group])), list(dict.fromkeys(table[y]))
    alone = len(groups) == 1
    beside = int(table.groupby(y)[group].nunique().max()) if names else 1  # dots of one row do not hide each other
    figure = go.Figure(layout=LAYOUT)
    for number, name in enumerate(groups):
        part = table[table[group] == name]
        color = color_of(str(name), number)
        colors = [OWN_COLORS.get(entry, color) for entry in part[y]] if alone else color
        hover = "%{y}: %{x:.1%}" if share else "%{y}: %{x:+.1%}"
        bars = "low" in part and part["low"].notna().any()
        if bars:
            hover += " [%{customdata[0]:.1%}, %{customdata[1]:.1%}]"
        figure.add_scatter(
            x=part["value"],
            y=part[y],
            mode="markers",
            orientation="h",
            offsetgroup=str(len(groups) - number),
            name=str(name),
            marker={"size": 10, "color": colors, "symbol": "diamond-open" if name in (quoted or []) else "circle"},
            customdata=np.stack([part["low"], part["high"]], 1) if "low" in part else None,
            hovertemplate=f"{hover}<extra>{name}</extra>",
            **(error_bars(part, "x", VISIBLE if alone else None) if bars else {}),
        )
    # Names that would take a phone's width stand above their dots, in a row that is as much higher.
    long = max(map(len, map(str, names)), default=0) > LONGEST_BESIDE
    row = max(30, 11 * beside + 8) + 16 * long
    # Each name of the legend may take a line of its own on a phone.
    figure.update_layout(title=title, height=130 + row * len(names) + 14 * len(groups), showlegend=not alone)
    figure.update_layout(legend_y=-55 / (row * len(names) + 60))
    if beside > 1:
        figure.update_layout(scattermode="group", scattergap=0.3 + 0.3 * long)
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4])
    if long:
        figure.update_yaxes(showticklabels=False)
        for name in names:
            place = {"x": 0, "xref": "paper", "xanchor": "left", "y": name, "yshift": 3 * beside + 11}
            figure.add_annotation(text=name, showarrow=False, font_size=11, **place)
    ends = table[[name for name in ("value", "low", "high") if name in table]].astype(float)
    low, high = ends.min().min(), ends.max().max()
    margin = 0.04 * (high - low) or 0.05
    figure.update_xaxes(range=[low - margin, high + margin], tickformat=".0%" if share else "+.0%", zeroline=not share)
    return figure


def heat_map(values: pd.DataFrame, texts: pd.DataFrame, title: str, x: str, y: str, high: float = 1.0) -> go.Figure:
    """A table as coloured cells with text in them; empty cells stay empty."""
    figure = go.Figure(
        go.Heatmap(
            z=values.to_numpy(float),
            x=list(values.columns),
            y=list(values.index),
            text=texts.to_numpy(),
            texttemplate="%{text}",
            hovertemplate=CELL,
            colorscale=CELLS,
            textfont={"color": "#000000"},
            zmin=0,
            zmax=high,
            showscale=False,
            xgap=2,
            ygap=2,
        ),
        layout=LAYOUT,
    )
    # The axes' names stand in the title: beside the labels there is no room for them on a phone.
    title = f"{title}<br><sup>rows: {y}; columns: {x}</sup>"
    figure.update_layout(
        title={"text": title, "yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 16}},
        height=170 + 52 * len(values),
    )
    figure.update_layout(margin_t=120)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(side="top")
    return figure


def reliability_diagram(table: pd.DataFrame, title: str) -> go.Figure:
    """Columns confidence, value, low, high, n of the bins that have images, against the diagonal."""
    figure = go.Figure(layout=LAYOUT)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#999999"}, name="calibrated")
    figure.add_scatter(
        x=table["confidence"],
        y=table["value"],
        mode="markers+text",  # no line: a bin of three images would drag it
        text=table["n"].map("{:,}".format),
        # the last bin's stands where a narrow chart still has room
        textposition=["bottom right"] * (len(table) - 1) + ["bottom left"],
        marker={"size": 6 + 18 * np.sqrt(table["n"] / table["n"].max()), "color": COLORS[0]},
        customdata=table["n"],
        hovertemplate="confidence %{x:.2f}: %{y:.1%} right of %{customdata:,}<extra></extra>",
        name="bins, larger for more images",
        **error_bars(table, "y"),
    )
    figure.update_layout(title=title, xaxis_title="mean confidence of the bin", yaxis_title="share right")
    lowest = float(table["confidence"].min()) - 0.03
    figure.update_xaxes(range=[lowest, 1.04], tickformat=".0%")
    figure.update_yaxes(range=[min(lowest, float(table["low"].min())) - 0.02, 1.04], tickformat=".0%")
    return figure


def risk_coverage(table: pd.DataFrame, chosen: float | None, title: str) -> go.Figure:
    """Columns "share answered" and "accuracy of answers" per threshold; a star at the model's own threshold."""
    figure = go.Figure(layout=LAYOUT)
    risk = 1 - table["accuracy of answers"]
    figure.add_scatter(
        x=table["share answered"],
        y=risk,
        mode="lines",
        line={"color": COLORS[0]},
        customdata=table["threshold"],
        hovertemplate="threshold %{customdata:.2f}: %{x:.1%} answered, %{y:.1%} of them wrong<extra></extra>",
        name="every threshold",
    )
    if chosen:
        at = (table["threshold"] - chosen).abs().idxmin()
        figure.add_scatter(
            x=[table["share answered"][at]],
            y=[risk[at]],
            mode="markers",
            marker={"symbol": "star", "size": 16, "color": COLORS[3]},
            name=f"the model's own threshold, {chosen:.2f}",
        )
    figure.update_layout(title=title, xaxis_title="share answered", yaxis_title="share of answers that is wrong")
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def lines(
    table: pd.DataFrame, x: str, group: str, title: str, y: str, share: bool = True, first: list[str] | None = None
) -> go.Figure:
    """
    One line per group with intervals, if columns low and high are there, from columns x, group, value.

    `first`: the groups that are shown before a reader asks for more; those that end lowest, if it is not given.
    """
    ends = table.groupby(group, sort=False)["value"].last()
    shown = first or ends.nsmallest(MOST_LINES).index.tolist()
    figure = go.Figure(layout=LAYOUT | {"height": 430 + 12 * len(ends)})  # on a phone each name takes a line
    for number, (name, part) in enumerate(table.groupby(group, sort=False)):
        bars = error_bars(part, "y") if "low" in part else {}
        color = color_of(str(name), number)
        dash = "solid" if number < len(COLORS) else "dash"
        line = {"color": color, "dash": dash}
        hover = f"{name}, {x} %{{x}}: %{{y:.1%}}" if share else f"{name}, {x} %{{x}}: %{{y:.3g}}"
        if "n" in part:
            hover += " of %{customdata:,}"
        figure.add_scatter(
            x=part[x],
            y=part["value"],
            mode="lines+markers",
            name=str(name),
            line=line,
            customdata=part.get("n"),
            hovertemplate=f"{hover}<extra></extra>",
            visible=True if name in shown else "legendonly",
            **bars,
        )
    if len(ends) > len(shown):
        which = "" if first else " that end lowest"
        title += f"<br><sup>{len(shown)} of {len(ends)}{which}; the others by a click on their names</sup>"
    figure.update_layout(title=title, xaxis_title=x, yaxis_title=y)
    if pd.api.types.is_integer_dtype(table[x]) and table[x].nunique() < 10:
        figure.update_xaxes(tickvals=sorted(table[x].unique()))
    if share:
        low, high = (table[name if name in table else "value"] for name in ("low", "high"))
        figure.update_yaxes(tickformat=".0%", range=[max(0, low.min() - 0.03), min(1.02, high.max() + 0.03)])
    return figure


def face_maps(
    maps: dict[str, np.ndarray],
    titles: list[str],
    outline: np.ndarray,
    title: str,
    signed: tuple[str, ...] = (),
    columns: int = 6,
) -> go.Figure:
    """
    Rows of average heat maps with the outline of the mean face, `columns` in each; fewer where the page is narrow.

    Args:
        maps: name of the row → (len(titles), side, side), NaN where there is none; in [0, 1], in the rows `signed`
            differences in [-1, 1].
        titles: of the maps of a row.
        outline: (68, 2) landmarks in pixels of the maps.
    """
    each = -(-len(titles) // columns)  # rows of each name
    rows = each * len(maps)
    heads = [*titles, *[""] * (each * columns - len(titles))]
    side, gap = (860 if columns > 3 else PHONE) / columns, 24 if each > 1 else 6  # no gaps between square maps
    figure = make_subplots(
        rows,
        columns,
        row_titles=[name for name in maps for _ in range(each)],
        subplot_titles=heads * (len(maps) if each > 1 else 1),
        vertical_spacing=gap / (rows * (side + gap)),
        horizontal_spacing=0.02,
    )
    for number, (name, faces) in enumerate(maps.items()):
        scale = {"colorscale": "RdBu_r", "zmid": 0} if name in signed else {"colorscale": INFERNO, "zmin": 0}
        scale |= {"zmax": float(np.nanmax(np.abs(faces)))} if np.isfinite(faces).any() else {}
        points = {"size": 2, "color": "#444444" if name in signed else "#FFFFFF"}
        for at, face in enumerate(faces):
            place = {"row": number * each + at // columns + 1, "col": at % columns + 1}
            # Every second pixel: the maps come from a grid of 7×7, so nothing is lost, and the page is light.
            z, hover = np.round(face[::2, ::2], 3), f"{name}: %{{z:.2f}}<extra></extra>"
            figure.add_heatmap(z=z, dx=2, dy=2, showscale=False, hovertemplate=hover, **place, **scale)
            x, y = outline.T
            figure.add_scatter(x=x, y=y, mode="markers", marker=points, hoverinfo="skip", **place)
    height = round(90 + rows * (side + gap))
    figure.update_layout(LAYOUT, title=title, height=height, showlegend=False, margin_t=80)
    figure.update_annotations(font_size=13)
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for axis in figure.select_yaxes():  # square, however wide the page is
        axis.scaleanchor = axis.anchor
    return figure


# Of the kinds of points in the scatter of costs: what has a name beside it, and the mark.
KINDS = {
    "aligned crops": ("markers+text", "circle"),
    "as deployed: photo in": ("markers", "square-open"),
    "a network of the paper's table, trained anew": ("markers", "circle-open"),  # too close for names
}


def cost_scatter(table: pd.DataFrame, x: str, x_title: str, title: str) -> go.Figure:
    """Accuracy against a cost, logarithmic, from columns model, x, value, low, high, kind (of `KINDS`)."""
    figure = go.Figure(layout=LAYOUT)
    for kind, part in table.groupby("kind", sort=False):
        mode, symbol = KINDS[str(kind)]
        figure.add_scatter(
            x=part[x],
            y=part["value"],
            mode=mode,
            text=part["model"],
            textposition=[
                "bottom right"
                if ((part["value"] > row.value) & part[x].between(0.8 * cost, 1.2 * cost)).any()
                else "top right"
                for row, cost in zip(part.itertuples(), part[x], strict=True)
            ],  # below a point that is right above it
            name=str(kind),
            marker={"size": 11, "color": [color_of(name, 7) for name in part["model"]], "symbol": symbol},
            opacity=1 if "text" in mode else 0.6,  # what the figure is about stands before the rest
            hovertemplate=f"%{{text}}, {kind}: %{{y:.1%}} at %{{x:.3g}}<extra></extra>",
            **error_bars(part, "y", VISIBLE),
        )
    figure.update_layout(title=title, xaxis_title=x_title, yaxis_title="accuracy")
    figure.update_xaxes(type="log", tickvals=[n * 10**e for e in range(4) for n in (1, 2, 5)])
    figure.update_yaxes(tickformat=".0%")
    return figure
