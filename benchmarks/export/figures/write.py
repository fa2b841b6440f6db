"""Figures for papers: each as PDF and PNG at print size, with its numbers (CSV) and its caption."""

from __future__ import annotations

import html
import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Drawing

from attrib.benchmarks.export.figures import captions, examples_figure
from attrib.benchmarks.export.figures.captions import Figure, Missing
from attrib.benchmarks.export.figures.style import DOUBLE, SMALL, printed, write
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.roles import Roles
from attrib.benchmarks.stats.ranking import Ranking
from attrib.benchmarks.tables import critical_difference
from attrib.benchmarks.tables.ranks import primary_rankings
from attrib.benchmarks.trace.kept import FOLDER, finding_of
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress, report_progress

NAMES = (
    "leaderboard", "faithfulness_alignment", "generality", "curves", "critical_difference", "examples", "layers",
    "trace",
)  # fmt: skip
ENDINGS = (".pdf", ".png", ".csv")


@dataclass(frozen=True)
class WrittenFigure:
    """Files of one figure, its size in inches (None where another command drew it) and its caption."""

    name: str
    files: tuple[str, ...]
    width: float | None
    height: float | None
    caption: str
    warnings: tuple[str, ...] = ()


def write_figures(
    run: FinishedRun, folder: Path, step: Progress | None = None
) -> tuple[list[WrittenFigure], list[Missing]]:
    """Write every figure that the run has the data for into `folder`, with figures.json and captions.md.

    Files of missing figures that an earlier run left in `folder` are removed. Raises NotWritten.
    """
    written: list[WrittenFigure] = []
    missing: list[Missing] = []
    numbers = Numbers(run)
    with printed(numbers.words):
        for index, figure in enumerate(_figures(numbers)):
            report_progress(step, figure.name, index, len(NAMES))
            if isinstance(figure, Missing):
                missing.append(figure)
                for ending in ENDINGS:
                    (folder / f"{figure.name}{ending}").unlink(missing_ok=True)
            else:
                written.append(_write(figure, folder))
    record = {"shown": [asdict(each) for each in written], "left_out": [asdict(each) for each in missing]}
    write_text(folder / "figures.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    write_text(folder / "captions.md", "".join(_captions(written, missing)))
    return written, missing


def _figures(numbers: Numbers) -> Iterator[Figure | Missing]:
    """Yield the figures in the order of NAMES."""
    yield from captions.number_figures(numbers)
    yield critical_differences(numbers)
    yield example_frames(numbers)
    yield layers_atlas(numbers)
    yield trace(numbers)


def critical_differences(numbers: Numbers) -> Figure | Missing:
    """Critical-difference diagrams of the primary metrics, at print size."""
    rankings = primary_rankings(numbers.run.results, numbers.run.metrics)
    if not rankings:
        return Missing("critical_difference", "no primary metric ranks three methods over two videos")
    rows = [
        {"metric": title, "method": method, "mean_rank": float(rank)}
        for title, one in rankings.items() for method, rank in zip(one.methods, one.ranks, strict=True)
    ]  # fmt: skip
    caption = (
        "Methods by mean rank over videos, 1 is best. A bar joins methods that do not differ (Wilcoxon "
        "signed-rank test, Holm over all pairs, p < .05; all methods if the Friedman test does not reject). "
        "Discs: methods; squares: controls; diamonds: upper bounds."
    )
    draw = partial(_rank_diagram, rankings, numbers.roles)
    return Figure("critical_difference", caption, pd.DataFrame(rows), draw)


def _rank_diagram(rankings: Mapping[str, Ranking], roles: Roles) -> Drawing:
    """Draw the diagram of every metric, at print size."""
    figure = critical_difference.draw(rankings, roles)
    wide, high = figure.get_size_inches()
    figure.set_size_inches(min(wide, DOUBLE), high)
    for axis, title in zip(figure.axes, rankings, strict=False):
        words = axis.get_title(loc="left").split("\n")[-1]
        axis.set_title(
            "\n".join([title, *textwrap.wrap(words, 46, max_lines=2, placeholder=" …")]), loc="left", size=SMALL
        )
    return figure


def example_frames(numbers: Numbers, most: int | None = None) -> Figure | Missing:
    """Frames of the selected example videos with maps over them."""
    strip = examples_figure.strip(numbers, most)
    if isinstance(strip, Missing):
        return strip
    draw = partial(examples_figure.draw, strip.blocks)
    return Figure("examples", strip.caption, draw=draw, warnings=strip.warnings)


def layers_atlas(numbers: Numbers) -> Figure | Missing:
    """Layers x heads atlas that `attrib atlas` wrote into the run."""
    file = numbers.run.directory / "layers" / "atlas.pdf"
    if not file.is_file():
        return Missing("layers", "the run has no layers/atlas.pdf; `attrib atlas` writes it")
    caption = (
        "Layers x heads: attention of each head from the answer to the video, computed by `attrib atlas`; the "
        "numbers are in layers/atlas.csv."
    )
    return Figure("layers", caption, file=file)


def trace(numbers: Numbers) -> Figure | Missing:
    """Trace of the answer through the model that `attrib trace` wrote into the run."""
    file = numbers.run.directory / FOLDER / "trace.pdf"
    if not file.is_file():
        return Missing("trace", "the run has no trace/trace.pdf; `attrib trace --run RUN` writes it")
    caption = (
        f"{finding_of(numbers.run.directory)} Share of the answer that each group's states restore, by layer and step, "
        "and that is lost by cutting attention, computed by `attrib trace`; the numbers are in trace/trace.csv."
    )
    return Figure("trace", caption.strip(), file=file)


def _write(figure: Figure, folder: Path) -> WrittenFigure:
    if figure.draw is None:
        return _copy(figure, folder)
    drawing = figure.draw()
    write(drawing, folder, figure.name)
    files = [f"{figure.name}.pdf", f"{figure.name}.png"]
    if figure.table is not None:
        files.append(f"{figure.name}.csv")
        with writing(folder / files[-1]) as path:
            figure.table.to_csv(path, index=False)
    width, height = (round(float(inches), 3) for inches in drawing.get_size_inches())
    return WrittenFigure(figure.name, tuple(files), width, height, figure.caption, figure.warnings)


def _copy(figure: Figure, folder: Path) -> WrittenFigure:
    """Copy the PDF and, if it exists, the PNG of the same name."""
    assert figure.file is not None  # a figure has either `draw` or `file`
    files = []
    for ending in (".pdf", ".png"):
        if (source := figure.file.with_suffix(ending)).is_file():
            files.append(f"{figure.name}{ending}")
            with writing(folder / files[-1]) as path:
                shutil.copyfile(source, path)
    return WrittenFigure(figure.name, tuple(files), None, None, figure.caption)


def _captions(written: Sequence[WrittenFigure], missing: Sequence[Missing]) -> Iterator[str]:
    """Yield captions.md piece by piece; names and captions are escaped, as they hold labels from settings."""
    yield "# Figures\n"
    for figure in written:
        caption = html.escape(figure.caption, quote=False)
        yield f"\n## {figure.name}\n\n![{figure.name}]({figure.name}.png)\n\n{caption}\n"
    if missing:
        yield "\n## Left out\n\n"
        yield from (f"- {absent.name}: {html.escape(absent.reason, quote=False)}\n" for absent in missing)
