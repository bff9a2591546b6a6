"""The timeline of a video: one row per analysed frame and person, as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..drawing.colors import EMOTION_COLORS, OTHER_COLOR
from ..tables import TableWriter
from .people import FrameResult

NO_FACE = "no face"
# Points per line of the picture; more cannot be told apart on a screen.
MAX_POINTS = 1500


def timeline_columns(emotions: Sequence[str], landmarks: bool = False) -> dict[str, type]:
    """
    Columns: frame and person are counted from 0 and 1; time in seconds; box and landmarks in pixels of the upright
    frame; scores raw under the expression's name, smoothed with `_smooth`; `error` says why a row has no scores.
    """
    columns: dict[str, type] = {"frame": int, "time": float, "person": int}
    columns |= dict.fromkeys(("x", "y", "width", "height", "detection_score"), float)
    columns |= dict.fromkeys(emotions, float)
    columns |= dict.fromkeys((f"{name}_smooth" for name in emotions), float)
    columns |= {"emotion": str, "confidence": float, "error": str}
    if landmarks:
        columns |= {f"{axis}{index}": float for index in range(68) for axis in ("landmark_x", "landmark_y")}
    return columns


class TimelineWriter:
    """Writes the rows as the results come, to a file that gets its name when it is whole."""

    def __init__(self, path: Path, emotions: Sequence[str], landmarks: bool = False):
        self._table = TableWriter(path, timeline_columns(emotions, landmarks))
        self.close, self.abort = self._table.close, self._table.abort

    def write(self, result: FrameResult) -> None:
        """The rows of a frame: its persons', or one that says that there is no face or that the frame is broken."""
        frame = result.frame
        if not result.analysed and frame.error is None:
            return
        base = {"frame": frame.index, "time": round(frame.time, 6)}
        for person in result.people:
            face = person.face
            row: dict[str, Any] = {**base, "person": person.number, "detection_score": face.detection_score}
            row |= dict(zip(("x", "y", "width", "height"), map(float, face.box), strict=True))
            row |= face.scores
            row |= {f"{name}_smooth": score for name, score in person.smoothed.items()}
            row |= {"emotion": person.emotion, "confidence": person.confidence}
            if face.landmarks is not None:
                for index, (x, y) in enumerate(face.landmarks.tolist()):
                    row[f"landmark_x{index}"], row[f"landmark_y{index}"] = x, y
            self._table.write(row)
        if not result.people:
            self._table.write({**base, "error": frame.error or NO_FACE})


def timeline_figure(table: "Any", emotions: Sequence[str]) -> "Any":
    """
    A plotly figure of the smoothed scores over time, one panel per person; raw scores are thin lines.

    Args:
        table: pandas frame with the columns of `timeline_columns`.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    seen = table.dropna(subset=["person"])
    people = sorted(seen["person"].unique())
    titles = [f"person {int(number)}" for number in people] or ["no face was found"]
    figure = make_subplots(rows=max(1, len(people)), cols=1, shared_xaxes=True, subplot_titles=titles)
    for row, number in enumerate(people, 1):
        lines = with_gaps(thin(seen[seen["person"] == number]))
        for name in emotions:
            color = f"rgb{EMOTION_COLORS.get(name, OTHER_COLOR)}"
            for column, width, opacity in ((name, 1, 0.3), (f"{name}_smooth", 2.5, 1.0)):
                line = go.Scatter(
                    x=lines["time"],
                    y=lines[column],
                    name=name,
                    legendgroup=name,
                    showlegend=row == 1 and column != name,
                    line={"color": color, "width": width},
                    opacity=opacity,
                    hoverinfo="skip" if column == name else "all",
                )
                figure.add_trace(line, row=row, col=1)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    figure.update_xaxes(title_text="time in s", row=max(1, len(people)))
    figure.update_layout(height=120 + 260 * max(1, len(people)), hovermode="x unified", template="plotly_white")
    return figure


def thin(table: "Any") -> "Any":
    """At most `MAX_POINTS` rows, each the mean of its neighbours."""
    import numpy as np

    if len(table) <= MAX_POINTS:
        return table
    return table.groupby(np.arange(len(table)) * MAX_POINTS // len(table)).mean(numeric_only=True)


def with_gaps(table: "Any") -> "Any":
    """An empty row wherever the person was out of sight for long, so that no line bridges it."""
    import pandas as pd

    step = table["time"].diff()
    gaps = table[step > max(1.0, 5 * step.median())].copy()
    gaps["time"] -= 1e-6
    gaps[[name for name in gaps.columns if name != "time"]] = None
    return pd.concat([table, gaps]).sort_values("time")
