"""What happened in a clip: in words, and as lines that follow the playback."""

import html
from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
import pandas as pd
from stage import color_of
from words import percent

from gimefive_hf.recognizer import NO_CLEAR_EMOTION

# A name that holds for less is no change.
SHORTEST = 0.3
WIDTH, HEIGHT, MAX_POINTS = 1000, 170, 400


def name_unclear(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The timeline with "no clear emotion" where the highest smoothed score is under `threshold`."""
    named = table["emotion"].where(~(table["confidence"] < threshold), NO_CLEAR_EMOTION)
    return table.assign(emotion=named)


def story(rows: pd.DataFrame) -> str:
    """One person in a sentence: "happiness 40 % of the time, surprise 20 %; 3 changes"."""
    times, names = rows["time"].to_numpy(), rows["emotion"].to_numpy()
    shares = rows["emotion"].value_counts(normalize=True)
    parts = [f"{name} {percent(share)}" for name, share in shares.items() if share >= 0.02]
    parts[0] += " of the time"
    runs = [list(run) for _, run in groupby(range(len(names)), key=lambda index: names[index])]
    lasting = [names[run[0]] for run in runs if times[run[-1]] - times[run[0]] >= SHORTEST]
    changes = sum(one != other for one, other in pairwise(lasting))
    count = {0: "no change", 1: "one change"}.get(changes, f"{changes} changes")
    return f"{', '.join(parts)}; {count}"


def lasting_people(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows of each person who was seen for a while; of all, if nobody was. What flashes up in a frame is no person."""
    people = [rows for _, rows in table.dropna(subset=["person"]).groupby("person")]
    lasting = [rows for rows in people if rows["time"].max() - rows["time"].min() >= SHORTEST]
    return lasting or people


def story_html(table: pd.DataFrame, emotions: Sequence[str]) -> str:
    """A sentence and a chart for each person. The page's script moves the playhead and seeks on a click."""
    people = lasting_people(table)
    if not people:
        return ""
    end = max(float(table["time"].max()), 0.1)
    rows = []
    for number, person in enumerate(people, 1):
        name = f"Person {number}: " if len(people) > 1 else ""
        sentence = html.escape(name + story(person)).replace(" %", "&nbsp;%")
        rows.append(f'<p class="person">{sentence}</p>{chart_svg(person, emotions, end, sentence)}')
    hint = "Thick: smoothed; thin: each frame. Click a moment to see it."
    return f'<div class="story">{"".join(rows)}{legend_html(emotions)}<p class="hint">{hint}</p></div>'


def legend_html(emotions: Sequence[str]) -> str:
    names = "".join(f'<li style="--c:{color_of(name)}"><i></i>{html.escape(name)}</li>' for name in emotions)
    return f'<ul class="legend">{names}</ul>'


def chart_svg(rows: pd.DataFrame, emotions: Sequence[str], end: float, description: str) -> str:
    """Lines over time, (0, 1) from bottom to top; broken where the person was out of sight for a second."""
    rows = rows.iloc[:: max(1, len(rows) // MAX_POINTS)]
    times = rows["time"].to_numpy()
    lines = []
    for name in emotions:
        for column, kind in ((name, "raw"), (f"{name}_smooth", "even")):
            path = path_of(times, rows[column].to_numpy(float), end)
            lines.append(f'<path class="{kind}" style="--c:{color_of(name)}" d="{path}"/>')
    ticks = "".join(
        f'<span style="left:{100 * t / end:.1f}%">{t:g} s</span>' for t in np.arange(0, 0.98 * end, nice_step(end))
    )
    lines.append(f'<line class="playhead" x1="0" x2="0" y1="-6" y2="{HEIGHT}"/>')
    chart = svg("".join(lines), f"Scores over time. {description}", "", f'data-end="{end:.3f}"')
    return f'{chart}<div class="ticks" aria-hidden="true">{ticks}</div>'


def svg(lines: str, description: str, element_id: str, more: str = "") -> str:
    """The field of a chart, whose lines `path_of` has made."""
    return (
        f'<svg id="{element_id}" class="chart" {more} viewBox="0 -6 {WIDTH} {HEIGHT + 8}" role="img" '
        f'preserveAspectRatio="none" aria-label="{description}">'
        f'<rect class="field" width="{WIDTH}" height="{HEIGHT}"/>{lines}</svg>'
    )


def path_of(times: Sequence[float], values: Sequence[float], end: float, gap: float = 1) -> str:
    """A line over the seconds from 0 to `end`, broken where longer than `gap` nothing is known."""
    parts = []
    for index, (time, value) in enumerate(zip(times, values, strict=True)):
        letter = "M" if index == 0 or time - times[index - 1] > gap else "L"
        parts.append(f"{letter}{WIDTH * time / end:.1f},{HEIGHT * (1 - value):.1f}")
    return "".join(parts)


def nice_step(end: float) -> float:
    """Seconds between the ticks."""
    return next((step for step in (0.5, 1, 2, 5, 10) if end / step <= 8), 30)
