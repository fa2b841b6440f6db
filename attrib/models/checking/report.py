"""Report on a checkpoint: what was checked on which machine, and what its methods cost."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from attrib.errors import InputError
from attrib.model import VideoModel
from attrib.models.black_box import BlackBox
from attrib.models.checking.checks import CHECKS, CheckResult, compare
from attrib.models.checking.costs import MethodRun, run_method
from attrib.models.checking.official import Case, OpaqueCase
from attrib.models.family_model import FamilyModel
from attrib.runtime.progress import Progress, report_progress
from attrib.types import Clip, Shot

PACKAGES = ("attrib", "torch", "transformers")
NOISE = (120, 160)  # height and width of the frames of a clip of noise
SHORT_FRAMES, SHORT_TOKENS = 5, 1500  # most of the short clip, whose attention is stored in full
LEAST_SIDE = 32  # pixels


@dataclass(frozen=True)
class ModelReport:
    """Comparisons and runs of one model. `setting` says what they were made on; its keys are words for a reader."""

    setting: dict[str, str]
    checks: tuple[CheckResult, ...]
    methods: tuple[MethodRun, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """One line for each check that differs and each method that failed."""
        differing = [f"{each.name}: {_found(each)}" for each in self.checks if each.verdict == "differs"]
        return (*differing, *(f"{each.method}: {each.reason}" for each in self.methods if each.outcome == "failed"))

    def record(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "faults": list(self.faults)}


def _found(each: CheckResult) -> str:
    if each.value is None:
        return each.reason
    return f"expected at {'least' if each.at_least else 'most'} {each.limit:g} {each.meaning}; got {each.value:.3g}"


def noise(model: VideoModel, frames: int) -> Clip:
    """Return a clip of noise whose times are uneven; its frames are square where the model refuses others."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (frames, *NOISE, 3), dtype=np.uint8)
    times = generator.uniform(0.2, 0.9, frames).cumsum().round(3)
    clip = Clip(pictures, times - times[0] + 0.033, float(times[-1]) + 0.5)
    try:
        model.preprocess(clip)
    except InputError:
        return replace(clip, frames=np.ascontiguousarray(pictures[:, :, : NOISE[0]]))
    return clip


def report(model: VideoModel, clip: Clip, methods: Sequence[str], step: Progress | None = None) -> ModelReport:
    """Check the model on the clip and run the methods, all with their default parameters.

    Raises InputError for an adapter without an official network beside it, and a clip that the processor does not take.
    """
    whole, short = _case(model, clip), _case(model, shortened(model, clip))
    total = len(CHECKS) + len(methods)
    checks, runs = [], []
    for index, check in enumerate(CHECKS):
        report_progress(step, check.name, index, total)
        checks.append(compare(check, whole if check.whole else short))
    for index, name in enumerate(methods):
        report_progress(step, name, len(CHECKS) + index, total)
        runs.append(run_method(name, whole.subject))
    return ModelReport(_setting(whole, short), tuple(checks), tuple(runs))


def _case(model: VideoModel, clip: Clip) -> Case:
    if isinstance(model, BlackBox):
        return OpaqueCase(model, clip)
    if isinstance(model, FamilyModel):
        return Case(model, clip)
    raise InputError(f"model {model.name!r}: it is no checkpoint of transformers, with which it could be compared")


def shortened(model: VideoModel, clip: Clip) -> Clip:
    """Return the first frames, thinned in space until their attention can be stored."""
    frames = min(len(clip), SHORT_FRAMES)
    end = clip.end if frames == len(clip) else float(clip.times[frames])
    first = replace(clip, frames=clip.frames[:frames], times=clip.times[:frames], end=end)
    found, side = first, min(clip.frames.shape[1:3])
    for stride in range(1, side // LEAST_SIDE + 1):
        found = replace(first, frames=np.ascontiguousarray(first.frames[:, ::stride, ::stride]))
        if model.grid(Shot.of(model.preprocess(found), found)).tokens <= SHORT_TOKENS:
            break
    return found


def _setting(whole: Case, short: Case) -> dict[str, str]:
    model = whole.model
    gpu = model.device.type == "cuda"
    machine = torch.cuda.get_device_name(model.device) if gpu else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    packing = ", ".join(f"{name}={value}" for name, value in {**whole.media.packing(), **whole.media.changed}.items())
    return {
        "model": model.name, "revision": model.revision or "unknown",
        "family": f"{whole.network.config.model_type} ({_adapter(whole)})",
        "versions": f"{packages}, Python {platform.python_version()}",
        "device": f"{model.device} ({machine}), {str(model.dtype).removeprefix('torch.')}",
        "clip": f"{whole.clip.path or 'noise'}: {_size(whole)}", "short clip": _size(short),
        **({"processor": packing} if packing else {}),
    }  # fmt: skip


def _adapter(case: Case) -> str:
    return "a black box: no adapter" if isinstance(case, OpaqueCase) else type(case.model.family).__name__


def _size(case: Case) -> str:
    height, width = case.clip.frames.shape[1:3]
    shot, grid = case.subject.shot, case.subject.grid
    return (f"{len(case.clip)} frames {width}x{height}, input {shot.width}x{shot.height}, "
            f"grid {grid.steps}x{grid.rows}x{grid.columns}: {grid.tokens} tokens")  # fmt: skip
