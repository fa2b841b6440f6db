"""The model's answers to a sample's counterfactual videos, and the gate that depends on them.

Every video is read at the frame times of the subject's clip and evaluated once per subject; all methods and metrics
share the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attrib import video
from attrib.errors import InputError
from attrib.subject import Subject
from attrib.types import Absence, Clip, Counterfactual, Sample

if TYPE_CHECKING:
    from jaxtyping import Float

HALF = float(np.log(0.5))

# Weak keys by identity, as in `evaluator`: the cached answers do not refer to the subject and vanish with it.
_known: WeakKeyDictionary[Subject, dict[Path, Tensor]] = WeakKeyDictionary()


def answers(subject: Subject, wanted: Sequence[Counterfactual]) -> Float[Tensor, "n o"]:
    """Return option log-probabilities of each video, on the CPU; evaluates each video once per subject.

    Raises InputError when a video cannot be read, or its frames or times differ from the subject's clip.
    """
    known = _known.setdefault(subject, {})
    todo = [path for path in dict.fromkeys(item.video for item in wanted) if path not in known]

    def version(index: int) -> Tensor:
        return subject.model.preprocess(clip_like(todo[index], subject.clip))

    known.update(zip(todo, subject.logprobs_of(len(todo), version).cpu(), strict=True))
    return torch.stack([known[item.video] for item in wanted])


def changes(
    subject: Subject, videos: Sequence[Counterfactual], log_odds: Callable[[Tensor], Tensor]
) -> NDArray[np.float64]:
    """Return `log_odds` of the clip minus that of each of `videos` (n,), in nats: the effect of what is absent."""
    original = log_odds(subject.logprobs[None].cpu().double())
    return (original - log_odds(answers(subject, videos).double())).numpy()


def gate(subject: Subject, sample: Sample) -> bool | None:
    """Return whether the annotated evidence is ground truth for this model; None without an answer or the videos.

    The model must be right on the clip and on `only`, with p(right) < 1/2 on `removed`. Requiring another choice on
    `removed` would reject a third of the items even of a perfect model, which without evidence guesses one of three
    options.
    """
    right = sample.question.answer
    only, removed = (_of_kind(sample, kind) for kind in ("only", "removed"))
    if right is None or not only or not removed:
        return None
    logprobs = answers(subject, [*only, *removed])
    right_on_only = logprobs[: len(only)].argmax(dim=1) == right
    unsure_on_removed = logprobs[len(only) :, right] < HALF
    return subject.predicted == right and bool(right_on_only.all()) and bool(unsure_on_removed.all())


def _of_kind(sample: Sample, kind: Absence) -> list[Counterfactual]:
    return [item for item in sample.counterfactuals if item.kind == kind]


def clip_like(path: Path, original: Clip) -> Clip:
    """Read a counterfactual video at the original's times. Raises InputError if its frames or times differ."""
    try:
        clip = video.read(path, sampling="times", times=original.times)
    except InputError as error:
        raise InputError(f"counterfactual {error}") from error
    same = clip.times.shape == original.times.shape and np.allclose(clip.times, original.times, rtol=0, atol=1e-3)
    if not same or clip.frames.shape != original.frames.shape:
        expected, actual = (
            f"{len(each)} frames of {each.frames.shape[2]} x {each.frames.shape[1]} from {each.times[0]:.3f} to "
            f"{each.times[-1]:.3f} s" for each in (original, clip)
        )  # fmt: skip
        raise InputError(f"counterfactual {path}: expected the video's own {expected}, got {actual}")
    return clip
