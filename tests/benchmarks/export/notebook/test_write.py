from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from attrib.benchmarks.export.notebook import data, write
from attrib.benchmarks.export.notebook.write import run_notebook, write_notebook
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.errors import InputError

import export_cases as cases

NASTY = "Is it '''\" \\ {data} {source} </script> $x$ \u2028?"


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_it_runs_from_top_to_bottom_away_from_the_run_and_finds_the_same_number(
    real: FinishedRun, tmp_path: Path
) -> None:
    path = tmp_path / "alone" / "notebook.ipynb"
    write_notebook(real, path)
    run_notebook(path)
    found = nbformat.read(path, as_version=4)
    outputs = [output for cell in found.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    text = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    again, before = map(float, re.findall(r"computed ([\d.]+), in the leaderboard ([\d.]+)", text)[0])
    board = real.table("leaderboard")
    assert board is not None
    method = re.findall(r"object_auc of (\w+), all 2 questions", text)[0]
    row = board[(board["subset"] == "all") & (board["metric"] == "object_auc") & (board["method"] == method)]
    assert again == pytest.approx(before, abs=1e-6) == pytest.approx(float(row["mean"].iloc[0]), abs=1e-6)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2 + 3, "an example for each of two tasks, leaderboard, scatter and curves"
    assert any("video/mp4" in output.data.get("text/html", "") for output in outputs if "data" in output)
    assert "No trace: there is no trace/trace.png" in text
    assert "No atlas: there is no layers/atlas.png" in text and "those with most videos" in text
    assert sorted(item.name for item in path.parent.iterdir()) == ["notebook.ipynb"], "nothing else is left behind"


def test_a_cell_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("raise ValueError('no\\nway')")])
    nbformat.write(made, path)
    with pytest.raises(InputError) as told:
        run_notebook(path)
    assert str(told.value) == f"{path}: a cell failed: ValueError: no way"


def test_data_enters_as_data_whatever_it_holds(tmp_path: Path) -> None:
    run = cases.written(tmp_path / "run", cases.rows({NASTY: 2}, cases.SKILL))
    write_notebook(run, tmp_path / "notebook.ipynb", source="git+https://example.org/'x'\"y")
    install, _, cell = code(tmp_path / "notebook.ipynb")[:3]
    scope: dict[str, object] = {}
    exec(cell, scope)
    assert scope["RUN"] == data.collected(Numbers(run))
    assert NASTY in next(iter(scope["RUN"]["examples"]))  # type: ignore[index]
    exec(install.split("\nif ")[0], scope)
    assert scope["SOURCE"] == "git+https://example.org/'x'\"y"


def test_every_code_cell_is_python_and_no_number_is_typed(made: FinishedRun, tmp_path: Path) -> None:
    write_notebook(made, tmp_path / "notebook.ipynb")
    for text in code(tmp_path / "notebook.ipynb"):
        compile(text, "cell", "exec")
    template = (Path(write.__file__).parent / "notebook.md").read_text()
    assert not re.search(r"\d\.\d\d", template.replace("0.01 *", "")), "results come from RUN"


def test_examples_are_best_median_and_worst_of_the_largest_tasks(tmp_path: Path) -> None:
    tasks = {f"Question {place}?": 3 + (place == 5) for place in range(6)}
    run = cases.written(tmp_path, cases.rows(tasks, cases.SKILL))
    found = data.collected(Numbers(run))
    assert len(found["examples"]) == data.MOST_TASKS
    assert next(iter(found["examples"])) == "Question 5?"
    for chosen in found["examples"].values():
        assert [one["why"] for one in chosen] == ["best", "median", "worst"]
        assert chosen[0]["value"] >= chosen[1]["value"] >= chosen[2]["value"]
    assert set(found["wanted"]) >= {one["sample"] for chosen in found["examples"].values() for one in chosen}


def test_the_checked_number_needs_no_other_video_and_comes_from_the_fastest_method(tmp_path: Path) -> None:
    results = cases.rows({"Where?": 30}, cases.SKILL)
    seconds = results["method"].map({"relevance": 0.5, "raw_attention": 0.1, "grad_cam": 20.0}).fillna(0.001)
    run = cases.written(tmp_path, results.assign(seconds=seconds))
    found = data.check(Numbers(run))
    assert found is not None
    assert (found["metric"], found["method"]) == ("object_auc", "raw_attention"), "shuffled_auc needs other videos"
    part = results[(results["metric"] == "object_auc") & (results["method"] == "raw_attention")]
    assert len(found["values"]) == 24 and found["of"] == "the first 24 questions" and found["where"] == "results"
    assert found["mean"] == pytest.approx(part.sort_values("sample")["value"][:24].mean())
    slow = replace(run, results=run.results.assign(seconds=100.0))
    assert len((data.check(Numbers(slow)) or {})["values"]) == 3, "five minutes of maps"


def test_numbers_that_are_not_there_are_null(tmp_path: Path) -> None:
    found = data.collected(Numbers(cases.written(tmp_path, cases.rows({"Where?": 1}, cases.SKILL))))
    json.dumps(found, allow_nan=False)
    assert set(found["figures"]["leaderboard"]["table"]["low"]) == {None}
    assert found["left_out"]["curves"].startswith("the run has no curves.parquet")


def test_a_task_has_one_row_by_the_first_imputer_and_exceptions_are_of_the_pairing(tmp_path: Path) -> None:
    given = cases.rows({"Where?": 3, "When?": 3}, cases.SKILL)
    blurred = given[given["metric"] == "srg"]
    both = pd.concat([blurred, blurred.assign(imputer="mean", value=blurred["value"] + 1)])
    run = cases.written(tmp_path / "two", both, imputers=["blur", "mean"])
    found = data.collected(Numbers(run))["tasks"]
    assert [row["task"] for row in found] == ["When?", "Where?"]
    part = blurred[blurred["method"] == "relevance"].groupby("task")["value"].mean()
    assert [row["mean"] for row in found] == pytest.approx([part["When?"], part["Where?"]])
    above = cases.partners(given, 2).assign(value=9.0)
    run = cases.written(tmp_path / "nulls", given, pd.concat([above, above.assign(null="shift")]))
    assert len(data.collected(Numbers(run))["exceptions"]) == 6, "each video once"


def test_another_ending_is_refused(made: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.ipynb"):
        write_notebook(made, tmp_path / "notebook.py")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_its_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """It acts as it would have without a notebook; the kernel is gone, and nothing is lost."""
    path = tmp_path / "notebook.ipynb"
    cell = f"import os, time; print(os.getpid(), flush=True); os.kill(os.getppid(), {int(number)}); time.sleep(60)"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])))
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_notebook(path)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    said = nbformat.read(path, as_version=4).cells[0].outputs[0]["text"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(said), 0)


def test_plug_ins_are_found_wherever_the_notebook_runs(numbers: Numbers) -> None:
    """Its kernel stands in the notebook's folder, not where the command was given."""
    assert data.collected(numbers, [Path("mine.py")])["plugins"] == [str(Path.cwd() / "mine.py")]
