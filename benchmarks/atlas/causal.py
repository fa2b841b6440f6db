"""The causal column of an atlas: knockouts of each sample's chosen heads and of whole layers, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.atlas import selection as selecting
from attrib.benchmarks.atlas.jobs import Found, Work
from attrib.benchmarks.atlas.knockout import NAMES, Scene, random_heads
from attrib.benchmarks.atlas.selection import Head, Parts, Scores
from attrib.benchmarks.atlas.table import WHOLE_LAYER, rows
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.stats.resampling import Resampling
from attrib.config import Config
from attrib.explaining.binding import bind_sample
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Sample


def knocked(work: Work, parts: Parts, shape: tuple[int, ...], step: Progress | None) -> list[Found]:
    """Of each sample (1 + layers, NAMES), see `_cut`, with the heads that were chosen on the half that it is not in."""
    chosen = {work.samples[place].id: [divmod(head, shape[1]) for head in heads]
              for part, heads in parts for place in np.flatnonzero(part)}  # fmt: skip
    given = {**chosen, "": [work.options.draws, work.options.causal]}
    return list(work.each("knockouts", partial(_cut, chosen, shape), (Scene, bind_sample), step, given))


def _cut(chosen: Mapping[str, Sequence[Head]], shape: tuple[int, ...], work: Work, sample: Sample) -> Found:
    """Of the chosen heads and, if wanted, of all heads of each layer, which have no random heads."""
    (layers, heads), options, seed = shape, work.options, work.settings.seed
    whole = range(layers) if options.causal == "layers" else ()
    try:
        subject = bind_sample(work.model, work.settings, sample, Target.parse(work.settings.target))
        scene = Scene.of(subject, sample, options.draws, seed)
    except UndefinedError as case:
        return Found(np.full((1 + len(whole), len(NAMES)), np.nan), reason=str(case))
    random = random_heads(sample, (layers, heads), len(chosen[sample.id]), options.draws, seed)
    falls = [scene.falls([(layer, head) for head in range(heads)], ()) for layer in whole]
    return Found(np.array([scene.falls(chosen[sample.id], random), *falls]))


def causal(
    cut: Sequence[Found], samples: Sequence[Sample], parts: Parts, selection: dict[str, Any], settings: Config
) -> list[pd.DataFrame]:
    """Adds the knockouts of the chosen heads to the selection; returns the layers' rows of the table."""
    shape = next((each.values.shape for each in cut if each.values is not None), (1, len(NAMES)))
    falls = np.stack([np.full(shape, np.nan) if each.values is None else each.values for each in cut])
    videos = [sample.video_id for sample in samples]
    resampling = Resampling(settings.resamples, settings.seed)
    scores = Scores(falls[:, 0], videos, resampling)
    for half, (part, _) in zip(selection["halves"], parts, strict=True):
        half["knockout"] = _knockout(scores.of(part))
    selection["both"]["knockout"] = _knockout(scores)
    selection["undefined"] = {sample.id: each.reason for sample, each in zip(samples, cut, strict=True) if each.reason}
    whole = {
        "layer_evidence": falls[:, 1:, 0], "layer_random_tokens": falls[:, 1:, 1],
        "layer_other_objects": falls[:, 1:, 2], "layer_knockout": falls[:, 1:, 0] - falls[:, 1:, 1],
        "layer_knockout_objects": falls[:, 1:, 0] - falls[:, 1:, 2],
    }  # fmt: skip
    places = [(layer, WHOLE_LAYER) for layer in range(shape[0] - 1)]
    return [rows(values, videos, places, name, resampling) for name, values in whole.items() if places]


def _knockout(scores: Scores) -> dict[str, Any]:
    """Falls of the log-odds in nats, and how much more the evidence's is than each control's, paired."""
    evidence = scores.values[:, 0]
    found: dict[str, Any] = {name: scores.summary(scores.values[:, place]) for place, name in enumerate(NAMES)}
    for place, name in list(enumerate(NAMES))[1:]:
        away = evidence - scores.values[:, place]
        found[f"minus_{name}"] = {**scores.summary(away), "p": selecting.p_difference(scores, away)}
    return found
