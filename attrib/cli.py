"""The command line: list, explain, bench. Torch is imported only by the commands that need it.

Exit codes: 0 done, 1 some items failed (they are listed), 2 bad input (one line says what), 130 interrupted.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from attrib import registry
from attrib.errors import AttribError, InputError

if TYPE_CHECKING:
    from attrib.api import Explanation
    from attrib.benchmarks.runner import Outcome

app = typer.Typer(
    help="Where and when in a video a language model's answer comes from, and whether that map can be trusted.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
screen, notes = Console(), Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print only JSON on standard output.")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override a setting; repeatable.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file with methods or metrics; repeatable.")
]


class Kind(StrEnum):
    """What can be listed."""

    methods = "methods"
    metrics = "metrics"
    models = "models"
    datasets = "datasets"


@app.command("list")
def list_registered(
    kind: Annotated[Kind | None, typer.Argument(help="Only this kind; all kinds by default.")] = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """List registered methods, metrics, models and data sets, with what they are and where they come from."""
    _load_plugins(plugin)
    kinds = [kind.value] if kind else [known.value for known in Kind]
    found = {name: [_entry(name, entry) for entry in registry.names(name)] for name in kinds}  # type: ignore[arg-type]
    if as_json:
        _print_json(found)
        return
    for name, entries in found.items():
        table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
        for entry in entries:
            parameters = f"\n[dim]parameters: {', '.join(entry['parameters'])}[/dim]" if entry["parameters"] else ""
            words = escape(entry["description"]) + parameters
            table.add_row(entry["name"], words, f"[dim]{entry['source']}[/dim]")
        screen.print(table, "")


def _entry(kind: Any, name: str) -> dict[str, Any]:
    from dataclasses import fields, is_dataclass

    item = registry.get(kind, name)
    parameters = [field.name for field in fields(item)] if is_dataclass(item) else []
    words = (item.__doc__ or "").strip().splitlines()[:1]
    source = registry.source(kind, name)
    return {"name": name, "description": " ".join(words), "parameters": parameters, "source": source}


@app.command()
def explain(
    video: Annotated[Path, typer.Argument(help="Video file.")],
    question: Annotated[str, typer.Option("--question", "-q", help="The question's text.")],
    output: Annotated[Path, typer.Option("--output", "-O", help="Directory for volumes, videos and sheets.")],
    option: Annotated[list[str] | None, typer.Option("--option", help="An answer option; two or more.")] = None,
    answer: Annotated[
        str | None, typer.Option(help="A free answer to explain. Default without options: what the model says.")
    ] = None,
    word: Annotated[list[str] | None, typer.Option(help="Explain only this word of a free answer; repeatable.")] = None,
    per_word: Annotated[
        bool, typer.Option("--per-word", help="Explain each content word, or each --word, by itself.")
    ] = False,
    model: Annotated[str, typer.Option(help="demo, a checkpoint directory, or a Hugging Face id.")] = "demo",
    method: Annotated[
        list[str] | None, typer.Option(help="Repeatable; `all` for every one. Default: all that are no controls.")
    ] = None,
    target: Annotated[str, typer.Option(help="predicted, correct:K, option:K or contrast:I,J.")] = "predicted",
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Explain one answer: per method a volume (.npz), an overlay video (.mp4) and a contact sheet (.png)."""
    _load_plugins(plugin)
    _check_output(output)
    from attrib import api, config

    given = config.override({}, sets or ())
    methods = _chosen(method, given.pop("methods", {}) or {})
    with _progress(as_json) as step:
        found = api.explain(
            video, question, option or (), answer=answer, words=word or (), per_word=per_word, model=model,
            methods=methods, target=target, settings=given, step=step,
        )  # fmt: skip
        found.save(output, step)
    _warn(found.subject.clip.warnings)
    if as_json:
        _print_json({**found.summary(), "output": str(output)})
    else:
        _show_explanation(found, output)
    _finish([f"{name}: {error}" for name, error in found.failures.items()])


def _chosen(names: list[str] | None, parameters: Any) -> dict[str, Any] | None:
    """Row labels to parameters from `--method` and `--set methods.NAME.x=y`; None for the default."""
    if not isinstance(parameters, dict):
        raise InputError(f"methods: expected --set methods.NAME.PARAMETER=VALUE, got {parameters!r}")
    if not names and not parameters:
        return None
    every = _explainable() if "all" in (names or ()) else []
    return {**dict.fromkeys([*every, *(name for name in names or () if name != "all")]), **parameters}


def _explainable() -> list[str]:
    """Every method that needs no annotation."""
    from attrib.method import NeedsAnnotation

    return [
        name for name in registry.names("methods") if not issubclass(registry.get("methods", name), NeedsAnnotation)
    ]


