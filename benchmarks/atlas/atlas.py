"""The layers x heads atlas of a set of videos: what heads look at, which are chosen, and what knocking them out costs.

Written into one folder: `atlas.parquet` and `atlas.csv` (columns in `table`; beside heads' statistics the causal
column of whole layers, head -1: `layer_evidence`, `layer_random_tokens`, `layer_other_objects`, and by how much the
first exceeds these, paired: `layer_knockout`, `layer_knockout_objects`),
`selection.json` (split, heads, numbers), `atlas.png` and `atlas.pdf`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attrib.benchmarks.atlas import selection as selecting
from attrib.benchmarks.atlas.causal import causal, knocked
from attrib.benchmarks.atlas.corrected import METRIC, TWIN, corrected
from attrib.benchmarks.atlas.head_scores import CHANCE, STATISTICS, head_values
from attrib.benchmarks.atlas.jobs import AtlasJobs, Options, SampleValues
from attrib.benchmarks.atlas.selection import SELECTING, Halves, Scores
from attrib.benchmarks.atlas.table import head_table, rows
from attrib.benchmarks.stats.products import Floats
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.stats.totals import totals
from attrib.config import Config
from attrib.errors import InputError
from attrib.explaining.binding import bind_sample
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Sample


@dataclass(frozen=True, eq=False)
class Atlas:
    """Table of heads (see atlas/table), selection.json, errors by sample, and warnings of the videos."""

    table: pd.DataFrame
    selection: dict[str, Any]
    failures: dict[str, str]
    warnings: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the table, the selection and the picture into `folder`."""
        from attrib.benchmarks.atlas.figure import draw  # matplotlib

        with writing(folder / "atlas.parquet") as path:
            path.write_bytes(self.table.to_parquet(index=False))
        with writing(folder / "atlas.csv") as path:
            self.table.to_csv(path, index=False)
        write_text(folder / "selection.json", json.dumps(_plain(self.selection), indent=2, allow_nan=False) + "\n")
        draw(folder / "atlas", self.table, self.selection)


def _plain(value: Any) -> Any:
    """Replace NaNs by None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def atlas(jobs: AtlasJobs, step: Progress | None = None) -> Atlas:
    """Score every sample's heads, then knock out the heads chosen on the other half.

    Failures are recorded and the atlas continues. Raises InputError where fewer than two videos are left.
    """
    samples, settings, options = jobs.samples, jobs.settings, jobs.options
    _require_halves(samples, "")
    scored = list(jobs.each("heads", _scored, (head_values, bind_sample), step))
    failures = {sample.id: each.error for sample, each in zip(samples, scored, strict=True) if each.error}
    usable = [sample for sample in samples if sample.id not in failures]
    _require_halves(usable, f" that can be used; {next(iter(failures.values()), '')}")
    values = np.stack([each.values for each in scored if each.values is not None])
    halves, selection = selected(values, [sample.video_id for sample in usable], settings, options)
    resampling, videos = Resampling(settings.resamples, settings.seed), [sample.video_id for sample in usable]
    table = head_table(values, videos, resampling)
    if settings.null_pairs:
        twin = corrected(replace(jobs, samples=tuple(usable)), values[:, STATISTICS.index(METRIC)], step)
        heads = list(np.ndindex(*twin.shape[1:]))
        table = pd.concat(
            [table, rows(twin.reshape(len(twin), -1), videos, heads, TWIN, resampling)], ignore_index=True
        )
        selecting.add_corrected(selection, halves, Scores(twin.reshape(len(twin), -1), videos, resampling))
    if options.causal != "none" and selection["statistic"]:
        cut = knocked(replace(jobs, samples=tuple(usable)), halves, values.shape[2:], step)
        failures |= {sample.id: each.error for sample, each in zip(usable, cut, strict=True) if each.error}
        whole = causal(cut, usable, halves, selection, settings)
        table = pd.concat([table, *whole], ignore_index=True)
    warnings = (text for each in scored for text in each.warnings)
    return Atlas(table, {**selection, "failures": failures}, failures, tuple(dict.fromkeys(warnings)))


def _scored(jobs: AtlasJobs, sample: Sample) -> SampleValues:
    subject = bind_sample(jobs.model, jobs.settings, sample, Target.parse(jobs.settings.target), jobs.peers(sample))
    warnings = tuple(f"{sample.video_id}: {text}" for text in subject.clip.warnings)
    return SampleValues(head_values(subject, sample), warnings=warnings)


def _require_halves(samples: Sequence[Sample], words: str) -> None:
    count = len({sample.video_id for sample in samples})
    if count < 2:
        raise InputError(f"atlas: expected at least 2 videos, one for each half, got {count}{words}")


def selected(values: Floats, videos: list[str], settings: Config, options: Options) -> tuple[Halves, dict[str, Any]]:
    """Return both halves with the heads chosen on the other one, and the report on these heads.

    Heads are chosen by the first of SELECTING that has a value in two videos of each half.
    """
    heads = values.shape[3]
    about: dict[str, Any] = {"top": min(options.top, values.shape[2] * heads), "seed": settings.seed,
                             "samples": len(values), "videos": len(set(videos)), "model": settings.model.name,
                             "layers": values.shape[2], "heads": heads, "statistic": None}  # fmt: skip
    for name in SELECTING:
        own = values[:, STATISTICS.index(name)].reshape(len(values), -1)
        scores = Scores(own, videos, Resampling(settings.resamples, settings.seed))
        halves = selecting.halves(scores, about["top"])
        if all(_counts(scores.of(half)) > 1 for half, _ in halves):
            reports = [_half(scores, half, chosen, heads) for half, chosen in halves]
            both = selecting.crossed(scores, halves)
            return halves, {**about, "statistic": name, "chance": CHANCE[name], "halves": reports, "both": both}
    return [], about


def _counts(scores: Scores) -> int:
    return int(totals(scores.values, scores.videos).present.any(axis=1).sum())


def _half(scores: Scores, reported: Any, chosen: list[int], heads: int) -> dict[str, Any]:
    here, there = scores.of(reported), scores.of(~reported)
    return {
        "chosen_on": sorted(set(map(str, there.videos))), "reported_on": sorted(set(map(str, here.videos))),
        "heads": [list(divmod(head, heads)) for head in chosen],
        "where_chosen": there.summary(selecting.mean_over(there.values[:, chosen])),
        **selecting.report(here, chosen),
    }  # fmt: skip
