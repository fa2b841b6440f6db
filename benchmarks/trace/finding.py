"""The finding of a trace by rule: where the evidence's states stop to carry the answer and the last token's begin.

For each sample: `leaves` is the layer at which the share that the evidence restores falls below a half for good,
`arrives` that at which the last token's rises above it for good, and `crossing` that at which the two curves cross,
each between two layers by a straight line. It `holds` where the evidence carries the answer at the first layer and the
last token does not; at the last layer the last token always does.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling

HALF = 0.5
NAMES = {"evidence": "the evidence object's tokens", "video": "the video's tokens", "text": "the text's tokens",
         "last": "the last token", "nobody": "no group alone"}  # fmt: skip
NOBODY = "nobody"
POINTS = ("leaves", "arrives", "crossing")


def rises(layers: Floats, values: Floats) -> float:
    """Return where a curve (layers,) goes above 0 for good, joining its points by straight lines.

    NaN where it is above 0 from the start, or is not at the end.
    """
    below = np.flatnonzero(~(values > 0))
    if not len(below) or below[-1] == len(values) - 1:
        return float("nan")
    at = int(below[-1])
    share = -values[at] / (values[at + 1] - values[at])
    return float(layers[at] + share * (layers[at + 1] - layers[at]))


def points(layers: Floats, source: Floats, last: Floats) -> dict[str, float]:
    """Return the POINTS of one sample, from its curves (layers,)."""
    ends = (rises(layers, HALF - source), rises(layers, last - HALF), rises(layers, last - source))
    return dict(zip(POINTS, ends, strict=True))


def finding(rows: pd.DataFrame, videos: Mapping[str, Hashable], resampling: Resampling) -> dict[str, Any]:
    """Return the finding on the samples' rows as plain values, with its sentence; empty without any row.

    `videos` names each sample's video. The source is the group `evidence`, or `video` where none is annotated.
    """
    own = rows[(rows["kind"] == "group") & (rows["stream"] == "residual")]
    source = next((name for name in ("evidence", "video") if (own["part"] == name).any()), "")
    if not source:
        return {}
    curves = {name: own[own["part"] == name].pivot(index="sample", columns="layer", values="share")
              for name in (source, "text", "last")}  # fmt: skip
    samples = list(curves[source].index)
    layers = curves[source].columns.to_numpy(np.float64)
    values = {name: curve.loc[samples].to_numpy(np.float64) for name, curve in curves.items()}
    each = [points(layers, *pair) for pair in zip(values[source], values["last"], strict=True)]
    holds = (values[source][:, 0] >= HALF) & (values["last"][:, 0] < HALF)
    names = [videos[sample] for sample in samples]
    found: dict[str, Any] = {
        "source": source, "layers": [int(layers[0]), int(layers[-1])],
        "samples": len(samples), "videos": len(set(names)), "holds": int(holds.sum()),
        **{name: _interval([one[name] for one in each], names, resampling) for name in POINTS},
        "leading": _leading(layers, {name: curve.mean(axis=0) for name, curve in values.items()}),
    }  # fmt: skip
    return {**found, "sentence": sentence(found)}


def _interval(values: Sequence[float], videos: Sequence[Hashable], resampling: Resampling) -> dict[str, Any]:
    return clustered_interval(values, videos, resampling)._asdict()


def _leading(layers: Floats, means: Mapping[str, Floats]) -> list[list[Any]]:
    """Return [group, first layer, last layer] of each run of layers with one leader: the greatest mean, if a half."""
    names = list(means)
    found: list[list[Any]] = []
    stacked = np.stack(list(means.values()))
    for layer, best, share in zip(layers, stacked.argmax(axis=0), stacked.max(axis=0), strict=True):
        leader = names[best] if share >= HALF else NOBODY
        if found and found[-1][0] == leader:
            found[-1][2] = int(layer)
        else:
            found.append([leader, int(layer), int(layer)])
    return found


def sentence(found: Mapping[str, Any]) -> str:
    """Return the finding in two sentences."""
    parts = found["leading"]
    spans = [f"{NAMES[name]} {_span(first, last, parts)}" for name, first, last in parts[1:]]
    leader, first, last = parts[0]
    verb, name = "carries" if leader in ("last", NOBODY) else "carry", NAMES[leader]
    said = f"{name[0].upper()}{name[1:]} {verb} the answer {_span(first, last, parts)}"
    said = ", ".join([said, *spans]) + "."
    crossing, source, unit = found["crossing"], NAMES[found["source"]], _unit(found)
    if np.isnan(crossing["mean"]):
        return f"{said} The curves of {source} and of the last token do not cross."
    ends = "" if np.isnan(crossing["low"]) else f" [{crossing['low']:.1f}, {crossing['high']:.1f}]"
    return (f"{said} The curves of {source} and of the last token cross at layer {crossing['mean']:.1f}{ends}; "
            f"the former carry it first in {found['holds']} of {unit}.")  # fmt: skip


def _unit(found: Mapping[str, Any]) -> str:
    count, word = found["samples"], "video" if found["samples"] == found["videos"] else "question"
    return f"{count} {word}{'s' * (count != 1)}"


def _span(first: int, last: int, parts: Sequence[Sequence[Any]]) -> str:
    if len(parts) == 1:
        return "at all layers"
    if last == parts[-1][2]:
        return f"from layer {first} on"
    if first == parts[0][1]:
        return f"up to layer {last}"
    return f"at layer {first}" if first == last else f"at layers {first} to {last}"
