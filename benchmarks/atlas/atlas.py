"""The layers x heads atlas of a set of videos: what heads look at, which are chosen, and what knocking them out costs.

Written into one folder: `atlas.parquet` and `atlas.csv` (columns in `atlas_table`; beside heads' statistics the causal
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
from attrib.benchmarks.atlas.head_scores import CHANCE, STATISTICS, head_values
from attrib.benchmarks.atlas.jobs import Found, Options, Work
from attrib.benchmarks.atlas.selection import SELECTING, Parts, Scores
from attrib.benchmarks.atlas.table import head_table
from attrib.benchmarks.stats.bootstrap import Floats, totals
from attrib.benchmarks.stats.resampling import Resampling
from attrib.config import Config
from attrib.errors import InputError
from attrib.explaining.binding import bind_sample
from attrib.runtime.files import write_text, writing
from attrib.runtime.progress import Progress
from attrib.subject import Target
from attrib.types import Sample


@dataclass(frozen=True, eq=False)
class Atlas:
    """`table` (see `atlas_table`), `selection` as it is written, failing samples' errors, and the videos' warnings."""

    table: pd.DataFrame
    selection: dict[str, Any]
    failures: dict[str, str]
    warnings: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the table, the selection and the picture into `folder`."""
        from attrib.benchmarks.atlas.figure import draw  # matplotlib

        with writing(folder / "atlas.parquet") as part:
            self.table.to_parquet(part, index=False)
        with writing(folder / "atlas.csv") as part:
            self.table.to_csv(part, index=False)
        write_text(folder / "selection.json", json.dumps(_plain(self.selection), indent=2, allow_nan=False) + "\n")
        draw(folder / "atlas", self.table, self.selection)


def _plain(value: Any) -> Any:
    """NaNs as null, which JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def atlas(work: Work, step: Progress | None = None) -> Atlas:
    """Every sample once for its heads' values, and once for the knockouts, with heads chosen on the other half.

    A sample that fails is recorded and the others go on. Raises InputError where fewer than two videos are left.
    """
    samples, settings, options = work.samples, work.settings, work.options
    _require_halves(samples, "")
    found = list(work.each("heads", _looked, (head_values, bind_sample), step))
    failures = {sample.id: each.error for sample, each in zip(samples, found, strict=True) if each.error}
    kept = [sample for sample in samples if sample.id not in failures]
    _require_halves(kept, f" that can be used; {next(iter(failures.values()), '')}")
    values = np.stack([each.values for each in found if each.values is not None])
    parts, selection = selected(values, [sample.video_id for sample in kept], settings, options)
    table = head_table(values, [sample.video_id for sample in kept], Resampling(settings.resamples, settings.seed))
    if options.causal != "none" and selection["statistic"]:
        cut = knocked(replace(work, samples=tuple(kept)), parts, values.shape[2:], step)
        failures |= {sample.id: each.error for sample, each in zip(kept, cut, strict=True) if each.error}
        whole = causal(cut, kept, parts, selection, settings)
        table = pd.concat([table, *whole], ignore_index=True)
    warnings = (text for each in found for text in each.warnings)
    return Atlas(table, {**selection, "failures": failures}, failures, tuple(dict.fromkeys(warnings)))


def _looked(work: Work, sample: Sample) -> Found:
    subject = bind_sample(work.model, work.settings, sample, Target.parse(work.settings.target), work.peers(sample))
    warnings = tuple(f"{sample.video_id}: {text}" for text in subject.clip.warnings)
    return Found(head_values(subject, sample), warnings=warnings)


def _require_halves(samples: Sequence[Sample], words: str) -> None:
    count = len({sample.video_id for sample in samples})
    if count < 2:
        raise InputError(f"atlas: expected at least 2 videos, one for each half, got {count}{words}")


def selected(values: Floats, videos: list[str], settings: Config, options: Options) -> tuple[Parts, dict[str, Any]]:
    """Both halves with the heads chosen on the other one, and what these reach there.

    Heads are chosen by the first of SELECTING that has a value in two videos of each half; by none if there is none.
    """
    heads = values.shape[3]
    about: dict[str, Any] = {"top": min(options.top, values.shape[2] * heads), "seed": settings.seed,
                             "samples": len(values), "videos": len(set(videos)), "model": settings.model.name,
                             "layers": values.shape[2], "heads": heads, "statistic": None}  # fmt: skip
    for name in SELECTING:
        own = values[:, STATISTICS.index(name)].reshape(len(values), -1)
        scores = Scores(own, videos, Resampling(settings.resamples, settings.seed))
        parts = selecting.halves(scores, about["top"])
        if all(_counts(scores.of(part)) > 1 for part, _ in parts):
            reports = [_half(scores, part, chosen, heads) for part, chosen in parts]
            both = selecting.crossed(scores, parts)
            return parts, {**about, "statistic": name, "chance": CHANCE[name], "halves": reports, "both": both}
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
