from __future__ import annotations

import re
import zlib
from pathlib import Path

import pandas as pd
import pytest
import typst

from attrib import registry
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import write
from attrib.benchmarks.export.techreport.text import Wanted, tasks
from attrib.benchmarks.export.techreport.write import BUDGETS, TooLong, typeset, write_report
from attrib.benchmarks.jobs.finished_run import FinishedRun, read
from attrib.errors import InputError
from attrib.method import Control

import export_cases as cases

MARKUP = 'Is #panic("run") $ * _ ] <b>x</b> @nobody \\ "quoted" // gone `raw` #import "x"?'


def pages(pdf: bytes) -> int:
    """Counted in the file itself, its compressed objects included."""
    parts = [pdf]
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompressobj().decompress(found[1]))
        except zlib.error:
            continue
    return sum(len(re.findall(rb"/Type\s*/Page\b(?!s)", part)) for part in parts)


def test_a_report_of_two_pages_at_most(real: FinishedRun, tmp_path: Path) -> None:
    found = write_report(real, tmp_path / "report.pdf", Wanted(authors=("A", "B")))
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert found.pages == pages(pdf) == 2
    assert not found.warnings
    assert not list(tmp_path.glob("*draft*"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Every registered method, and fourteen tasks with long questions that are full of markup."""
    names = [name for name in registry.names("methods") if name != "captum"]
    skill = {name: 0.01 * place for place, name in enumerate(names)}
    questions = {f"{place} {MARKUP} {'and so on ' * 40}": 1 + (place == 7) for place in range(14)}
    results = cases.rows(questions, skill)
    return cases.written(tmp_path_factory.mktemp("large"), results, cases.partners(results, 2))


def test_a_large_run_grows_leaner_until_it_fits_and_says_so(large: FinishedRun, tmp_path: Path) -> None:
    assert len(large.settings.methods) > 25
    found = write_report(large, tmp_path / "report.pdf", Wanted())
    assert pages((tmp_path / "report.pdf").read_bytes()) == found.pages == 2
    assert found.budget in BUDGETS[1:]
    _, rows, caption = tasks(Numbers(large), found.budget)
    assert len(rows) == found.budget.tasks + 1, "and all of them together"
    assert f"The {found.budget.tasks} of 14 tasks with most videos" in caption
    assert rows[0][1] == "2" and rows[0][0].startswith("7 Is #panic")


def test_the_task_table_holds_the_rows_of_tasks_csv(made: FinishedRun, numbers: Numbers) -> None:
    header, rows, _ = tasks(numbers, BUDGETS[0])
    assert header[:4] == ["task", "n", "generality", "object_auc"]
    table = made.table("tasks")
    assert table is not None
    one = table[(table["kind"] == "task") & (table["group"] == rows[0][0]) & (table["split"] == "all")]
    one = one[one["method"] == "relevance"].set_index("metric")
    assert rows[0][1] == "4" and rows[-1][0] == "all" and rows[-1][1] == "7"
    assert float(rows[0][3]) == pytest.approx(one.loc["object_auc", "mean"], abs=0.005)
    assert float(rows[0][5]) == pytest.approx(one.loc["srg", "mean"], abs=0.005)
    assert rows[0][2].startswith(f"{one.loc['object_auc', 'above']:.2f}".removeprefix("0"))


def test_the_task_table_is_of_the_imputer_that_its_head_names(tmp_path: Path) -> None:
    given = cases.rows({"Where?": 3}, cases.SKILL)
    blurred = given[given["metric"] == "srg"]
    both = pd.concat([blurred.assign(imputer="mean", value=blurred["value"] + 5), blurred])
    header, rows, _ = tasks(Numbers(cases.written(tmp_path, both, imputers=["blur", "mean"])), BUDGETS[0])
    assert header[3] == "srg (blur)"
    part = blurred[blurred["method"] == "relevance"]["value"]
    assert float(rows[0][3]) == pytest.approx(part.mean(), abs=0.005)


def test_what_does_not_fit_is_an_error_and_the_draft_is_kept(made: FinishedRun, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(write, "BUDGETS", BUDGETS[-1:])
    with pytest.raises(TooLong, match=r"expected at most 2 pages, got [3-9]"):
        write_report(made, tmp_path / "report.pdf", Wanted(training="word " * 5000))
    assert not (tmp_path / "report.pdf").exists()
    assert pages((tmp_path / "report.draft.pdf").read_bytes()) > 2


def test_text_from_outside_is_never_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text as markup would stop the compiler, or vanish."""
    with pytest.raises(typst.TypstError):
        typst.compile(MARKUP.encode(), format="pdf")
    monkeypatch.setattr(write, "BUDGETS", BUDGETS[-1:])
    results = cases.rows({MARKUP: 2}, cases.SKILL)
    run = cases.written(tmp_path / "run", results, cases.partners(results, 2))
    write_report(run, tmp_path / "report.pdf", Wanted(MARKUP, (MARKUP,), MARKUP))
    assert pages((tmp_path / "report.pdf").read_bytes()) <= 2


def test_one_video_without_any_optional_table(tmp_path: Path) -> None:
    run = cases.written(tmp_path / "run", cases.rows({"Where?": 1}, cases.SKILL))
    for name in ("tasks", "exceptions", "agreement", "differences", "ranks"):
        (run.directory / f"{name}.csv").unlink()
    found = write_report(read(run.directory), tmp_path / "report.pdf", Wanted(paper="us-letter"))
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert found.pages <= 2 and b"612 792" in pdf


def test_the_same_run_gives_the_same_file(made: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "BUDGETS", BUDGETS[-1:])
    for name in ("one.pdf", "two.pdf"):
        write_report(made, tmp_path / name, Wanted())
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_pages_are_counted(tmp_path: Path, numbers: Numbers) -> None:
    data = write.report_text.data(numbers, BUDGETS[-1], Wanted(), [])
    _, count = typeset({**data, "findings": ["A finding. " * 30] * 100}, tmp_path)
    assert count > 2


def test_another_ending_is_refused(made: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.pdf"):
        write_report(made, tmp_path / "report.txt", Wanted())


@pytest.mark.parametrize("wanted", [Wanted("\udcff"), Wanted(authors=("A\x1b[2J",)), Wanted(training="\0")])
def test_what_is_no_text_is_refused(made: FinishedRun, tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(InputError, match="expected printable text"):
        write_report(made, tmp_path / "report.pdf", wanted)


def test_controls_are_not_told_as_methods(large: FinishedRun, numbers: Numbers) -> None:
    told = write.report_text.data(Numbers(large), BUDGETS[-1], Wanted(), [])
    for one in told["methods"]:
        assert not issubclass(registry.get("methods", one["label"]), Control)
    assert "motion" in told["controls"]
