"""Registered means tested; and the checks themselves refuse what is broken."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from attrib import registry
from attrib.errors import AttributionError
from attrib.imputer import BoolArray, Canvas, Fill, Imputer, PixelImputer, TokenImputer
from attrib.method import Control, Method
from attrib.methods.attention_gradient import AttentionGradient
from attrib.methods.uniform import Uniform
from attrib.metric import ContrastMetric, Direction, Metric, RemakingMetric, Score
from attrib.model import TokenGrid, VideoModel
from attrib.subject import Subject
from attrib.testing import (
    COLUMNS,
    FRAMES,
    RED,
    ROWS,
    ToyModel,
    check_imputer,
    check_method,
    check_metric,
    toy_counterfactuals,
    toy_peer,
    toy_sample,
    toy_subject,
    toy_volume,
)
from attrib.types import SaliencyVolume, Sample
from attrib.types.need import Need


@pytest.mark.parametrize("name", registry.names("methods"))
def test_registered_methods_keep_the_contract(name: str) -> None:
    check_method(registry.get("methods", name)())


@pytest.mark.parametrize("name", registry.names("metrics"))
def test_registered_metrics_keep_the_contract(name: str) -> None:
    check_metric(registry.get("metrics", name)())


@pytest.mark.parametrize("name", registry.names("imputers"))
def test_registered_imputers_keep_the_contract(name: str) -> None:
    check_imputer(registry.get("imputers", name)())


@pytest.mark.parametrize("name", registry.names("metrics"))
def test_registered_metrics_say_what_they_are(name: str) -> None:
    metric = registry.get("metrics", name)
    assert metric.direction in get_args(Direction)
    low, high = metric.bounds
    assert low < high
    assert metric.chance_level.strip() and metric.reference.strip()
    assert metric.needs <= set(get_args(Need))


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The toy sample with its counterfactual videos."""
    return replace(toy_sample(), counterfactuals=toy_counterfactuals(tmp_path_factory.mktemp("toy")))


@pytest.mark.parametrize("name", registry.names("metrics"))
def test_registered_metrics_stay_within_their_bounds(name: str, annotated: Sample) -> None:
    """For maps of all kinds, the toy's own annotation and another video's; so does their chance."""
    metric, subject = registry.get("metrics", name)(), toy_subject()
    low, high = metric.bounds
    rng = np.random.default_rng(0)
    sparse = np.zeros((FRAMES, ROWS, COLUMNS))
    sparse[RED] = 1
    maps = [sparse, 1 - sparse, 1e-30 * sparse, *rng.normal(size=(4, FRAMES, ROWS, COLUMNS))]
    first, *others = (toy_volume(values.astype(np.float32)) for values in maps)
    for volume in (first, *others):
        for sample in (annotated, toy_peer()):
            given: tuple[Any, ...] = (volume,)
            given += (first,) if isinstance(metric, ContrastMetric) else ()
            given += (lambda _: first,) if isinstance(metric, RemakingMetric) else ()
            found = metric.score(*given, subject, sample)
            for number in (found.value, found.chance):
                assert math.isnan(number) or low - 1e-9 <= number <= high + 1e-9


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("integrated_gradients", {"baseline": "black"}),
        ("integrated_gradients", {"baseline": "mean"}),
        ("grad_cam", {"pool": "video"}),
        ("raw_attention", {"reduction": "max"}),
    ],
)
def test_so_do_their_variants(name: str, parameters: dict[str, Any]) -> None:
    check_method(registry.get("methods", name)(**parameters))


def evidence(subject: Subject) -> Tensor:
    """Map of a right method: redness above the mean colour, one value a cell."""
    cells = torch.nn.functional.avg_pool2d(subject.pixels, 4)
    return cells[:, 0] - cells[:, 1]


@dataclass(frozen=True)
class Right(Method):
    """Passes; every broken one below is this one with a single fault."""

    reference: ClassVar[str] = "worked by hand"

    scale: float = 1.0

    def values(self, subject: Subject) -> Tensor:
        return self.scale * evidence(subject)


class WrongShape(Right):
    def values(self, subject: Subject) -> Tensor:
        return evidence(subject)[0]


