"""Pictures and tables of a saliency volume alone, without its video: for notebooks and further analysis."""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import asdict
from html import escape
from typing import Any, Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from attrib.errors import InputError

MOST_FRAMES, COLUMNS = 32, 8  # in a figure
WIDTH, DPI = 10.0, 100  # inches
CELL = WIDTH / COLUMNS


class _Slices(Protocol):
    """Values (t, h, w) at times (t,) in seconds, and a dataclass that says where they come from: a SaliencyVolume."""

    @property
    def values(self) -> NDArray[np.float32]: ...
    @property
    def times(self) -> NDArray[np.float64]: ...
    @property
    def provenance(self) -> Any: ...


class NotebookFigure(Figure):
    """Figure that a notebook shows once, whether or not pyplot was imported there."""

    def _repr_png_(self) -> bytes:
        with io.BytesIO() as file:
            self.savefig(file, format="png", dpi=DPI)
            return file.getvalue()


def plot(volume: _Slices) -> Figure:
    """Draw the slices with their times and one colour scale for all, and the mean saliency over time below.

    Of more than 32 slices, 32 are drawn, evenly spread.
    """
    count = len(volume.times)
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int))
    columns = min(len(shown), COLUMNS)
    rows = math.ceil(len(shown) / columns)
    height = CELL * volume.values.shape[1] / volume.values.shape[2] + 0.25
    figure = NotebookFigure(figsize=(WIDTH, rows * min(height, 3.0) + 1.9), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(2, 1, height_ratios=[rows * min(height, 3.0) + 0.4, 1.5])
    upper, lower = parts
    limit, least = float(np.abs(volume.values).max()) or 1.0, float(volume.values.min())
    style = (
        {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if least < 0 else {"cmap": "magma", "vmin": 0, "vmax": limit}
    )
    grid = upper.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, index in zip(grid, shown, strict=False):
        image = axes.imshow(volume.values[index], extent=(0, 1, 1, 0), aspect="auto", interpolation="nearest", **style)
        axes.set_title(f"{volume.times[index]:.2f} s", size=8)
    upper.colorbar(image, ax=list(grid), shrink=0.9, pad=0.01)
    part = "" if len(shown) == count else f"  ({len(shown)} of {count} frames)"
    figure.suptitle(f"{_name(volume)}{part}", size=11, parse_math=False)
    axes = lower.subplots()
    axes.plot(volume.times, volume.values.mean(axis=(1, 2)), marker=".", color="#dd8500")
    axes.set(xlabel="time (s)", ylabel="mean saliency")
    axes.axhline(0, color="#5c606b", lw=0.5)
    return figure


def to_xarray(volume: _Slices) -> Any:
    """Return an xarray.DataArray (time, y, x): seconds, and cell centres in shares of the picture from the top left.

    Its attributes are the provenance. Raises InputError without xarray.
    """
    try:
        import xarray
    except ImportError:
        raise InputError("to_xarray needs xarray, which is not installed: pip install xarray") from None
    _, rows, columns = volume.values.shape
    places = {"y": (np.arange(rows) + 0.5) / rows, "x": (np.arange(columns) + 0.5) / columns}
    known = {name: value for name, value in asdict(volume.provenance).items() if value not in (None, "", {})}
    attributes = {
        name: json.dumps(value, default=str) if isinstance(value, dict) else value for name, value in known.items()
    }
    array = xarray.DataArray(
        volume.values, {"time": volume.times, **places}, ("time", "y", "x"), "saliency", {**attributes, "units": "1"}
    )
    array["time"].attrs["units"] = "s"
    return array


def html(volume: _Slices) -> str:
    """Return the figure as HTML for a notebook, with method, target and size; texts are escaped, no script is in it."""
    figure = NotebookFigure._repr_png_(plot(volume))  # type: ignore[arg-type]
    frames, rows, columns = volume.values.shape
    facts = [f"{frames} x {rows} x {columns}", volume.provenance.target, volume.provenance.model]
    caption = escape(", ".join(filter(None, facts)))
    return (
        f"<figure style='margin:0'><img alt='{escape(_name(volume), quote=True)}' style='max-width:100%' "
        f"src='data:image/png;base64,{base64.b64encode(figure).decode()}'>"
        f"<figcaption>{escape(_name(volume))}: {caption}</figcaption></figure>"
    )


def _name(volume: _Slices) -> str:
    return str(volume.provenance.method or "saliency")
