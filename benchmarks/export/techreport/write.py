"""Technical report as a two-page PDF, typeset by typst; content is left out, and listed, until it fits."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

from attrib.benchmarks.export.figures.captions import Figure, Missing, leaderboard, scatter
from attrib.benchmarks.export.figures.style import printed, write
from attrib.benchmarks.export.figures.write import example_frames, layers_atlas
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import text as report_text
from attrib.benchmarks.export.techreport.text import Budget, Wanted
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.errors import HARMFUL, AttribError, InputError, shown
from attrib.runtime.files import writing
from attrib.runtime.progress import Progress, report_progress

PAGES = 2
# Tried in this order until the report fits.
BUDGETS = (
    Budget(tasks=16, lines=True, examples=4, letters=160, scatter=True),
    Budget(tasks=12, lines=True, examples=4, letters=160), Budget(tasks=10, lines=True, examples=2, letters=70),
    Budget(tasks=8, lines=True, examples=2, letters=60), Budget(tasks=10, lines=False, examples=2, letters=60),
    Budget(tasks=6, lines=False, examples=2, letters=50), Budget(tasks=5, lines=False, examples=0, letters=50),
    Budget(tasks=3, lines=False, examples=0, letters=40),
)  # fmt: skip


class TooLong(AttribError):
    """The report does not fit on two pages, even with the smallest budget."""


@dataclass(frozen=True)
class WrittenReport:
    """A written PDF: path, number of pages, budget that fits, and warnings about examples that could not be drawn."""

    path: Path
    pages: int
    budget: Budget
    warnings: tuple[str, ...]


def write_report(run: FinishedRun, path: Path, wanted: Wanted, step: Progress | None = None) -> WrittenReport:
    """Write the PDF. Raises TooLong if it does not fit on two pages, and leaves a draft in the folder of `path`."""
    if path.suffix.lower() != ".pdf":
        raise InputError(f"{path}: expected a file name that ends in .pdf")
    for text in (wanted.title, *wanted.authors, wanted.training):
        if HARMFUL.search(text):
            raise InputError(f"{shown(text)}: expected printable text, got control characters")
    numbers = Numbers(run)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = _Pictures(numbers, folder)
        pdf = b""
        for index, budget in enumerate(BUDGETS):
            report_progress(step, f"setting, {index + 1} of {len(BUDGETS)}", index, len(BUDGETS))
            data = report_text.data(numbers, budget, wanted, pictures.of(budget))
            pdf, pages = typeset(data, folder)
            if pages <= PAGES:
                _keep(path, pdf)
                return WrittenReport(path, pages, budget, tuple(pictures.warnings))
    draft = path.with_suffix(".draft.pdf")
    _keep(draft, pdf)
    raise TooLong(f"{path}: expected at most {PAGES} pages, got {pages} with the least content; draft written: {draft}")


def _keep(path: Path, pdf: bytes) -> None:
    with writing(path) as part:
        part.write_bytes(pdf)


def typeset(data: dict[str, Any], folder: Path) -> tuple[bytes, int]:
    """PDF of the template filled with `data`, and its number of pages; `folder` holds the pictures named in `data`."""
    (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    template = folder / "techreport.typ"
    template.write_bytes((files("attrib.benchmarks.export.techreport") / "techreport.typ").read_bytes())
    compiler = typst.Compiler(template, root=folder)
    pdf = compiler.compile(format="pdf")
    pages = json.loads(compiler.query("<pages>", field="value", one=True))
    assert isinstance(pdf, bytes)  # one document
    return pdf, int(pages)


@dataclass(eq=False)
class _Pictures:
    """Pictures of the report as files NAME.pdf in a folder, each drawn once and reused by later budgets."""

    numbers: Numbers
    folder: Path

    def __post_init__(self) -> None:
        self.warnings: list[str] = []
        self._by_name: dict[str, Figure | Missing] = {}

    def of(self, budget: Budget) -> list[Figure | Missing]:
        """Leaderboard, examples, layers and scatter that the budget includes."""
        figures = [self._once("leaderboard", leaderboard)]
        if most := budget.examples:
            figures.append(self._once(f"examples{most}", lambda numbers: example_frames(numbers, most)))
        figures.append(self._once("layers", layers_atlas))
        if budget.scatter:
            figures.append(self._once("scatter", scatter))
        return figures

    def _once(self, name: str, make: Callable[[Numbers], Figure | Missing]) -> Figure | Missing:
        if name not in self._by_name:
            with printed(self.numbers.words):
                figure = self._by_name[name] = make(self.numbers)
                if isinstance(figure, Figure):
                    self.warnings += figure.warnings
                    self._write(figure)
        return self._by_name[name]

    def _write(self, figure: Figure) -> None:
        if figure.draw is not None:
            write(figure.draw(), self.folder, figure.name)
        elif figure.file is not None:
            shutil.copyfile(figure.file, self.folder / f"{figure.name}.pdf")