class WrongLength(Right):
    """Right for four frames, wrong for others."""

    def values(self, subject: Subject) -> Tensor:
        found = evidence(subject)
        return torch.cat([found, torch.zeros(FRAMES - len(found), ROWS, COLUMNS)])


class NotFinite(Right):
    def values(self, subject: Subject) -> Tensor:
        return evidence(subject) / 0


class NotDeterministic(Right):
    calls: ClassVar[list[int]] = []

    def values(self, subject: Subject) -> Tensor:
        self.calls.append(1)
        return evidence(subject) + 0.01 * len(self.calls)


class LeavesAHook(Right):
    def values(self, subject: Subject) -> Tensor:
        subject.model.module.register_forward_hook(lambda *_: None)
        return evidence(subject)


class LeavesAFullBackwardHook(Right):
    def values(self, subject: Subject) -> Tensor:
        subject.model.module.register_full_backward_hook(lambda *_: None)
        return evidence(subject)


class LeavesABackwardPreHook(Right):
    def values(self, subject: Subject) -> Tensor:
        subject.model.module.register_full_backward_pre_hook(lambda *_: None)
        return evidence(subject)


class ChangesWeights(Right):
    def values(self, subject: Subject) -> Tensor:
        with torch.no_grad():
            for weight in subject.model.module.parameters():
                weight.mul_(1.01)
        return evidence(subject)


class SwapsWeights(Right):
    """The sum of all weights stays."""

    def values(self, subject: Subject) -> Tensor:
        readout = dict(subject.model.module.named_parameters())["readout"]
        readout.data = readout.data.flip(0)
        return evidence(subject)


class LeavesGradients(Right):
    def values(self, subject: Subject) -> Tensor:
        for weight in subject.model.module.parameters():
            weight.requires_grad_()
        return evidence(subject)


class LeavesTrainingMode(Right):
    def values(self, subject: Subject) -> Tensor:
        subject.model.module.train()
        return evidence(subject)


class ChangesThePixels(Right):
    def values(self, subject: Subject) -> Tensor:
        found = evidence(subject)
        subject.pixels.zero_()
        return found


class NeedsGradientMode(Right):
    def values(self, subject: Subject) -> Tensor:
        return evidence(subject) * (1 if torch.is_grad_enabled() else 2)


class MissesTheEvidence(Right):
    def values(self, subject: Subject) -> Tensor:
        return -evidence(subject)


class MissesItInAnswers(Right):
    """Right for options, wrong for free answers."""

    def values(self, subject: Subject) -> Tensor:
        return evidence(subject) * (-1 if subject.question.reply else 1)


class SwapsTheAxes(Right):
    """Found in the right frame, mirrored across the diagonal."""

    def values(self, subject: Subject) -> Tensor:
        return evidence(subject).transpose(1, 2).contiguous()


class LateByAFrame(Right):
    def values(self, subject: Subject) -> Tensor:
        return evidence(subject).roll(1, dims=0)


class WithoutReference(Right):
    reference: ClassVar[str] = ""


BROKEN = {
    WithoutReference: "expected a reference",
    WrongShape: "expected a tensor of shape",
    WrongLength: "expected 1 frames",
    NotFinite: "not finite",
    NotDeterministic: "two calls differ",
    LeavesAHook: "the model was changed",
    LeavesAFullBackwardHook: "the model was changed",
    LeavesABackwardPreHook: "the model was changed",
    ChangesWeights: "the model was changed",
    SwapsWeights: "the model was changed",
    LeavesGradients: "the model was changed",
    LeavesTrainingMode: "the model was changed",
    ChangesThePixels: "pixels",
    NeedsGradientMode: "no_grad",
    MissesTheEvidence: "expected the greatest saliency",
    MissesItInAnswers: "expected the greatest saliency",
    SwapsTheAxes: "expected the greatest saliency",
    LateByAFrame: "expected the greatest saliency",
}


def test_a_right_method_passes() -> None:
    check_method(Right())
    check_method(Right(3.0))


@pytest.mark.parametrize(("broken", "message"), BROKEN.items(), ids=[cls.__name__ for cls in BROKEN])
def test_a_broken_method_is_refused(broken: type[Right], message: str) -> None:
    with pytest.raises((AssertionError, AttributionError), match=message):
        check_method(broken())


