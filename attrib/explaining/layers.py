"""Draw the answer's attention to one video on a page with a row for each layer or head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from attrib.attention.statistics import HeadStatistics, answer_statistics, high_activity
from attrib.errors import InputError
from attrib.method import require_choice
from attrib.render.layers.write import Heading, LayerRows, layers_figure, layers_video, spaced
from attrib.render.options import RenderOptions
from attrib.subject import Subject

Reduction = Literal["max", "mean"]
Columns = Literal["even", "most"]
MOST_OPTIONS = 6  # listed on the page


@dataclass(frozen=True)
class PageSelection:
    """Choice of the rows and frames of a page.

    `reduction`: a layer's map is the maximum or the mean over its heads. `layer`: that layer's heads are the rows, in
    place of layers. `every`: all rows, not only those of high activity. `columns`: at most so many frames, spaced
    evenly or those of most attention.
    """

    reduction: Reduction = "max"
    layer: int | None = None
    every: bool = False
    columns: int = 8
    by: Columns = "even"

    def __post_init__(self) -> None:
        require_choice("reduction", self.reduction, get_args(Reduction))
        require_choice("by", self.by, get_args(Columns))


def draw(path: Path, subject: Subject, choice: PageSelection | None = None, film: bool = True) -> LayerRows:
    """Write PATH.png, PATH.pdf and, as a film through all rows, PATH.mp4; return the rows.

    Boxes come from the subject's sample. Raises UnsupportedModel if the model does not expose its attention, and
    InputError for a layer that does not exist.
    """
    choice = choice or PageSelection()
    rows = rows_of(subject, answer_statistics(subject), choice)
    sample, words = subject.sample, heading(subject, rows, choice)
    drawing = RenderOptions(tracks=sample.tracks, evidence=sample.evidence) if sample else RenderOptions()
    layers_figure(path, rows, subject.clip, drawing, words)
    if film:
        words = heading(subject, rows, choice, film=True)
        layers_video(path.with_name(f"{path.name}.mp4"), rows, subject.clip, drawing, words)
    return rows


def rows_of(subject: Subject, statistics: HeadStatistics, choice: PageSelection) -> LayerRows:
    """Rows of the page: layers with their heads combined, or the heads of one layer."""
    maps, mass = statistics.attention, statistics.visual_mass
    if choice.layer is not None:
        if not 0 <= choice.layer < len(maps):
            raise InputError(f"layer: expected one from 0 to {len(maps) - 1}, got {choice.layer}")
        maps, mass = maps[choice.layer][:, None], mass[choice.layer][:, None]
    mean = mass.mean(dim=1)
    overall = _numbers(statistics.max)
    profile = overall.sum(axis=(1, 2)).tolist() if choice.by == "most" else None
    return LayerRows(
        "layer" if choice.layer is None else "head",
        tuple(map(str, range(len(maps)))),
        _numbers(maps.amax(dim=1) if choice.reduction == "max" else maps.mean(dim=1)),
        mean.cpu().numpy().astype(np.float64),
        (torch.ones_like(mean, dtype=torch.bool) if choice.every else high_activity(mass)).cpu().numpy(),
        float(torch.minimum(mean.mean() + mean.std(correction=0), mean.max())),
        overall,
        spaced(len(subject.clip), choice.columns, profile),
    )


def _numbers(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(values.float().cpu().numpy(), np.float32)


def heading(subject: Subject, rows: LayerRows, choice: PageSelection, *, film: bool = False) -> Heading:
    """Texts above and below the page, or above and below the film of all rows and frames."""
    sample = subject.sample
    name = sample.id if sample else (subject.clip.path.stem if subject.clip.path else "")
    below = " · ".join(
        filter(None, (name, f"model {Path(subject.model.name).name}", f"explained: {subject.description}"))
    )
    notes = [_cells_note(subject, rows, choice)]
    notes += [] if film else [_rows_note(rows, choice), *_columns_note(subject, rows, choice)]
    return Heading(subject.question.text, tuple(_answers(subject)), below, (*notes, *_boxes_note(subject)))


def _answers(subject: Subject) -> Iterator[tuple[str, bool]]:
    """Yield each answer line and whether it is the model's: options with probabilities, or the free answer."""
    question = subject.question
    if question.reply is not None:
        yield f"answer: {question.reply.text}", True
        return
    shares = subject.logprobs.exp().tolist()
    order = sorted(range(len(shares)), key=lambda option: -shares[option])[:MOST_OPTIONS]
    for option in sorted(order):
        own, right = option == subject.predicted, option == question.answer
        words = ["the model's answer"] * own + ["right"] * right + ["wrong"] * (own and not right)
        remark = ", ".join(words if question.answer is not None else words[:own])
        text = f"{question.letters[option]}. {question.options[option]} · {shares[option]:.1%}"
        yield text + (f" · {remark}" if remark else ""), own
    if len(shares) > MOST_OPTIONS:
        yield f"and {len(shares) - MOST_OPTIONS} less probable", False


def _cells_note(subject: Subject, rows: LayerRows, choice: PageSelection) -> str:
    grid, over = subject.grid, {"max": "maximum", "mean": "mean"}[choice.reduction]
    heads = f", {over} over the layer's heads" if rows.kind == "layer" else ""
    return (
        f"A cell is a visual token ({grid.rows} x {grid.columns} a frame): how much the position that gives the answer "
        f"attends to it{heads}. Colours follow the square root; full colour: {rows.top:.2g}, the 99.5th percentile of "
        f"the page (greatest {float(rows.drawn.max()):.2g})."
    )


def _rows_note(rows: LayerRows, choice: PageSelection) -> str:
    whose = "" if rows.kind == "layer" else f" of layer {choice.layer}"
    shown = f"Rows: {int(rows.shown.sum())} of {len(rows.names)} {rows.kind}s{whose}"
    if choice.every:
        return f"{shown}; last the maximum over all layers and heads."
    mean = ", mean over heads," if rows.kind == "layer" else ""
    rule = f"attention on the whole video{mean} at least one standard deviation above the mean over {rows.kind}s"
    return f"{shown}, those of high activity ({rule}; the highest always); last the maximum over all layers and heads."


def _columns_note(subject: Subject, rows: LayerRows, choice: PageSelection) -> Iterator[str]:
    if len(rows.columns) < len(subject.clip):
        how = "evenly spaced" if choice.by == "even" else "those of most attention (maximum over layers and heads)"
        yield f"Columns: {len(rows.columns)} of {len(subject.clip)} frames, {how}."


def _boxes_note(subject: Subject) -> Iterator[str]:
    tracks = subject.sample.tracks if subject.sample else ()
    if tracks:
        named = ", ".join(track.name for track in tracks)
        yield f"Boxes, all that are annotated: {named}; thick and green while the answer rests on one."
