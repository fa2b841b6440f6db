"""The model's answers to a sample's counterfactual videos, and the gate that rests on them.

Every video is read at the frame times of the subject's clip and evaluated once for each subject, whatever number of
methods and metrics ask for it.
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

# Keyed by identity and weakly, as in `perturbation`: the answers hold numbers only and go with the subject.
_known: WeakKeyDictionary[Subject, dict[Path, Tensor]] = WeakKeyDictionary()


def answers(subject: Subject, wanted: Sequence[Counterfactual]) -> Float[Tensor, "n o"]:
    """Option log-probabilities of each video, on the CPU; a second call for the same subject evaluates nothing.

    Raises InputError when a video cannot be read, or its frames or their times are not those of the subject's clip.
    """
    known = _known.setdefault(subject, {})
    todo = [path for path in dict.fromkeys(item.video for item in wanted) if path not in known]

    def version(index: int) -> Tensor:
        return subject.model.preprocess(_clip(todo[index], subject.clip))

    known.update(zip(todo, subject.logprobs_of(len(todo), version).cpu(), strict=True))
    return torch.stack([known[item.video] for item in wanted])


def changes(
    subject: Subject, parts: Sequence[Counterfactual], log_odds: Callable[[Tensor], Tensor]
) -> NDArray[np.float64]:
    """`log_odds` of the clip minus that of each of `parts` (n,), in nats: what the answer owes to what is absent."""
    original = log_odds(subject.logprobs[None].cpu().double())
    return (original - log_odds(answers(subject, parts).double())).numpy()


def gate(subject: Subject, sample: Sample) -> bool | None:
    """Tell whether the annotated evidence is ground truth for this model; None without an answer or one of the videos.

    The model must be right on the video, right on `only`, and lose it on `removed`: p(right) < 1/2. Asking for another
    choice there would refuse a third of the items even with a perfect model, which without evidence has to guess and
    with three options is right that often.
    """
    right = sample.question.answer
    only, removed = (_of_kind(sample, kind) for kind in ("only", "removed"))
    if right is None or not only or not removed:
        return None
    found = answers(subject, [*only, *removed])
    kept, lost = found[: len(only)].argmax(dim=1) == right, found[len(only) :, right] < HALF
    return subject.predicted == right and bool(kept.all()) and bool(lost.all())


def _of_kind(sample: Sample, kind: Absence) -> list[Counterfactual]:
    return [item for item in sample.counterfactuals if item.kind == kind]


def _clip(path: Path, original: Clip) -> Clip:
    """The frames shown at the original's times. Raises InputError where there are none of just these times."""
    try:
        clip = video.read(path, sampling="times", times=original.times)
    except InputError as error:
        raise InputError(f"counterfactual {error}") from error
    same = clip.times.shape == original.times.shape and np.allclose(clip.times, original.times, rtol=0, atol=1e-3)
    if not same or clip.frames.shape != original.frames.shape:
        expected, found = (
            f"{len(each)} frames of {each.frames.shape[2]} x {each.frames.shape[1]} from {each.times[0]:.3f} to "
            f"{each.times[-1]:.3f} s" for each in (original, clip)
        )  # fmt: skip
        raise InputError(f"counterfactual {path}: expected the video's own {expected}, got {found}")
    return clip
