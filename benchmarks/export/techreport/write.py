"""A report of two pages as PDF, set by typst: it grows leaner until it fits, and says what it leaves out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst

from attrib.benchmarks.export.figures import write as figures
from attrib.benchmarks.export.figures.captions import LeftOut, leaderboard, scatter
from attrib.benchmarks.export.figures.style import printed, write
from attrib.benchmarks.export.figures.write import Drawn
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import text as report_text
from attrib.benchmarks.export.techreport.text import Budget, Wanted
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.errors import HARMFUL, AttribError, InputError, shown
from attrib.runtime.files import writing
from attrib.runtime.progress import Progress, report_progress

PAGES = 2
# From rich to lean: tasks in the table, methods with a line each, examples, letters of a question.
BUDGETS = (
    Budget(tasks=16, lines=True, examples=4, letters=160, scatter=True),
    Budget(tasks=12, lines=True, examples=4, letters=160), Budget(tasks=10, lines=True, examples=2, letters=70),
    Budget(tasks=8, lines=True, examples=2, letters=60), Budget(tasks=10, lines=False, examples=2, letters=60),
    Budget(tasks=6, lines=False, examples=2, letters=50), Budget(tasks=5, lines=False, examples=0, letters=50),
    Budget(tasks=3, lines=False, examples=0, letters=40),
)  # fmt: skip


class TooLong(AttribError):
    """The report does not fit on two pages, however lean."""


@dataclass(frozen=True)
class Report:
    """What was written: the file, its pages, which budget it took, and examples that could not be drawn."""

    path: Path
    pages: int
    budget: Budget
    troubles: tuple[str, ...]


def write_report(run: FinishedRun, path: Path, wanted: Wanted, step: Progress | None = None) -> Report:
    """Write the PDF. Raises TooLong where it does not fit on two pages, with a draft left beside `path`."""
    if path.suffix.lower() != ".pdf":
        raise InputError(f"{path}: expected a file name that ends in .pdf")
    for text in (wanted.title, *wanted.authors, wanted.training):
        if HARMFUL.search(text):
            raise InputError(f"{shown(text)}: expected text, got characters that are none")
    numbers = Numbers(run)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        maker = _Maker(numbers, folder)
        pdf = b""
        for place, budget in enumerate(BUDGETS):
            report_progress(step, f"setting, {place + 1} of {len(BUDGETS)}", place, len(BUDGETS))
            data = report_text.data(numbers, budget, wanted, maker.drawn(budget))
            pdf, pages = typeset(data, folder)
            if pages <= PAGES:
                _keep(path, pdf)
                return Report(path, pages, budget, tuple(maker.troubles))
    draft = path.with_suffix(".draft.pdf")
    _keep(draft, pdf)
    raise TooLong(f"{path}: {pages} pages however lean, and {PAGES} are allowed; nothing written but a draft, {draft}")


def _keep(path: Path, pdf: bytes) -> None:
    with writing(path) as part:
        part.write_bytes(pdf)


def typeset(data: dict[str, Any], folder: Path) -> tuple[bytes, int]:
    """The PDF of the template and `data`, and its number of pages; `folder` holds the pictures that data names."""
    (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    template = folder / "techreport.typ"
    template.write_bytes((files("attrib.benchmarks.export.techreport") / "techreport.typ").read_bytes())
    compiler = typst.Compiler(template, root=folder)
    pdf = compiler.compile(format="pdf")
    pages = json.loads(compiler.query("<pages>", field="value", one=True))
    assert isinstance(pdf, bytes)  # one document
    return pdf, int(pages)


@dataclass(eq=False)
class _Maker:
    """Draws each picture once; a leaner report draws fewer examples anew."""

    numbers: Numbers
    folder: Path

    def __post_init__(self) -> None:
        self.troubles: list[str] = []
        self._known: dict[str, Drawn | LeftOut] = {}

    def drawn(self, budget: Budget) -> Sequence[Drawn | LeftOut]:
        """The leaderboard, examples so many as the budget has, and the layers; as files NAME.pdf in the folder."""
        with printed():
            found = [
                self._once("leaderboard", lambda: figures.drawn(leaderboard(self.numbers))),
                self._once("layers", lambda: figures.layers(self.numbers)),
            ]
            if budget.examples:
                name = f"examples{budget.examples}"
                found.insert(1, self._once(name, lambda: figures.examples(self.numbers, budget.examples)))
            if budget.scatter:
                found.append(self._once("scatter", lambda: figures.drawn(scatter(self.numbers))))
        return found

    def _once(self, name: str, make: Any) -> Drawn | LeftOut:
        if name not in self._known:
            found: Drawn | LeftOut = make()
            self._known[name] = found
            if isinstance(found, Drawn):
                self.troubles += found.troubles
                self._file(found)
        known = self._known[name]
        if isinstance(known, Drawn):
            self._file(known)
        return known

    def _file(self, found: Drawn) -> None:
        path = self.folder / f"{found.name}.pdf"
        if found.made is not None:
            path.write_bytes(found.made.read_bytes())
        elif found.figure is not None:
            write(found.figure, self.folder, found.name)
