"""The layers x heads atlas of a set of videos: what heads look at, which are chosen, and what knocking them out costs.

Written into one folder: `atlas.parquet` and `atlas.csv` (columns in `atlas_table`; beside heads' statistics the causal
column of whole layers, head -1: `layer_evidence`, `layer_random_tokens`, `layer_other_objects`, and by how much the
first exceeds these, paired: `layer_knockout`, `layer_knockout_objects`),
`selection.json` (split, heads, numbers), `atlas.png` and `atlas.pdf`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from attrib.api import Step, tell
from attrib.benchmarks import head_selection as selecting
from attrib.benchmarks.atlas_table import WHOLE_LAYER, Draws, head_table, rows
from attrib.benchmarks.atlas_values import CHANCE, STATISTICS, head_values
from attrib.benchmarks.cells import UndefinedError
from attrib.benchmarks.head_knockout import NAMES, Scene, random_heads
from attrib.benchmarks.head_selection import SELECTING, Head, Scores
from attrib.benchmarks.layers import bound
from attrib.benchmarks.statistics import Floats, totals
from attrib.benchmarks.workers import spread
from attrib.config import Config
from attrib.errors import InputError, told
from attrib.files import write_text, writing
from attrib.method import require_at_least, require_choice
from attrib.model import VideoModel
from attrib.types import Sample

Causal = Literal["none", "heads", "layers"]


@dataclass(frozen=True)
class Options:
    """`top` heads are chosen on each half; `draws` random token sets and head choices for each knockout.

    `causal`: nothing is knocked out, the chosen heads, or also all heads of each layer.
    """

    top: int = 3
    draws: int = 5
    causal: Causal = "layers"

    def __post_init__(self) -> None:
        require_at_least("top", self.top, 1)
        require_at_least("draws", self.draws, 1)
        require_choice("causal", self.causal, get_args(Causal))


@dataclass(frozen=True, eq=False)
class Atlas:
    """`table` (see `atlas_table`), `selection` as it is written, failing samples' errors, and the videos' warnings."""

    table: pd.DataFrame
    selection: dict[str, Any]
    failures: dict[str, str]
    warnings: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the table, the selection and the picture into `folder`."""
        from attrib.benchmarks.atlas_figure import draw  # matplotlib

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


@dataclass(frozen=True)
class Work:
    """What the processes share."""

    settings: Config
    model: VideoModel
    samples: tuple[Sample, ...]
    options: Options

    def peers(self, sample: Sample) -> tuple[Sample, ...]:
        """The samples of the other videos."""
        return tuple(other for other in self.samples if other.video_id != sample.video_id)

    @property
    def workers(self) -> int:
        """Processes; one where the model is not on the CPU, which forked processes could not share."""
        return self.settings.workers if self.model.device.type == "cpu" else 1


@dataclass(frozen=True)
class Found:
    """One sample's values, or the error it ended with; `reason` says why values are NaN."""

    values: Floats | None
    error: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()


def atlas(
    model: VideoModel, settings: Config, samples: Sequence[Sample], options: Options, step: Step | None = None
) -> Atlas:
    """Every sample once for its heads' values, and once for the knockouts, with heads chosen on the other half.

    A sample that fails is recorded and the others go on. Raises InputError where fewer than two videos are left.
    """
    _require_halves(samples, "")
    work = Work(settings, model, tuple(samples), options)
    found = list(_each(partial(_valued, work), work, "looking at heads", step))
    failures = {sample.id: each.error for sample, each in zip(samples, found, strict=True) if each.error}
    kept = [sample for sample in samples if sample.id not in failures]
    _require_halves(kept, f" that can be used; {next(iter(failures.values()), '')}")
    values = np.stack([each.values for each in found if each.values is not None])
    parts, selection = selected(values, [sample.video_id for sample in kept], settings, options)
    table = head_table(values, [sample.video_id for sample in kept], _draws(settings))
    if options.causal != "none" and selection["statistic"]:
        cut = _knocked(Work(settings, model, tuple(kept), options), parts, values.shape[2:], step)
        failures |= {sample.id: each.error for sample, each in zip(kept, cut, strict=True) if each.error}
        whole = causal(cut, kept, parts, selection, settings)
        table = pd.concat([table, *whole], ignore_index=True)
    warnings = (text for each in found for text in each.warnings)
    return Atlas(table, {**selection, "failures": failures}, failures, tuple(dict.fromkeys(warnings)))


