"""`attrib atlas`: chart the attention of every head of every layer over a set of videos."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from attrib.commands.options import Frames, JsonFlag, Sets, assignments, check_output
from attrib.commands.question import set_of_videos
from attrib.commands.terminal.console import finish, print_json, progress, say, screen, stopping, warn
from attrib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from attrib.benchmarks.atlas.atlas import Atlas
    from attrib.benchmarks.atlas.jobs import Options
    from attrib.config import Config
    from attrib.model import VideoModel
    from attrib.runtime.progress import Progress
    from attrib.types import Sample


KNOCKOUTS = {
    "evidence": "evidence's tokens", "random_tokens": "random tokens", "other_objects": "other objects",
    "random_heads": "random heads", "minus_random_tokens": "minus random tokens",
    "minus_other_objects": "minus other objects", "minus_random_heads": "minus random heads",
}  # fmt: skip


class Causal(StrEnum):
    """Components that the knockout experiment disables."""

    none = "none"
    heads = "heads"
    layers = "layers"


def atlas(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|CONFIG", help="A finished run, or the YAML file of a benchmark.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-O", help="Directory for the atlas. Default for a run: RUN/layers.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of heads to choose on each half of the videos.")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="Random controls of each knockout.")] = 5,
    causal: Annotated[Causal, typer.Option(help="Components to knock out; `layers` includes heads.")] = Causal.layers,
    figures: Annotated[int, typer.Option(min=0, help="Number of videos to draw layer by layer too.")] = 1,
    frames: Frames = None,
    sets: Sets = None,
    as_json: JsonFlag = False,
) -> None:
    """Chart layers x heads over a set of videos: what each head attends to, and which heads the answer needs.

    Writes atlas.parquet, .csv, .png and .pdf, and selection.json: heads chosen on one half of the videos and reported
    on the other.
    """
    if output is None and not source.is_dir():
        raise InputError("--output: expected a directory for the atlas")
    folder = output or source / "layers"
    check_output(folder)
    settings, samples = set_of_videos(source, assignments(sets, frames), "an atlas")
    from attrib.benchmarks.atlas.jobs import Options

    chart(settings, samples, folder, Options(top, draws, causal.value), figures, as_json)


def chart(
    settings: Config, samples: tuple[Sample, ...], folder: Path, options: Options, figures: int, as_json: bool
) -> None:
    """Write the atlas and the first samples' figures into `folder`; exit with code 1 if a sample failed."""
    from attrib.benchmarks.atlas.atlas import atlas as build_atlas
    from attrib.benchmarks.atlas.jobs import AtlasJobs
    from attrib.explaining import binding

    kept = f"what was computed is kept in {folder}: the same command goes on from there"
    with stopping(kept), progress(as_json) as step:
        model = binding.load(settings.model)
        chart_data = build_atlas(AtlasJobs.of(model, settings, samples, options, folder), step)
        chart_data.write(folder)
        usable = [sample for sample in samples if sample.id not in chart_data.failures]
        errors = _draw_figures(model, settings, usable[:figures], folder, step)
    warn(chart_data.warnings)
    if as_json:
        print_json({"directory": str(folder), "selection": chart_data.selection,
                    "atlas": json.loads(chart_data.table.to_json(orient="records", double_precision=15))})  # fmt: skip
    else:
        _show(chart_data, folder)
    finish([f"{sample}: {error}" for sample, error in {**chart_data.failures, **errors}.items()])


def _draw_figures(
    model: VideoModel, settings: Config, samples: list[Sample], folder: Path, step: Progress
) -> dict[str, str]:
    """Draw one figure for each sample; return error messages by sample."""
    from attrib.benchmarks.jobs.store import file_name
    from attrib.errors import NotWritten, failure_message
    from attrib.explaining.binding import bind_sample
    from attrib.explaining.layers import draw
    from attrib.subject import Target

    errors = {}
    for index, sample in enumerate(samples):
        step(f"drawing {sample.id}", index, len(samples))
        try:
            draw(folder / file_name(sample.id), bind_sample(model, settings, sample, Target.parse(settings.target)))
        except NotWritten:
            raise
        except Exception as error:  # a failed picture must not lose the numbers
            errors[f"{sample.id} figure"] = failure_message(error)
    return errors


def _show(chart_data: Atlas, folder: Path) -> None:
    """Print the strongest heads with their tests, the chosen heads, and how they score on the other half."""
    selection = chart_data.selection
    name = selection["statistic"]
    if name is None:
        say("no heads chosen: neither object_auc nor shuffled_auc has a value in two videos of each half")
    else:
        screen.print(Text(f"Heads of greatest {name}, all {selection['videos']} videos", style="bold"),
                     _heads(chart_data.table, name, selection["top"]), "", sep="\n")  # fmt: skip
        screen.print(Text(f"{selection['top']} heads chosen on one half of the videos, reported on the other",
                          style="bold"), _halves(selection), "", sep="\n")  # fmt: skip
    say(f"written to {folder}: atlas.{{parquet,csv,png,pdf}}, selection.json")


def _heads(table: pd.DataFrame, name: str, top: int) -> Table:
    from attrib.benchmarks.atlas.head_scores import STATISTICS

    names = [name.replace("_", "\n") for name in STATISTICS]
    shown = Table("layer", "head", *names, "p\nmax-T", "p\nBH", box=None, pad_edge=False)
    own = table[table["statistic"] == name].sort_values("mean", ascending=False, kind="stable").head(max(top, 5))
    for row in own.itertuples():
        means = table[(table["layer"] == row.layer) & (table["head"] == row.head)].set_index("statistic")["mean"]
        shown.add_row(str(row.layer), str(row.head), *(f"{means[each]:.2f}" for each in STATISTICS),
                      _p(row.p_max_t), _p(row.p_bh))  # fmt: skip
    return shown


def _halves(selection: Mapping[str, Any]) -> Table:
    groups = [*zip(("half 2", "half 1"), selection["halves"], strict=True), ("both", selection["both"])]
    shown = Table("", *(f"on {label}" for label, _ in groups), box=None, pad_edge=False)
    shown.add_row("heads (layer.head)", *(" ".join(f"{a}.{b}" for a, b in half.get("heads", ())) for _, half in groups))
    for key in ("chosen", "all_heads", "random_heads", "difference"):
        words = "minus all heads" if key == "difference" else key.replace("_", " ")
        _add(shown, words, [half[key] for _, half in groups])
    if "corrected" in selection["both"]:
        _add(shown, "chosen, re-paired object_auc", [half["corrected"] for _, half in groups])
    if "knockout" in selection["both"]:
        shown.add_row()
        shown.add_row("log-odds lost, nats")
        for key, words in KNOCKOUTS.items():
            _add(shown, words, [half["knockout"][key] for _, half in groups])
    return shown


def _add(table: Table, words: str, cells: list[dict[str, float]]) -> None:
    """Add a row of means with intervals and, where the cells have p-values, a row of these."""
    table.add_row(words, *map(_interval, cells))
    if "p" in cells[0]:
        table.add_row("  p", *(_p(cell["p"]) for cell in cells))


def _interval(estimate: Mapping[str, float]) -> Text:
    if estimate["mean"] != estimate["mean"]:
        return Text("undefined", style="dim")
    ends = "" if estimate["low"] != estimate["low"] else f" [{estimate['low']:.2f}, {estimate['high']:.2f}]"
    return Text.assemble(f"{estimate['mean'] + 0.0:.2f}", (ends, "dim"))


def _p(value: float) -> str:
    return "" if value != value else "< .001" if value < 0.001 else f"{value:.3f}".replace("0.", ".", 1)
