"""Conformance check of methods."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from attrib.method import Control, Method
from attrib.subject import Subject
from attrib.testing.toy_model import COLUMNS, FRAMES, ROWS, ToyModel
from attrib.testing.toy_world import QUESTION, RED, annotated, toy_answer, toy_clip, toy_subject
from attrib.types import SaliencyVolume


def check_method(method: Method) -> None:
    """Raise AssertionError unless `method` fulfils the contract of attrib.Method on the toy model.

    It states a reference, has the same result twice and under no_grad, has JSON provenance that survives a round trip,
    supports any clip length and merged time steps, does not change the model, and has its maximum on the evidence, for
    an option and for a free answer. Controls instead must not depend on the model.
    """
    assert method.reference.strip(), f"{method}: expected a reference: a paper with its equation, or 'defined here'"
    subject = toy_subject()
    before, pixels = _state(subject.model.module), subject.pixels.clone()
    volume = method.attribute(subject)
    assert _state(subject.model.module) == before, f"{method}: the model was changed"
    assert torch.equal(subject.pixels, pixels), f"{method}: the subject's pixels were changed"
    _check_same(volume, method.attribute(subject), f"{method}: two calls differ")
    with torch.no_grad():
        _check_same(volume, method.attribute(subject), f"{method}: differs under torch.no_grad()")
    _check_round_trip(method, volume)
    _check_lengths(method)
    if isinstance(method, Control):
        other = method.attribute(toy_subject(ToyModel(sharpness=0.5)))
        _check_same(volume, other, f"{method}: a control must not depend on the model")
    else:
        _check_finds_evidence(method, volume)
        _check_finds_evidence(method, method.attribute(toy_answer()))


def _check_finds_evidence(method: Method, volume: SaliencyVolume) -> None:
    cells = volume.on_grid(ROWS, COLUMNS).values
    maximum = tuple(int(i) for i in np.unravel_index(cells.argmax(), cells.shape))
    assert maximum == RED, f"{method}: expected the greatest saliency at (frame, row, column) {RED}, got {maximum}"


def _check_same(first: SaliencyVolume, second: SaliencyVolume, message: str) -> None:
    assert first.values.shape == second.values.shape and np.allclose(
        first.values, second.values, rtol=1e-5, atol=1e-7
    ), message


def _check_round_trip(method: Method, volume: SaliencyVolume) -> None:
    assert dict(volume.provenance.parameters) == asdict(method), f"{method}: provenance lacks parameters"
    json.dumps(asdict(volume.provenance))
    with tempfile.TemporaryDirectory() as folder:
        volume.save(Path(folder) / "volume.npz")
        loaded = SaliencyVolume.load(Path(folder) / "volume.npz")
    assert np.array_equal(loaded.values, volume.values), f"{method}: values changed on disk"
    assert json.dumps(asdict(loaded.provenance)) == json.dumps(asdict(volume.provenance))


def _check_lengths(method: Method) -> None:
    for frames, per_step in ((1, 1), (3, 1), (FRAMES, 2), (3, 2)):
        clip = toy_clip(frames)
        model = ToyModel(frames_per_step=per_step)
        subject = annotated(Subject.bind(model, clip, QUESTION))
        volume = method.attribute(subject)
        assert len(volume.values) == frames, f"{method}: {frames} frames gave {len(volume.values)} slices"
        assert np.array_equal(volume.times, clip.times)


def _state(module: nn.Module) -> tuple[object, ...]:
    """Return the state that a method must not change: weights, gradients, modes and hooks."""
    weights = tuple((name, value.cpu().numpy().tobytes()) for name, value in module.state_dict().items())
    gradients = tuple((name, p.requires_grad, p.grad is None) for name, p in module.named_parameters())
    hooks = tuple(
        (name, m.training, *(len(hooks) for key, hooks in sorted(vars(m).items()) if key.endswith("_hooks")))
        for name, m in module.named_modules()
    )
    return weights, gradients, hooks