def _require_halves(samples: Sequence[Sample], words: str) -> None:
    count = len({sample.video_id for sample in samples})
    if count < 2:
        raise InputError(f"atlas: expected at least 2 videos, one for each half, got {count}{words}")


def _draws(settings: Config) -> Draws:
    return Draws(settings.resamples, settings.seed)


def _each(do: Any, work: Work, what: str, step: Step | None) -> Iterator[Found]:
    tell(step, what, 0, len(work.samples))
    for number, found in enumerate(spread(do, work.samples, work.workers), 1):
        yield found
        tell(step, what, number, len(work.samples))


def _valued(work: Work, sample: Sample) -> Found:
    try:
        subject = bound(work.model, work.settings, sample, work.peers(sample))
        return Found(head_values(subject, sample), warnings=tuple(
            f"{sample.video_id}: {text}" for text in subject.clip.warnings))  # fmt: skip
    except Exception as error:  # one sample is no reason to lose the others
        return Found(None, told(error))


Parts = list[tuple[Any, list[int]]]  # samples that are reported (n,), and the heads that were chosen on the others


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
        scores = Scores(own, videos, settings.resamples, settings.seed)
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


def _knocked(work: Work, parts: Parts, shape: tuple[int, ...], step: Step | None) -> list[Found]:
    chosen = {work.samples[place].id: [divmod(head, shape[1]) for head in heads]
              for part, heads in parts for place in np.flatnonzero(part)}  # fmt: skip
    return list(_each(partial(_cut, work, chosen, shape), work, "knocking heads out", step))


def _cut(work: Work, chosen: dict[str, list[Head]], shape: tuple[int, ...], sample: Sample) -> Found:
    """(1 + layers, NAMES): of the chosen heads and, if wanted, of each whole layer, which has no random heads."""
    (layers, heads), options, seed = shape, work.options, work.settings.seed
    try:
        scene = Scene.of(bound(work.model, work.settings, sample), sample, options.draws, seed)
        random = random_heads(sample, (layers, heads), len(chosen[sample.id]), options.draws, seed)
        whole = range(layers) if options.causal == "layers" else ()
        falls = [scene.falls([(layer, head) for head in range(heads)], ()) for layer in whole]
        return Found(np.array([scene.falls(chosen[sample.id], random), *falls]))
    except UndefinedError as case:
        count = 1 + layers * (options.causal == "layers")
        return Found(np.full((count, len(NAMES)), np.nan), reason=str(case))
    except Exception as error:
        return Found(None, told(error))


def causal(
    cut: Sequence[Found], samples: Sequence[Sample], parts: Parts, selection: dict[str, Any], settings: Config
) -> list[pd.DataFrame]:
    """Adds the knockouts of the chosen heads to the selection; returns the layers' rows of the table."""
    shape = next((each.values.shape for each in cut if each.values is not None), (1, len(NAMES)))
    falls = np.stack([np.full(shape, np.nan) if each.values is None else each.values for each in cut])
    videos = [sample.video_id for sample in samples]
    scores = Scores(falls[:, 0], videos, settings.resamples, settings.seed)
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
    return [rows(values, videos, places, name, _draws(settings)) for name, values in whole.items() if places]


def _knockout(scores: Scores) -> dict[str, Any]:
    """Falls of the log-odds in nats, and how much more the evidence's is than each control's, paired."""
    evidence = scores.values[:, 0]
    found: dict[str, Any] = {name: scores.summary(scores.values[:, place]) for place, name in enumerate(NAMES)}
    for place, name in list(enumerate(NAMES))[1:]:
        away = evidence - scores.values[:, place]
        found[f"minus_{name}"] = {**scores.summary(away), "p": selecting.p_difference(scores, away)}
    return found
