"""Causal column of an atlas: knockouts of each sample's chosen heads and of whole layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.atlas import selection as selecting
from attrib.benchmarks.atlas.jobs import AtlasJobs, SampleValues
from attrib.benchmarks.atlas.knockout import NAMES, KnockoutScene, random_heads
from attrib.benchmarks.atlas.selection import Halves, Head, Scores
from attrib.benchmarks.atlas.table import WHOLE_LAYER, rows
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.stats.resampling import Resampling
from attrib.config import Config
from attrib.explaining.binding import bind_sample
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Sample


def knocked(jobs: AtlasJobs, halves: Halves, shape: tuple[int, ...], step: Progress | None) -> list[SampleValues]:
    """Compute each sample's knockouts (1 + layers, NAMES), see `_cut`, of the heads chosen on the other half."""
    chosen = {jobs.samples[index].id: [divmod(head, shape[1]) for head in heads]
              for half, heads in halves for index in np.flatnonzero(half)}  # fmt: skip
    given = {**chosen, "": [jobs.options.draws, jobs.options.causal]}
    return list(jobs.each("knockouts", partial(_cut, chosen, shape), (KnockoutScene, bind_sample), step, given))


def _cut(chosen: Mapping[str, Sequence[Head]], shape: tuple[int, ...], jobs: AtlasJobs, sample: Sample) -> SampleValues:
    """Knock out the chosen heads and, if wanted, all heads of each layer, which have no random heads."""
    (layers, heads), options, seed = shape, jobs.options, jobs.settings.seed
    whole = range(layers) if options.causal == "layers" else ()
    try:
        subject = bind_sample(jobs.model, jobs.settings, sample, Target.parse(jobs.settings.target))
        scene = KnockoutScene.of(subject, sample, options.draws, seed)
    except UndefinedError as case:
        return SampleValues(np.full((1 + len(whole), len(NAMES)), np.nan), reason=str(case))
    random = random_heads(sample, (layers, heads), len(chosen[sample.id]), options.draws, seed)
    falls = [scene.falls([(layer, head) for head in range(heads)], ()) for layer in whole]
    return SampleValues(np.array([scene.falls(chosen[sample.id], random), *falls]))


def causal(
    cut: Sequence[SampleValues], samples: Sequence[Sample], halves: Halves, selection: dict[str, Any], settings: Config
) -> list[pd.DataFrame]:
    """Add the knockouts of the chosen heads to the selection; return the layers' rows of the table."""
    shape = next((each.values.shape for each in cut if each.values is not None), (1, len(NAMES)))
    falls = np.stack([np.full(shape, np.nan) if each.values is None else each.values for each in cut])
    videos = [sample.video_id for sample in samples]
    resampling = Resampling(settings.resamples, settings.seed)
    scores = Scores(falls[:, 0], videos, resampling)
    for report, (half, _) in zip(selection["halves"], halves, strict=True):
        report["knockout"] = _knockout(scores.of(half))
    selection["both"]["knockout"] = _knockout(scores)
    selection["undefined"] = {sample.id: each.reason for sample, each in zip(samples, cut, strict=True) if each.reason}
    whole = {
        "layer_evidence": falls[:, 1:, 0], "layer_random_tokens": falls[:, 1:, 1],
        "layer_other_objects": falls[:, 1:, 2], "layer_knockout": falls[:, 1:, 0] - falls[:, 1:, 1],
        "layer_knockout_objects": falls[:, 1:, 0] - falls[:, 1:, 2],
    }  # fmt: skip
    layers = [(layer, WHOLE_LAYER) for layer in range(shape[0] - 1)]
    return [rows(values, videos, layers, name, resampling) for name, values in whole.items() if layers]


def _knockout(scores: Scores) -> dict[str, Any]:
    """Falls of the log-odds in nats, and by how much the evidence's exceeds each control's, paired."""
    evidence = scores.values[:, 0]
    falls: dict[str, Any] = {name: scores.summary(scores.values[:, index]) for index, name in enumerate(NAMES)}
    for index, name in list(enumerate(NAMES))[1:]:
        away = evidence - scores.values[:, index]
        falls[f"minus_{name}"] = {**scores.summary(away), "p": selecting.p_difference(scores, away)}
    return falls
