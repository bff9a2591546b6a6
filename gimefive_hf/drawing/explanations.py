"""Pictures of explanations, for people: original, heat map and overlay; all classes of a face; grids; curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .marks import overlay_heat

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEFAULT_COLOR_MAP = "inferno"


@dataclass(frozen=True)
class Explained:
    """
    One face and the maps of one or more classes, to be drawn.

    Attributes:
        crop: uint8 RGB (height, width, 3).
        heat: float (classes, H, W) in [0, 1].
        emotions, scores: name and probability of each class.
        landmarks: float (68, 2) in pixels of the crop, or None for none.
        reason: a sentence under the picture, or "".
        title: what the face is called, or "".
    """

    crop: NDArray[np.uint8]
    heat: NDArray[np.float32]
    emotions: Sequence[str]
    scores: Sequence[float]
    landmarks: NDArray[np.float32] | None = None
    reason: str = ""
    title: str = ""


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure in inches. Not by pyplot, which keeps every figure alive and is not safe with threads."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def figure_pixels(figure: "Figure", dpi: int = 110) -> NDArray[np.uint8]:
    """uint8 RGB (height, width, 3)."""
    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])


def save_picture(picture: NDArray[np.uint8], path: str | Path) -> None:
    """Write uint8 RGB as the format that the name's ending says. Raises ValueError, naming the file, if it cannot."""
    from PIL import Image

    try:
        Image.fromarray(picture).save(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"{error.__class__.__name__}; try a .png"
        raise ValueError(f"{Path(path).name} cannot be written: {reason}") from None


def show(axes: "Axes", picture: NDArray, title: str = "", **options):
    """An image without axes; gives matplotlib's image."""
    axes.set_axis_off()
    axes.set_title(title or " ", fontsize=9)  # a blank keeps pictures in a row level
    image = axes.imshow(picture, interpolation="bilinear", **options)
    axes.autoscale(False)  # landmarks beyond the border don't widen it
    return image


def say_if_empty(axes: "Axes", heat: NDArray[np.float32]) -> None:
    """A map without any heat is an answer too: nothing in the picture speaks for the class."""
    if not heat.max() > 0:
        axes.text(0.5, 0.03, "nothing speaks for it", transform=axes.transAxes, ha="center", fontsize=7, color="white")


def draw_panels(faces: Sequence[Explained], method: str, color_map: str = DEFAULT_COLOR_MAP) -> NDArray[np.uint8]:
    """
    Original, heat map with its colour bar, and overlay side by side; one row per face and class.

    Returns:
        uint8 RGB (height, width, 3).

    Raises:
        ValueError: if there is no face.
    """
    rows = [(face, index) for face in faces for index in range(len(face.emotions))]
    if not rows:
        raise ValueError("no face to draw")
    figure = new_figure(7.6, 2.75 * len(rows))
    for part, (face, index) in zip(np.ravel(figure.subfigures(len(rows), 1)), rows, strict=True):
        original, heat, mixed = part.subplots(1, 3)
        show(original, face.crop, face.title)
        image = show(heat, face.heat[index], method, cmap=color_map, vmin=0, vmax=1)
        say_if_empty(heat, face.heat[index])
        part.colorbar(image, ax=heat, shrink=0.8, ticks=[0, 0.5, 1])
        title = f"{face.emotions[index]} {face.scores[index]:.2f}"
        show(mixed, overlay_heat(face.crop, face.heat[index], name=color_map), title)
        if face.landmarks is not None:
            for axes in (original, mixed):
                axes.plot(*face.landmarks.T, ".", color="white", markeredgecolor="black", markersize=3, mew=0.3)
        if face.reason:
            part.supxlabel(face.reason, fontsize=9)
    return figure_pixels(figure)


def draw_contact_sheet(
    faces: Sequence[Explained], method: str, color_map: str = DEFAULT_COLOR_MAP
) -> NDArray[np.uint8]:
    """
    One row per face: the original, then the overlay of each class with its score, as in the paper's figure.

    All faces must have the same classes. Each map is scaled by itself: compare places, not brightness.
    """
    if not faces:
        raise ValueError("no face to draw")
    columns = len(faces[0].emotions) + 1
    figure = new_figure(1.55 * columns + 0.5, 1.9 * len(faces) + 0.45)
    grid = figure.subplots(len(faces), columns, squeeze=False)
    image = None
    for row, face in zip(grid, faces, strict=True):
        show(row[0], face.crop, face.title)
        winner = int(np.argmax(face.scores))
        for index, axes in enumerate(row[1:]):
            image = show(
                axes, overlay_heat(face.crop, face.heat[index], name=color_map), cmap=color_map, vmin=0, vmax=1
            )
            say_if_empty(axes, face.heat[index])
            weight = "bold" if index == winner else "normal"
            axes.set_title(f"{face.emotions[index]} {face.scores[index]:.2f}", fontsize=9, fontweight=weight)
            if face.landmarks is not None:
                axes.plot(*face.landmarks.T, ".", color="white", markersize=1.5)
    figure.colorbar(image, ax=grid, shrink=0.7, ticks=[0, 0.5, 1])
    figure.suptitle(f"{method}, each map scaled by itself", fontsize=9)
    return figure_pixels(figure)


def draw_feature_grid(
    maps: NDArray[np.float32], title: str = "", most: int = 64, color_map: str = DEFAULT_COLOR_MAP
) -> NDArray[np.uint8]:
    """
    Feature maps (channels, h, w) of one image as a grid, each scaled by itself; the `most` strongest in their order.

    Raises:
        ValueError: for another shape.
    """
    if maps.ndim != 3 or not len(maps):
        raise ValueError(f"expected feature maps (channels, h, w); got {maps.shape}")
    kept = np.sort(np.argsort(-np.abs(maps).mean((1, 2)), kind="stable")[:most])
    columns = int(np.ceil(len(kept) ** 0.5))
    rows = int(np.ceil(len(kept) / columns))
    figure = new_figure(columns + 0.2, rows * 1.12 + 0.5)
    for axes, channel in zip(figure.subplots(rows, columns, squeeze=False).flat, kept, strict=False):
        axes.imshow(maps[channel], cmap=color_map)
        axes.set_title(f"{channel}", fontsize=6, pad=1)
    for axes in figure.axes:
        axes.set_axis_off()
    figure.suptitle(f"{title} {len(kept)} of {len(maps)} channels".strip(), fontsize=9)
    return figure_pixels(figure)


def draw_average_maps(
    maps: NDArray[np.float32],
    rows: Sequence[str],
    columns: Sequence[str],
    counts: NDArray[np.int64],
    title: str = "",
    landmarks: NDArray[np.float32] | None = None,
    color_map: str = DEFAULT_COLOR_MAP,
) -> NDArray[np.uint8]:
    """
    A grid of average maps with a colour bar for each row.

    Args:
        maps: float (rows, columns, H, W). A row with a negative value holds differences and gets a diverging colour
            map. NaN where there was no image.
        counts: int (rows, columns), the images behind each map, written above it.
        landmarks: float (68, 2) of the mean face in pixels of the maps, to be drawn as dots.
    """
    figure = new_figure(1.35 * len(columns) + 1.2, 1.62 * len(rows) + 0.5)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for r, row in enumerate(rows):
        options: dict = {"cmap": color_map, "vmin": 0, "vmax": float(np.nanmax(maps[r]))}
        differences = bool(np.nanmin(maps[r]) < 0)
        if differences:
            limit = float(np.nanmax(np.abs(maps[r])))
            options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        image = None
        for c, column in enumerate(columns):
            axes = grid[r, c]
            image = show(axes, maps[r, c], **options)
            axes.set_title(f"{column}, n = {counts[r, c]}" if r == 0 else f"n = {counts[r, c]}", fontsize=8)
            if landmarks is not None:
                axes.plot(*landmarks.T, ".", color="black" if differences else "white", markersize=1, alpha=0.8)
        grid[r, 0].text(
            -0.08, 0.5, row, rotation=90, ha="right", va="center", transform=grid[r, 0].transAxes, fontsize=9
        )
        figure.colorbar(image, ax=grid[r], shrink=0.85)
    figure.suptitle(title, fontsize=10)
    return figure_pixels(figure)
