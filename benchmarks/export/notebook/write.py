"""Notebook of a run: the cells of notebook.md, one of them with the run's numbers embedded as data."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat

from attrib.benchmarks.export.notebook import data
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.errors import InputError
from attrib.runtime.files import write_text

CELL = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
SOURCE = "attrib"
PATIENCE = 5.0  # seconds for an interrupted cell to end


def write_notebook(run: FinishedRun, path: Path, source: str = SOURCE, plugins: Sequence[Path] = ()) -> None:
    """Write the notebook; `source` is what pip installs if attrib is missing, `plugins` are loaded by the notebook.

    Raises InputError for a name that does not end in .ipynb.
    """
    if path.suffix != ".ipynb":
        raise InputError(f"{path}: expected a file name that ends in .ipynb")
    given = data.collected(Numbers(run), plugins)
    write_text(path, nbformat.writes(made(given, source)) + "\n")


def made(given: dict[str, Any], source: str) -> Any:
    """Notebook with the cells of notebook.md; data of the run enters as a string literal, never as code."""
    text = (files("attrib.benchmarks.export.notebook") / "notebook.md").read_text(encoding="utf-8")
    literal = repr(json.dumps(given, ensure_ascii=True, allow_nan=False))
    filled = {"{source}": repr(source), "{data}": f"import json\n\nRUN = json.loads(\n    {literal}\n)"}
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}, "accelerator": "GPU", "colab": {"provenance": []},
    }  # fmt: skip
    for place, (kind, body) in enumerate(cells(text)):
        notebook.cells.append(_cell(place, kind, body, filled))
    nbformat.validate(notebook)
    return notebook


def cells(text: str) -> Iterator[tuple[str, str]]:
    """Yield (`markdown` or `code`, text) of each section of a Markdown file with fenced Python."""
    parts = CELL.split(text)
    for place, part in enumerate(parts):
        if part.strip():
            yield ("code" if place % 2 else "markdown"), part.strip("\n")


def _cell(place: int, kind: str, body: str, filled: dict[str, str]) -> Any:
    if kind == "markdown":
        return nbformat.v4.new_markdown_cell(body, id=f"cell-{place:02}")
    data = "{data}" in body
    for name, value in filled.items():
        body = body.replace(name, value) if name in body and body.count(name) == 1 else body
    cell = nbformat.v4.new_code_cell(body, id=f"cell-{place:02}")
    if data:  # hide the long cell of data
        cell.metadata = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return cell


class _Stop:
    """Context in which Ctrl-C and SIGTERM first interrupt the running cell, and then act as usual.

    nbclient's own handler kills the kernel under the running cell, and raises an unrelated error.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def __enter__(self) -> None:
        self.came: int | None = None
        self.before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def __call__(self, **_: Any) -> None:
        """Install the signal handlers in the event loop of the run."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop(number: int) -> None:
            self.came = number
            self.interrupting = asyncio.ensure_future(self.client.km.interrupt_kernel())  # interrupts the running cell
            if task is not None:  # if no cell runs, or it ignores the interrupt
                loop.call_later(PATIENCE, task.cancel)

        with suppress(RuntimeError):  # not the main thread, or no such signals on this system
            for number in self.before:
                loop.add_signal_handler(number, stop, number)

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self.before.items():  # nbclient does not restore them
                signal.signal(number, handler)
        if self.came is not None:
            signal.raise_signal(self.came)


def run_notebook(path: Path) -> None:
    """Run the notebook from top to bottom in its own folder, and save its outputs.

    Raises InputError if nbclient or a Python kernel is missing, or with the first error of a cell.
    """
    try:
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError
        from traitlets.config import Config
    except ModuleNotFoundError:
        raise InputError("running a notebook needs nbclient and ipykernel: pip install nbclient ipykernel") from None
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    with tempfile.TemporaryDirectory() as folder:
        # Unix sockets where available: no other user can reach the kernel.
        sockets = {"transport": "ipc", "ip": f"{folder}/kernel"} if os.name == "posix" else {}
        settings = Config({"KernelManager": sockets})
        client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=where, config=settings)
        stop = client.on_notebook_start = _Stop(client)
        try:
            with stop:
                client.execute()
        except CellExecutionError as error:
            raise InputError(f"{path}: a cell failed: {error.ename}: {error.evalue}") from None
        except (RuntimeError, KeyError) as error:  # the kernel died, or is not installed
            raise InputError(f"{path}: cannot be run: {error}") from None
        finally:
            write_text(path, nbformat.writes(notebook) + "\n")
