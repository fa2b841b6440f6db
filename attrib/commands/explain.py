"""`attrib explain`: one answer explained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from attrib import registry
from attrib.commands.shared import (
    JsonFlag,
    Plugins,
    Sets,
    check_output,
    finish,
    load_plugins,
    print_json,
    progress,
    say,
    screen,
    warn,
)
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.api import Explanation


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
    load_plugins(plugin)
    check_output(output)
    from attrib import api, config

    given = config.override({}, sets or ())
    methods = _chosen(method, given.pop("methods", {}) or {})
    with progress(as_json) as step:
        found = api.explain(
            video, question, option or (), answer=answer, words=word or (), per_word=per_word, model=model,
            methods=methods, target=target, settings=given, step=step,
        )  # fmt: skip
        found.save(output, step)
    warn(found.subject.clip.warnings)
    if as_json:
        print_json({**found.summary(), "output": str(output)})
    else:
        _show_explanation(found, output)
    finish([f"{name}: {error}" for name, error in found.failures.items()])


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
    say(f"\nwritten to {output}: summary.json" + (f", {names}" if found.volumes else ""))


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
