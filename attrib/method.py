"""Base classes of methods: subject in, saliency volume out. Subclasses implement `values`; users call `attribute`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from attrib.errors import AttributionError, nearest
from attrib.runtime.memory import fitting, peak_memory
from attrib.runtime.seeding import seeded
from attrib.subject import Subject
from attrib.types import Provenance, SaliencyVolume, Sample
from attrib.types.footprint import Footprint
from attrib.types.need import ANNOTATION, Need

if TYPE_CHECKING:
    from jaxtyping import Float

Searched = Literal["deletion", "insertion"]
PACKAGES = ("attrib", "torch", "transformers", "captum")


class Batched:
    """Mixin for methods with a parameter `batch`; a smaller batch needs less memory."""

    batch: int


@dataclass(frozen=True)
class Method(ABC):
    """An attribution method. Fields of the frozen subclass are its parameters.

    Subclasses implement `values` and state their `reference`.
    """

    reference: ClassVar[str] = ""  # the paper with its equation, or "defined here"; empty for unregistered methods only
    needs: ClassVar[frozenset[Need]] = frozenset()  # required annotation, besides the video and the question

    # the removal metrics for whose sake the method searches for its map
    optimises: ClassVar[frozenset[Searched]] = frozenset()

    @abstractmethod
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Raw signed saliency over normalised frame coordinates, any h and w; positive supports the target.

        t is the number of clip frames, or of the token grid's steps.
        """

    @property
    def footprint(self) -> Footprint | None:
        """Footprint of the largest pass in memory, for a forecast; None where it is not known."""
        return None

    @property
    def seen_imputers(self) -> frozenset[str]:
        """Registered imputers like the removal that a method with `optimises` saw; a benchmark leaves their scores out.

        A method that searches for what a metric measures would be scored on its own training data.
        """
        return frozenset()

    def check(self, subject: Subject) -> None:  # noqa: B027  # most methods have nothing to check
        """Raise InputError for a parameter that does not fit the subject's model, before any method runs."""

    def values_and_reports(self, subject: Subject) -> Attribution:
        """Return values with reported figures, by default none. Override in a method that reports some."""
        return Attribution(self.values(subject))

    @final
    def attribute(self, subject: Subject, name: str = "") -> SaliencyVolume:
        """Compute the volume, one slice per clip frame, with its provenance.

        Leaves the global random generators as they were. Raises AttributionError if the values are not a finite
        volume of the clip's length, and NotEnoughMemory, which suggests a setting that needs less.
        """
        name = name or type(self).__name__
        started = time.perf_counter()
        if subject.model.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(subject.model.device)
        batch = self.batch if isinstance(self, Batched) else 1
        with seeded(subject.seed), fitting(subject.model.dtype, name, len(subject.clip), batch):
            attribution = self.values_and_reports(subject)
        seconds = time.perf_counter() - started - attribution.aside
        values = _checked(attribution.values, subject, name)
        model = subject.model
        provenance = Provenance(
            method=name, parameters=asdict(self), model=model.name, revision=model.revision,
            dtype=str(model.dtype).removeprefix("torch."), seed=subject.seed, target=str(subject.target),
            versions=_versions(), seconds=seconds, peak_memory=peak_memory(model.device),
            reports=dict(attribution.reports),
        )  # fmt: skip
        return SaliencyVolume(values, subject.clip.times, provenance)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Values (t, h, w) with figures that the method reports about them, such as `completeness_error`.

    `aside`: seconds that only the reports took, which are no cost of the values.
    """

    values: Tensor
    reports: Mapping[str, float] = field(default_factory=dict)
    aside: float = 0.0


@dataclass(frozen=True)
class Control(Method):
    """A content-free row of every table: its volume does not depend on what the model computes."""

    @property
    def footprint(self) -> Footprint | None:
        """Copies of the pixels."""
        return Footprint("pixels")


@dataclass(frozen=True)
class AnnotatedControl(Control):
    """A control drawn from the annotation of the subject's sample: an upper bound in a benchmark."""

    needs: ClassVar[frozenset[Need]] = frozenset({"evidence"})

    @final
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return `annotated` for the subject's sample. Raises AttributionError for a subject without one."""
        return self.annotated(subject, require_sample(subject, type(self).__name__))

    @abstractmethod
    def annotated(self, subject: Subject, sample: Sample) -> Float[Tensor, "t h w"]:
        """Values like those of a method, from the annotation and not from the model's answer."""


@dataclass(frozen=True)
class PeerControl(Control):
    """A control drawn from the annotation of other videos, such as a prior; it needs a benchmark of several videos."""

    needs: ClassVar[frozenset[Need]] = frozenset({"other videos"})

    @final
    def values(self, subject: Subject) -> Float[Tensor, "t h w"]:
        """Return `from_peers` for the subject's peers. Raises AttributionError for a subject without any."""
        if not subject.peers:
            name = type(self).__name__
            raise AttributionError(f"{name}: expected samples of other videos, as in a benchmark of several; got none")
        return self.from_peers(subject, subject.peers)

    @abstractmethod
    def from_peers(self, subject: Subject, peers: tuple[Sample, ...]) -> Float[Tensor, "t h w"]:
        """Values like those of a method, from the annotation of other videos alone."""


def require_sample(subject: Subject, method: str) -> Sample:
    """Return the subject's sample. Raises AttributionError if it has none."""
    if subject.sample is None:
        raise AttributionError(f"{method}: expected an annotated sample, as in a benchmark; got none")
    return subject.sample


def can_explain(method: Method | type[Method], annotated: bool) -> bool:
    """Tell whether the method can explain a single video, annotated or not."""
    lacking: frozenset[Need] = frozenset({"other videos"}) if annotated else ANNOTATION
    return not method.needs & lacking


def require_choice(parameter: str, value: str, choices: Collection[str]) -> None:
    """Raise ValueError with the nearest choice if the value is not a valid choice; for `__post_init__`."""
    if value not in choices:
        raise ValueError(f"{parameter}: unknown value {value!r}; {nearest(str(value), choices)}")


def require_at_least(parameter: str, value: float, least: float) -> None:
    """Raise ValueError when a parameter's value is below `least` or not a number; for `__post_init__`."""
    if not value >= least:
        raise ValueError(f"{parameter}: expected {least} or more, got {value}")


def _checked(values: Tensor, subject: Subject, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    grid, frames = subject.grid, len(subject.clip)
    if not isinstance(values, Tensor) or values.ndim != 3 or values.numel() == 0:
        got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise AttributionError(f"{name}: expected a tensor of shape (t, h, w), got {got}")
    if len(values) not in (frames, grid.steps):
        raise AttributionError(f"{name}: expected {frames} frames or {grid.steps} token steps, got {len(values)}")
    if len(values) != frames:
        values = values.repeat_interleave(grid.frames_per_step, dim=0)[:frames]
    array = values.detach().to("cpu", torch.float32).numpy()
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise AttributionError(f"{name}: {bad} of {array.size} values are not finite")
    return np.ascontiguousarray(array)


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