def test_parameters_that_are_no_json_are_refused() -> None:
    with pytest.raises((AssertionError, TypeError)):
        check_method(Right(torch.tensor(1.0)))  # type: ignore[arg-type]


class Peeking(Control):
    """A control that asks the model."""

    reference = "worked by hand"

    def values(self, subject: Subject) -> Tensor:
        return torch.full((len(subject.clip), 2, 2), float(subject.logprobs[0]))


class Attending(Control):
    """A method of merit under a control's name."""

    reference = "worked by hand"

    def values(self, subject: Subject) -> Any:
        return AttentionGradient().values(subject)


@pytest.mark.parametrize("broken", [Peeking, Attending])
def test_a_control_that_uses_the_model_is_refused(broken: type[Control]) -> None:
    with pytest.raises(AssertionError, match="must not depend on the model"):
        check_method(broken())


def test_a_control_need_not_find_the_evidence() -> None:
    check_method(Uniform())


@dataclass(frozen=True)
class AtEvidence(Metric):
    """Saliency on the red cell as a share of the whole; undefined where there is none."""

    direction: ClassVar[Direction] = "high"

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        total = float(volume.values.sum())
        if not sample.tracks or total <= 0:
            return Score.undefined("no track or no saliency")
        return Score(float(volume.values[RED]) / total)


class WrongDirection(AtEvidence):
    direction: ClassVar[Direction] = "low"


class PlainNumber(AtEvidence):
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Any:
        found = super().score(volume, subject, sample)
        return found if found.reason == "" else 0.0


class Drifting(AtEvidence):
    calls: ClassVar[list[int]] = []

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        self.calls.append(1)
        found = super().score(volume, subject, sample)
        return Score(found.value + 1e-3 * len(self.calls)) if not found.reason else found


class NeverDefined(AtEvidence):
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        return Score.undefined("always")


class RaisesOnNothing(AtEvidence):
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        return Score(float(volume.values[RED]) / len(sample.tracks))


class HitOnNothing(AtEvidence):
    """A volume that says nothing scores better than chance."""

    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        if not sample.tracks:
            return Score.undefined("no track")
        hit = float(volume.values.max()) == float(volume.values[RED])
        return Score(float(hit), 1 / volume.values.size)


class HitWithoutAnnotation(AtEvidence):
    def score(self, volume: SaliencyVolume, subject: Subject, sample: Sample) -> Score:
        return super().score(volume, subject, sample) if sample.tracks else Score(1.0, 0.5)


def test_a_right_metric_passes() -> None:
    check_metric(AtEvidence())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongDirection, "the evidence scores"),
        (PlainNumber, "expected a Score, got float"),
        (Drifting, "two calls differ"),
        (NeverDefined, "undefined on a plain case"),
        (RaisesOnNothing, "division"),
        (HitOnNothing, "of zeros scores 1.0, chance is 0.02"),
        (HitWithoutAnnotation, "without annotation it scores 1.0"),
    ],
)
def test_a_broken_metric_is_refused(broken: type[Metric], message: str) -> None:
    with pytest.raises((AssertionError, ZeroDivisionError), match=message):
        check_metric(broken())


@dataclass(frozen=True)
class Grey(PixelImputer):
    """Passes; every broken one below is this one with a single fault."""

    level: float = 0.5

    def plate(self, canvas: Canvas) -> Tensor:
        return torch.full_like(canvas.pixels, self.level)

    def prepare(self, canvas: Canvas) -> Fill:
        return partial(canvas.filled, self.plate(canvas))


class ChangesKeptPixels(Grey):
    def prepare(self, canvas: Canvas) -> Fill:
        return lambda removed: self.plate(canvas) if removed.any() else canvas.pixels


class ChangesTheClip(Grey):
    def prepare(self, canvas: Canvas) -> Fill:
        def version(removed: BoolArray) -> Tensor:
            filled = canvas.filled(self.plate(canvas), removed)
            if removed.all():
                canvas.pixels[0] = 0
            return filled

        return version


class ShowsTheClip(Grey):
    def prepare(self, canvas: Canvas) -> Fill:
        return lambda removed: canvas.pixels


class TooBright(Grey):
    def plate(self, canvas: Canvas) -> Tensor:
        return torch.full_like(canvas.pixels, 1.5)


class NoNumber(Grey):
    def plate(self, canvas: Canvas) -> Tensor:
        return torch.full_like(canvas.pixels, math.nan)