def _show_explanation(found: Explanation, output: Path) -> None:
    summary = found.summary()
    free = found.subject.question.reply is not None
    table = _token_table(summary) if free else _option_table(summary)
    own = " (the model's own)" if free and summary["generated"] else ""
    screen.print(summary["question"], table, f"explained: {summary['explained']}{own}", "", sep="\n", markup=False)
    costs = Table("method", "seconds", "completeness error", box=None, pad_edge=False)
    for name, cost in summary["methods"].items():
        error = cost.get("completeness_error")
        costs.add_row(name, f"{cost['seconds']:.2f}", "" if error is None else f"{error:.2%}")
    if found.volumes:
        screen.print(costs)
    names = "{" + ",".join(found.volumes) + "}.{npz,mp4,png}"
    _say(f"\nwritten to {output}: summary.json" + (f", {names}" if found.volumes else ""))


def _option_table(summary: dict[str, Any]) -> Table:
    """The options with their probabilities; the model's choice in bold."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for place, (text, share) in enumerate(zip(summary["options"], summary["probabilities"], strict=True)):
        letter = chr(ord("A") + place)
        chosen = letter == summary["answer"]
        table.add_row(f"{letter}. {text}", f"{share:.1%}", "answer" if chosen else "", style="bold" if chosen else "")
    return table


def _token_table(summary: dict[str, Any]) -> Table:
    """The tokens of a free answer with their probabilities."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for item in summary["tokens"]:
        table.add_row(item["token"], f"{math.exp(item['logprob']):.1%}")
    return table


@app.command()
def bench(
    config_file: Annotated[Path | None, typer.Argument(metavar="[CONFIG]", help="YAML; default: built-in.")] = None,
    output: Annotated[Path, typer.Option("--output", "-O", help="Run directory; a rerun resumes it.")] = Path(
        "runs/demo"
    ),
    sets: Sets = None,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare methods: score every method on every sample and print the leaderboard."""
    _check_output(output)
    from attrib import api

    settings = api.bench_settings(config_file, plugin or ())
    try:
        with _progress(as_json) as step:
            outcome = api.bench(settings, output, sets or (), step)
    except KeyboardInterrupt:
        text = f"interrupted; what was computed is kept in {output}: the same command goes on from there"
        notes.print(text, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    _warn(outcome.warnings)
    if as_json:
        _print_json(_outcome(outcome))
    else:
        _show_outcome(outcome)
    _finish([f"{item.sample}  {item.method}: {item.error}" for item in outcome.failures])


def _outcome(outcome: Outcome) -> dict[str, Any]:
    from attrib.benchmarks import leaderboard

    board = json.loads(outcome.leaderboard.to_json(orient="records", double_precision=15))
    failures = [{"sample": i.sample, "method": i.method, "error": i.error} for i in outcome.failures]
    return {
        "directory": str(outcome.directory),
        "computed": outcome.computed,
        "questions": leaderboard.tally(outcome.results)._asdict(),
        "leaderboard": board,
        "failures": failures,
    }


def _show_outcome(outcome: Outcome) -> None:
    from attrib.benchmarks import leaderboard

    count = leaderboard.tally(outcome.results)
    titles = {"all": f"all {count.samples} questions"}
    if count.tested:
        titles["gated"] = f"the {count.passed} that pass the gate"
    else:
        titles["correct"] = f"the {count.correct} answered correctly"
    for subset, title in titles.items():
        screen.print(f"[bold]Leaderboard, {title}[/bold]  mean [95 % interval over videos]", "", sep="\n")
        for table in leaderboard.tables(outcome.leaderboard, subset, screen.width):
            screen.print(table, "")
    if count.tested:
        _say(f"gate: {count.passed} of {count.tested} questions ({count.passed / count.tested:.2f})")
    folder = outcome.directory
    _say(f"results: {folder}/results.parquet and leaderboard.csv")
    if any((folder / "videos").glob("*/*.mp4")):
        _say(f"overlay videos: {folder}/videos/METHOD/SAMPLE.mp4")


def _load_plugins(paths: list[Path] | None) -> None:
    for path in paths or ():
        registry.load_plugin(path)


def _check_output(folder: Path) -> None:
    """Refuse an output directory that cannot be written, before minutes of work."""
    at = folder.absolute()
    while not at.exists():
        at = at.parent
    try:
        tempfile.TemporaryFile(dir=at).close()  # asking for permissions would not find every reason
    except OSError:
        raise InputError(f"output directory {folder}: {at} is not a directory that can be written to") from None


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress line with the time left, on standard error so that standard output stays clean."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True, disable=quiet or not notes.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def step(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield step


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _say(text: str) -> None:
    screen.print(text, highlight=False, markup=False, soft_wrap=True)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        notes.print(f"warning: {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _finish(failures: list[str]) -> None:
    if failures:
        notes.print(f"[red]{len(failures)} failed:[/red]")
        for failure in failures:
            notes.print(f"  {failure}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; bad input becomes one line and exit code 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        app()
    except AttribError as error:
        notes.print(f"attrib: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
