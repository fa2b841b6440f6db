"""Statistics of every decoder head on one sample: how much it attends to the video, and whether to the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attrib.attention.statistics import answer_statistics
from attrib.benchmarks.metrics.objects.mass import Log2LiftTime
from attrib.benchmarks.metrics.objects.object_auc import ObjectAUC
from attrib.benchmarks.metrics.objects.other_videos import ShuffledAUC
from attrib.benchmarks.stats.products import Floats
from attrib.metric import Metric
from attrib.subject import Subject
from attrib.types import Provenance, SaliencyVolume, Sample

METRICS: Mapping[str, Metric] = {"object_auc": ObjectAUC(), "shuffled_auc": ShuffledAUC(), "time_lift": Log2LiftTime()}
STATISTICS = (*METRICS, "visual_mass", "sink_share", "spatial_entropy")
CHANCE = {"object_auc": 0.5, "object_auc_corrected": 0.5, "shuffled_auc": 0.5, "time_lift": 0.0}  # others have none


def head_values(subject: Subject, sample: Sample) -> Floats:
    """Each of STATISTICS of every head's attention, (statistics, layers, heads); NaN where it is undefined.

    Raises UnsupportedModel when the model does not expose its attention.
    """
    statistics = answer_statistics(subject)
    maps = statistics.attention.float().cpu().numpy()
    scored = [[_scored(head, subject, sample) for head in layer] for layer in maps]
    entropy = statistics.spatial_entropy.masked_fill(statistics.spatial_entropy.isinf(), float("nan"))
    plain = [values.double().cpu().numpy() for values in (statistics.visual_mass, statistics.sink_share, entropy)]
    return np.concatenate([np.moveaxis(np.array(scored), 2, 0), np.stack(plain)])


def _scored(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], subject: Subject,
            sample: Sample) -> Sequence[float]:  # fmt: skip
    volume = SaliencyVolume(np.ascontiguousarray(values), subject.clip.times, Provenance("head"))
    return [metric.score(volume, subject, sample).value for metric in METRICS.values()]
