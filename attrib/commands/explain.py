"""`attrib explain`: explain one answer."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from attrib import registry
from attrib.commands.options import (
    AnswerOptions,
    DataRoot,
    Frames,
    JsonFlag,
    ModelName,
    NoDownload,
    Plugins,
    QuestionId,
    QuestionText,
    Sets,
    SplitName,
    TargetText,
    VideoFile,
    VideoId,
    assignments,
    check_output,
    load_plugins,
)  # fmt: skip
from attrib.commands.question import AnnotatedQuestion, TypedQuestion, asked
from attrib.commands.terminal.console import finish, print_json, progress, say, screen, stopping, warn
from attrib.errors import InputError

if TYPE_CHECKING:
    from attrib.explaining.explanation import Explanation

REPORTS = {  # of methods, as columns: name to title and format
    "completeness_error": ("completeness error", ".2%"),
    "reference_error": ("L2 error", ".2%"),
    "monte_carlo_agreement": ("agrees with another seed", ".2f"),
}


def explain(
    output: Annotated[Path, typer.Option("--output", "-O", help="Directory for volumes, videos and sheets.")],
    source: VideoFile = None,
    question: QuestionText = None,
    option: AnswerOptions = None,
    answer: Annotated[
        str | None, typer.Option(help="Free answer to explain. Default without options: the model's own answer.")
    ] = None,
    word: Annotated[list[str] | None, typer.Option(help="Explain only this word of a free answer; repeatable.")] = None,
    per_word: Annotated[
        bool, typer.Option("--per-word", help="Explain each content word, or each --word, by itself.")
    ] = False,
    data: DataRoot = None,
    video: VideoId = None,
    question_id: QuestionId = None,
    split: SplitName = None,
    model: ModelName = "demo",
    method: Annotated[
        list[str] | None, typer.Option(help="Repeatable; `all` for every one. Default: all but the controls.")
    ] = None,
    target: TargetText = "predicted",
    frames: Frames = None,
    no_download: NoDownload = False,
    sets: Sets = None,
    no_overlay: Annotated[bool, typer.Option("--no-overlay", help="Write no overlay videos.")] = False,
    plugin: Plugins = None,
    as_json: JsonFlag = False,
) -> None:
    """Explain one answer: per method a volume (.npz), an overlay video (.mp4) and a contact sheet (.png).

    Ask about a video file with --question, or take an annotated question with --data and --video: its boxes, points,
    segments and evidence are then drawn too.
    """
    free = {"--answer": answer, "--word": word, "--per-word": per_word}
    sample, annotated = asked(TypedQuestion(source, question, option, free),
                              AnnotatedQuestion(data, video, question_id, split))  # fmt: skip
    load_plugins(plugin)
    check_output(output)
    from attrib import api, config

    settings = config.override({}, assignments(sets, frames, no_download))
    methods = _chosen(method, settings.pop("methods", {}) or {}, annotated)
    if annotated:
        explained = partial(api.explain_sample, sample)
    else:
        explained = partial(api.explain, sample.video, sample.question.text, sample.question.options, answer=answer,
                            words=word or (), per_word=per_word)  # fmt: skip
    with stopping(f"what is drawn already stays in {output}"), progress(as_json) as step:
        explanation = explained(
            model=model, methods=methods, target=target, settings=settings, step=step, tell=partial(_tell, as_json)
        )
        note = explanation.save(output, step, overlays=not no_overlay)
    warn(explanation.warnings)
    warn(explanation.notes, "note")
    if as_json:
        print_json({**explanation.summary(), "output": str(output)})
    else:
        _show_explanation(explanation, output, "npz,png" if no_overlay else "npz,mp4,png")
        if note:
            say(note)
    finish([f"{name}: {error}" for name, error in explanation.failures.items()])


def _tell(quiet: bool, placed: str, warnings: tuple[str, ...]) -> None:
    """Print where the model runs and what it needs, unless `quiet`, and warnings in any case."""
    warn([placed] * (not quiet), "note")
    warn(warnings)


def _chosen(names: list[str] | None, parameters: Any, annotated: bool) -> dict[str, Any] | None:
    """Row labels to parameters from `--method` and `--set methods.NAME.x=y`; None for the default."""
    if not isinstance(parameters, dict):
        raise InputError(f"methods: expected --set methods.NAME.PARAMETER=VALUE, got {parameters!r}")
    if not names and not parameters:
        return None
    every = _explainable(annotated) if "all" in (names or ()) else []
    return {**dict.fromkeys([*every, *(name for name in names or () if name != "all")]), **parameters}


def _explainable(annotated: bool) -> list[str]:
    """Names of the methods that can explain a single video, with or without annotation."""
    from attrib.method import can_explain

    return [name for name in registry.names("methods") if can_explain(registry.get("methods", name), annotated)]


def _show_explanation(explanation: Explanation, output: Path, endings: str) -> None:
    summary = explanation.summary()
    free = explanation.subject.question.reply is not None
    table = _token_table(summary) if free else _option_table(summary)
    own = " (the model's own)" if free and summary["generated"] else ""
    model = f"model: {summary['model']} on {summary['placement']}"
    lines = [model, f"explained: {summary['explained']}{own}", *_annotation_lines(summary), ""]
    screen.print(summary["question"], table, *lines, sep="\n", markup=False)
    if explanation.volumes:
        screen.print(_cost_table(summary))
    names = ",".join(explanation.volumes)
    names = ("{" + names + "}" if len(explanation.volumes) > 1 else names) + f".{{{endings}}}"
    say(f"\nwritten to {output}: summary.json" + (f", {names}" if explanation.volumes else ""))


def _cost_table(summary: dict[str, Any]) -> Table:
    """Table of each method's seconds and of the reports in REPORTS that any method has."""
    costs = summary["methods"]
    shown = [name for name in REPORTS if any(name in cost for cost in costs.values())]
    table = Table("method", "seconds", *(REPORTS[name][0] for name in shown), box=None, pad_edge=False)
    for method, cost in costs.items():
        reports = (format(cost[name], REPORTS[name][1]) if name in cost else "" for name in shown)
        table.add_row(method, f"{cost['seconds']:.2f}", *reports)
    return table


def _annotation_lines(summary: dict[str, Any]) -> list[str]:
    """Lines with the right answer and the evidence of an annotated question; none without annotation."""
    if "evidence_rule" not in summary:
        return []
    right = summary["correct_answer"]
    tracks = dict.fromkeys(
        f"track {item['track']}" + f" ({item['label']})" * bool(item["label"]) for item in summary["evidence"]
    )
    return [
        "the right answer is not known" if right is None else f"right answer: {right}",
        f"evidence by the rule {summary['evidence_rule']!r}: {', '.join(tracks)}" if tracks else "no evidence is known",
    ]


def _option_table(summary: dict[str, Any]) -> Table:
    """Table of the options with their probabilities; the model's choice in bold."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for index, (text, share) in enumerate(zip(summary["options"], summary["probabilities"], strict=True)):
        letter = chr(ord("A") + index)
        chosen = letter == summary["answer"]
        table.add_row(f"{letter}. {text}", f"{share:.1%}", "answer" if chosen else "", style="bold" if chosen else "")
    return table


def _token_table(summary: dict[str, Any]) -> Table:
    """Table of a free answer's tokens with their probabilities."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for item in summary["tokens"]:
        table.add_row(item["token"], f"{math.exp(item['logprob']):.1%}")
    return table
