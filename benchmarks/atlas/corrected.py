"""Re-paired twin of the heads' object AUC: other videos' maps of the same head on the same annotation taken off.

As for a run's maps (tables/corrected): own score minus the mean score of the other maps on this annotation, plus .5. A
head that looks at the same places whatever the video has exactly .5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from attrib.attention.statistics import answer_statistics
from attrib.benchmarks.atlas.head_scores import CHANCE, METRICS
from attrib.benchmarks.atlas.jobs import AtlasJobs, SampleValues
from attrib.benchmarks.checks import nulls, sampling
from attrib.benchmarks.jobs.keys import file_hashes
from attrib.benchmarks.jobs.roles import corrected_label
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.tables.corrected import DIGITS
from attrib.explaining.binding import FrameSampling, bind_sample
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Clip, Provenance, SaliencyVolume, Sample

METRIC = "object_auc"
TWIN = corrected_label(METRIC)


def corrected(jobs: AtlasJobs, own: Floats, step: Progress | None) -> Floats:
    """Return the twin of `own` (samples, layers, heads) for the jobs' samples; NaN without a partner of equal length.

    Each map is scored on the annotation of at most `null_pairs` other videos of its task. Raises nothing for a failed
    sample, whose map is then missing on the others' annotation.
    """
    partners, timing = _partners(jobs), cache(partial(_timing, jobs))
    asked = {sample.id: [[other.id, *file_hashes([other.video])] for other in partners[sample.id]]
             for sample in jobs.samples}  # fmt: skip
    scored = jobs.each(
        "re-paired", partial(_scored, partners, timing), (METRICS[METRIC].score, bind_sample), step, asked
    )
    others: dict[str, list[Floats]] = defaultdict(list)
    for sample, each in zip(jobs.samples, scored, strict=True):
        for partner, values in zip(partners[sample.id], each.values if each.values is not None else (), strict=False):
            others[partner.id].append(values)
    means = np.stack([_mean(others[sample.id], own.shape[1:]) for sample in jobs.samples])
    return np.asarray(np.round(own - means + CHANCE[METRIC], DIGITS))


def _partners(jobs: AtlasJobs) -> Mapping[str, Sequence[Sample]]:
    """Return, by sample id, the samples of other videos of the same task on whose annotation its maps are scored."""
    tasks: dict[str, list[Sample]] = defaultdict(list)
    for sample in sampling.shuffled(jobs.samples, jobs.settings.seed, "partners"):
        tasks[sample.task].append(sample)
    chosen: dict[str, Sequence[Sample]] = {}
    for group in tasks.values():
        enough = len({sample.video_id for sample in group}) >= nulls.LEAST
        chosen |= sampling.partners(group, jobs.settings.null_pairs) if enough else {each.id: () for each in group}
    return chosen


def _timing(jobs: AtlasJobs, video: Path) -> Clip:
    """Return the video's clip with its times alone, which is all that scores on annotation need of it."""
    clip = FrameSampling.of(jobs.settings.model, jobs.model).read(video)
    return replace(clip, frames=np.zeros((len(clip), 1, 1, 3), np.uint8))


def _scored(
    partners: Mapping[str, Sequence[Sample]], timing: Callable[[Path], Clip], jobs: AtlasJobs, sample: Sample
) -> SampleValues:
    """Score the sample's heads (partners, layers, heads) on each partner's annotation, frame by frame."""
    if not partners[sample.id]:
        return SampleValues(np.empty((0, 0, 0)))
    subject = bind_sample(jobs.model, jobs.settings, sample, Target.parse(jobs.settings.target))
    maps = answer_statistics(subject).attention.float().cpu().numpy()
    values = np.full((len(partners[sample.id]), *maps.shape[:2]), np.nan)
    for index, partner in enumerate(partners[sample.id]):
        clip = timing(partner.video)
        if len(clip) != len(subject.clip):
            continue
        other = replace(subject, clip=clip, sample=partner)
        for layer, head in np.ndindex(*maps.shape[:2]):
            volume = SaliencyVolume(np.ascontiguousarray(maps[layer, head]), clip.times, Provenance("head"))
            values[index, layer, head] = METRICS[METRIC].score(volume, other, partner).value
    return SampleValues(values)


def _mean(values: Sequence[Floats], shape: tuple[int, ...]) -> Floats:
    """Return the mean (layers, heads) over the defined values; NaN where there is none."""
    stacked = np.array(values).reshape(-1, *shape)
    known = ~np.isnan(stacked)
    counts = known.sum(axis=0)
    sums = np.where(known, stacked, 0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
