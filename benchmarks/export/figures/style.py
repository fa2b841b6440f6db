"""Style of the figures: print sizes, fonts, and one colour and marker for each method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attrib.render.text import lettering
from attrib.runtime.files import writing

SINGLE, DOUBLE = 3.3, 6.9  # inches: one and two columns of a paper
HIGHEST = 9.0  # inches: usable height of a page
DPI = 300
SMALL, TEXT = 7, 8  # points
# Okabe and Ito's colour-blind safe palette, without its yellow, which is invisible on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "v", "D", "P", "X")
LINES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1)))
GREYS = ("#6e6e6e", "#8f8f8f", "#a8a8a8")
BOUND = "#3d3d3d"
FAINT, RULE = "#5c606b", "#c9c9c9"
_LETTERS = {
    "font.size": TEXT, "axes.titlesize": TEXT, "axes.labelsize": TEXT,
    "xtick.labelsize": SMALL, "ytick.labelsize": SMALL, "legend.fontsize": SMALL, "axes.linewidth": 0.5,
    "xtick.major.size": 2, "ytick.major.size": 2, "xtick.major.width": 0.5, "ytick.major.width": 0.5,
    "xtick.major.pad": 2, "ytick.major.pad": 2, "axes.spines.top": False, "axes.spines.right": False,
    "lines.linewidth": 1.1, "lines.markersize": 3.6, "legend.frameon": False, "legend.handlelength": 2.2,
    "pdf.fonttype": 42, "text.parse_math": False, "savefig.dpi": DPI,
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Colour, marker and line style of one row; controls are grey with hollow markers, bounds are dark stars."""

    colour: str
    mark: str
    line: Any
    hollow: bool = False

    @staticmethod
    def of(kind: str, place: int) -> Look:
        """Look of method number `place` of its kind; after seven methods the colours repeat with other markers."""
        turn = place // len(COLOURS)
        if kind == "bound":
            return Look(BOUND, "*", LINES[3])
        if kind == "control":
            return Look(GREYS[place % len(GREYS)], MARKS[place % len(MARKS)], LINES[(place + 1) % len(LINES)], True)
        return Look(COLOURS[place % len(COLOURS)], MARKS[(place + turn) % len(MARKS)], LINES[turn % len(LINES)])

    def marker(self) -> dict[str, Any]:
        """Keyword arguments of a marker."""
        face = "white" if self.hollow else self.colour
        size = 5.5 if self.mark == "*" else 3.8
        return {"marker": self.mark, "color": self.colour, "markerfacecolor": face, "markersize": size,
                "markeredgewidth": 0.8}  # fmt: skip

    def handle(self, label: str, line: bool = False) -> Line2D:
        """Legend handle: a marker, or a line."""
        if line:
            return Line2D([], [], color=self.colour, linestyle=self.line, label=label)
        return Line2D([], [], linestyle="none", label=label, **self.marker())


@contextmanager
def printed(texts: Iterable[str] = ()) -> Iterator[None]:
    """Context in which figures have print fonts that draw `texts`, and PDFs embed TrueType fonts."""
    with mpl.rc_context(_LETTERS), lettering(texts):  # type: ignore[arg-type]
        yield


def page(width: float, height: float) -> Figure:
    """Empty figure of this size in inches, with constrained layout."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Figure, folder: Path, name: str) -> None:
    """Write NAME.pdf and NAME.png (300 dots an inch) at exactly the size of the figure."""
    for ending in ("pdf", "png"):
        with writing(folder / f"{name}.{ending}") as part:
            # No date in the file, so that the same numbers give the same bytes.
            figure.savefig(part, metadata={"CreationDate": None} if ending == "pdf" else {"Software": None})
