"""Figures for papers: PDF and PNG at print size, the numbers that each shows as CSV, and what it says as a caption."""

from __future__ import annotations

import html
import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from attrib.benchmarks.export.figures import captions, examples_figure
from attrib.benchmarks.export.figures.captions import LeftOut, Plot
from attrib.benchmarks.export.figures.style import DOUBLE, SMALL, printed, write
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.tables import critical_difference
from attrib.benchmarks.tables.ranks import primary_rankings
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress, report_progress

NAMES = (
    "leaderboard", "faithfulness_alignment", "generality", "curves", "critical_difference", "examples", "layers",
)  # fmt: skip
ENDINGS = (".pdf", ".png", ".csv")


@dataclass(frozen=True)
class Shown:
    """One figure as it was written: files beside each other, inches, and what stands below it."""

    name: str
    files: tuple[str, ...]
    width: float | None  # None for a figure that another command made
    height: float | None
    caption: str


@dataclass(frozen=True)
class Figures:
    """What was written, what this run does not have, and examples that could not be drawn."""

    shown: tuple[Shown, ...]
    left_out: tuple[LeftOut, ...]
    troubles: tuple[str, ...] = ()


def write_figures(run: FinishedRun, folder: Path, step: Progress | None = None) -> Figures:
    """Write every figure that the run has the numbers for into `folder`, with figures.json and captions.md.

    Figures of an earlier run that this one does not have are removed. Raises NotWritten.
    """
    numbers = Numbers(run)
    shown: list[Shown] = []
    left_out: list[LeftOut] = []
    troubles: list[str] = []
    with printed():
        for place, found in enumerate(_figures(numbers)):
            report_progress(step, found.name, place, len(NAMES))
            if isinstance(found, LeftOut):
                left_out.append(found)
                continue
            shown.append(_written(found, folder))
            troubles += found.troubles
    for name in {item.name for item in left_out}:
        for ending in ENDINGS:
            (folder / f"{name}{ending}").unlink(missing_ok=True)
    result = Figures(tuple(shown), tuple(left_out), tuple(troubles))
    write_text(folder / "figures.json", json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "captions.md", "".join(_captions(result)))
    return result


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure to be written: drawn here, or made before as files; `table` holds its numbers, if it is of numbers."""

    name: str
    caption: str
    figure: Figure | None = None
    table: pd.DataFrame | None = None
    made: Path | None = None
    troubles: tuple[str, ...] = ()


def _figures(numbers: Numbers) -> Iterator[Drawn | LeftOut]:
    """In the order of NAMES."""
    for found in captions.plots(numbers):
        yield drawn(found)
    yield ranks(numbers)
    yield examples(numbers)
    yield layers(numbers)


def drawn(found: Plot | LeftOut) -> Drawn | LeftOut:
    """A figure of numbers."""
    if isinstance(found, LeftOut):
        return found
    return Drawn(found.name, found.caption, found.draw(found.table), found.table)


def ranks(numbers: Numbers) -> Drawn | LeftOut:
    """The critical-difference diagram of the primary metrics, at print size."""
    rankings = primary_rankings(numbers.run.results, numbers.run.metrics)
    if not rankings:
        return LeftOut("critical_difference", "no primary metric ranks three methods over two videos")
    figure = critical_difference.draw(rankings, numbers.roles)
    wide, high = figure.get_size_inches()
    figure.set_size_inches(min(wide, DOUBLE), high)
    for axis, title in zip(figure.axes, rankings, strict=False):
        words = axis.get_title(loc="left").split("\n")[-1]
        axis.set_title(
            "\n".join([title, *textwrap.wrap(words, 46, max_lines=2, placeholder=" …")]), loc="left", size=SMALL
        )
    rows = [
        {"metric": title, "method": method, "mean_rank": float(place)}
        for title, one in rankings.items() for method, place in zip(one.methods, one.ranks, strict=True)
    ]  # fmt: skip
    caption = (
        "Methods by mean rank over videos, 1 is best. A bar joins methods of which no pair differs (Wilcoxon's "
        "signed-rank test, Holm over all pairs, .05; all of them where Friedman's test does not reject). "
        "Discs: methods; squares: controls; diamonds: upper bounds."
    )
    return Drawn("critical_difference", caption, figure, pd.DataFrame(rows))


def examples(numbers: Numbers, most: int | None = None) -> Drawn | LeftOut:
    """Frames of chosen videos with maps over them."""
    found = examples_figure.strip(numbers, most)
    if isinstance(found, LeftOut):
        return found
    return Drawn("examples", found.caption, examples_figure.draw(found.blocks), troubles=found.troubles)


def layers(numbers: Numbers) -> Drawn | LeftOut:
    """The layers x heads atlas that `attrib atlas` wrote into the run."""
    made = numbers.run.directory / "layers" / "atlas.pdf"
    if not made.is_file():
        return LeftOut("layers", "the run has no layers/atlas.pdf; `attrib atlas` writes it")
    caption = (
        "Layers x heads: what each head's attention from the answer to the video reaches; written by `attrib atlas`, "
        "where layers/atlas.csv has the numbers."
    )
    return Drawn("layers", caption, made=made)


def _written(found: Drawn, folder: Path) -> Shown:
    if found.figure is None:
        assert found.made is not None  # drawn or made
        return _copied(found.name, found.caption, found.made, folder)
    write(found.figure, folder, found.name)
    files = [f"{found.name}.pdf", f"{found.name}.png"]
    if found.table is not None:
        with writing(folder / f"{found.name}.csv") as part:
            found.table.to_csv(part, index=False)
        files.append(f"{found.name}.csv")
    wide, high = (round(float(inches), 3) for inches in found.figure.get_size_inches())
    return Shown(found.name, tuple(files), wide, high, found.caption)


def _copied(name: str, caption: str, made: Path, folder: Path) -> Shown:
    """The files NAME.pdf and, where there is one, NAME.png; their size is theirs."""
    files = []
    for ending in ("pdf", "png"):
        if (source := made.with_suffix(f".{ending}")).is_file():
            with writing(folder / f"{name}.{ending}") as part:
                shutil.copyfile(source, part)
            files.append(f"{name}.{ending}")
    return Shown(name, tuple(files), None, None, caption)


def _captions(found: Figures) -> Iterator[str]:
    """Markdown; labels from settings stay text."""
    yield "# Figures\n"
    for item in found.shown:
        yield f"\n## {item.name}\n\n![{item.name}]({item.name}.png)\n\n{html.escape(item.caption, quote=False)}\n"
    if found.left_out:
        yield "\n## Left out\n\n"
        yield from (f"- {item.name}: {html.escape(item.reason, quote=False)}\n" for item in found.left_out)