class FewerFrames(Grey):
    def prepare(self, canvas: Canvas) -> Fill:
        return lambda removed: canvas.filled(self.plate(canvas), removed)[1:]


class UnseededNoise(Grey):
    def plate(self, canvas: Canvas) -> Tensor:
        return torch.rand_like(canvas.pixels)


class GlobalNoise(Grey):
    """The same twice, at the price of the caller's generator."""

    def plate(self, canvas: Canvas) -> Tensor:
        torch.manual_seed(canvas.seed)
        return torch.rand_like(canvas.pixels)


class Remembers(Grey):
    """A version shows what an earlier one did."""

    def prepare(self, canvas: Canvas) -> Fill:
        seen = [0.0]

        def version(removed: BoolArray) -> Tensor:
            seen[0] += 0.1 * float(removed.mean())
            return canvas.filled(self.plate(canvas) - seen[0], removed)

        return version


@dataclass(frozen=True)
class Drops(TokenImputer):
    """Passes: drops all tokens of a step in which a cell is removed."""

    def keep(self, removed: BoolArray, grid: TokenGrid) -> Tensor:
        starts = range(0, grid.frames, grid.frames_per_step)
        gone = [bool(removed[start : start + grid.frames_per_step].any()) for start in starts]
        return ~torch.tensor(gone).repeat_interleave(grid.rows * grid.columns)


class DropsNothing(Drops):
    def keep(self, removed: BoolArray, grid: TokenGrid) -> Tensor:
        return torch.ones_like(super().keep(removed, grid))


class DropsKept(Drops):
    def keep(self, removed: BoolArray, grid: TokenGrid) -> Tensor:
        return torch.zeros_like(super().keep(removed, grid))


class OneStep(Drops):
    def keep(self, removed: BoolArray, grid: TokenGrid) -> Tensor:
        return super().keep(removed, grid)[: grid.rows * grid.columns]


class Shares(Drops):
    def keep(self, removed: BoolArray, grid: TokenGrid) -> Tensor:
        return super().keep(removed, grid).float()


def test_right_imputers_pass() -> None:
    check_imputer(Grey())
    check_imputer(Grey(0.2))
    check_imputer(Drops())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (ChangesKeptPixels, "kept pixels were changed"),
        (ChangesTheClip, "the clip's pixels were changed|two calls differ"),
        (ShowsTheClip, "removed cells still show"),
        (TooBright, r"values in \[0, 1\]"),
        (NoNumber, r"values in \[0, 1\]"),
        (FewerFrames, r"got torch.float32 \(3, 3, 12, 16\)"),
        (UnseededNoise, "two calls differ"),
        (GlobalNoise, "global generator"),
        (Remembers, "depends on earlier ones"),
        (DropsNothing, "drops no token"),
        (DropsKept, "drops tokens of kept cells"),
        (OneStep, r"expected 48 booleans, got torch.bool \(12,\)"),
        (Shares, r"got torch.float32 \(48,\)"),
        (Imputer, "expected a PixelImputer or a TokenImputer"),
    ],
)
def test_a_broken_imputer_is_refused(broken: type[Imputer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_imputer(broken())


@pytest.mark.parametrize(("value", "reason"), [(math.nan, ""), (0.5, "a reason")])
def test_a_score_is_nan_exactly_when_it_says_why(value: float, reason: str) -> None:
    with pytest.raises(ValueError, match="exactly when"):
        Score(value, reason=reason)


def test_the_toy_model_is_what_it_says() -> None:
    """Its attention is uniform at sharpness 0 and on the red cell at 6; merged steps average their frames."""
    model: VideoModel = ToyModel(frames_per_step=2)
    pixels = torch.rand(1, 3, 3, 12, 16)
    tokens = model.encode(pixels)
    assert tokens.shape == (1, 2 * ROWS * COLUMNS, 3)
    expected = pixels[0, :2, :, 4:8, 8:12].mean(dim=(0, 2, 3))  # step 0, row 1, column 2
    torch.testing.assert_close(tokens[0, 1 * COLUMNS + 2], expected)
    torch.testing.assert_close(tokens[0, ROWS * COLUMNS], pixels[0, 2, :, :4, :4].mean(dim=(1, 2)))
