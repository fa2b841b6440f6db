"""Toy models with known attributions, and the conformance checks that every registered plug-in passes.

The toy world: a grey clip in which one cell turns red for one frame and another turns blue. The toy model reads the
mean colour of each cell as a token, attends to the tokens once, and answers "red" or "green" from what it read.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from attrib.method import Control, Method
from attrib.metric import Metric, Score
from attrib.model import AttentionRecord, HasVisionLayers, LayerRecord, RecordsAttention, TokenGrid, VideoModel
from attrib.subject import Subject
from attrib.types import Clip, Evidence, Provenance, Question, SaliencyVolume, Sample, Segment, Track

ROWS, COLUMNS, CELL = 3, 4, 4  # not square, so that swapped axes show
FRAMES = 4
RED, BLUE = (2, 1, 2), (1, 0, 0)  # (frame, row, column) of the evidence and of the distractor
QUESTION = Question("Is something red or green?", ("red", "green"), answer=0)


class _Network(nn.Module):
    def __init__(self, sharpness: float, heads: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness), requires_grad=False)
        self.readout = nn.Parameter(torch.tensor([[8.0, 0, 0], [0, 8.0, 0]]), requires_grad=False)
        self.patches = nn.AvgPool2d(CELL)
        self.heads = heads


class ToyModel(VideoModel, RecordsAttention, HasVisionLayers):
    """Tokens are cells' mean colours; one causal attention layer whose query asks for red; answers red or green.

    With sharpness 0 attention is uniform over the n tokens and the answer token, so f is linear in the pixels:
    f = 8 * sum over cells of (red - green) / (n + 1), and a pixel's weight is +-8 / (n + 1) / CELL^2.
    """

    def __init__(self, sharpness: float = 6.0, heads: int = 2, frames_per_step: int = 1) -> None:
        self.name, self.revision, self.frames = "toy", None, FRAMES
        self._network = _Network(sharpness, heads).eval()
        self._frames_per_step = frames_per_step
        self._record: AttentionRecord | None = None

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self._network

    def preprocess(self, clip: Clip) -> Tensor:
        """Frames as they are, (t, 3, h, w) in [0, 1]."""
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255

    def grid(self, frames: int) -> TokenGrid:
        """ROWS x COLUMNS cells per step."""
        return TokenGrid(frames, ROWS, COLUMNS, self._frames_per_step)

    def encode(self, pixels: Tensor) -> Tensor:
        """(b, n, 3) mean colours of the cells, averaged over the frames of a step."""
        cells = self._network.patches(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        steps = torch.stack([part.mean(dim=1) for part in cells.split(self._frames_per_step, dim=1)], dim=1)
        return steps.permute(0, 1, 3, 4, 2).flatten(1, 3)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        """Option log-probabilities: readout of what the last position attended to."""
        kept = tokens if keep is None else tokens[:, keep]
        sequence = torch.cat([kept, torch.zeros_like(kept[:, :1])], dim=1)[:, None]
        query = torch.zeros_like(sequence).expand(-1, self._network.heads, -1, -1).clone()
        query[..., 0] = self._network.sharpness
        spread = sequence.expand(-1, self._network.heads, -1, -1)
        output = scaled_dot_product_attention(query, spread, spread, is_causal=True, scale=1.0).transpose(1, 2)
        if self._record is not None:
            self._record.layers[:] = [LayerRecord(query, sequence, sequence, output, 1.0)]
            self._record.visual, self._record.answer_row = slice(0, kept.shape[1]), kept.shape[1]
        logits = output[:, -1].mean(dim=1) @ self._network.readout.T
        return torch.log_softmax(logits, dim=-1)

    @contextmanager
    def record_attention(self) -> Iterator[AttentionRecord]:
        """Keep the layer of the next forward."""
        self._record = AttentionRecord()
        try:
            yield self._record
        finally:
            self._record = None

    def vision_layers(self) -> Mapping[str, nn.Module]:
        """The one layer that averages cells."""
        return {"patches": self._network.patches}

    def feature_map(self, activation: Tensor) -> Tensor:
        """Already a map."""
        return activation

    def from_feature_map(self, features: Tensor, activation: Tensor) -> Tensor:
        """Already a map."""
        return features


def toy_clip(frames: int = FRAMES) -> Clip:
    """Grey frames at 2 per second; one cell red at RED, another blue at BLUE (where the clip is long enough)."""
    pixels = np.full((frames, ROWS * CELL, COLUMNS * CELL, 3), 102, np.uint8)
    for (frame, row, column), colour in ((RED, (255, 51, 51)), (BLUE, (51, 51, 255))):
        if frame < frames:
            pixels[frame, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    times = np.arange(frames) / 2.0
    return Clip(pixels, times, end=frames / 2.0)


def toy_sample() -> Sample:
    """The toy clip's question with the red cell as evidence, the blue cell as distractor and one action."""
    tracks = (_track(1, "red cell", RED), _track(2, "blue cell", BLUE))
    action = Segment("action", "turning red", 1.0, 1.5, parents=(1,))
    evidence = (Evidence(1, 1.0, 1.5),)
    return Sample("toy_0", Path("toy.mp4"), QUESTION, "toy", tracks, (action,), evidence)


def _track(number: int, label: str, place: tuple[int, int, int]) -> Track:
    _, row, column = place
    box = [column / COLUMNS, row / ROWS, (column + 1) / COLUMNS, (row + 1) / ROWS]
    times = np.arange(FRAMES) / 2.0
    return Track(number, label, times, np.tile(box, (FRAMES, 1)), np.zeros(FRAMES, bool))


def toy_subject(model: VideoModel | None = None, seed: int = 0) -> Subject:
    """The toy model bound to the toy clip and question."""
    return Subject.bind(model or ToyModel(), toy_clip(), QUESTION, seed=seed)


def toy_volume(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> SaliencyVolume:
    """Values (FRAMES, h, w) as a volume of the toy clip."""
    return SaliencyVolume(np.asarray(values, np.float32), toy_clip().times, Provenance("toy"))


def check_method(method: Method) -> None:
    """Raise AssertionError unless `method` keeps the contract of attrib.Method on the toy model.

    Same result twice and under no_grad, JSON provenance that survives a round trip, any clip length, merged time steps,
    a model left as it was, and the greatest saliency on the evidence. Controls instead must not depend on the model.
    """
    subject = toy_subject()
    before, pixels = _state(subject.model.module), subject.pixels.clone()
    volume = method.attribute(subject)
    assert _state(subject.model.module) == before, f"{method}: the model was not left as it was found"
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


def _check_finds_evidence(method: Method, volume: SaliencyVolume) -> None:
    cells = volume.on_grid(ROWS, COLUMNS).values
    found = tuple(int(i) for i in np.unravel_index(cells.argmax(), cells.shape))
    assert found == RED, f"{method}: expected the greatest saliency at (frame, row, column) {RED}, found it at {found}"


def _check_same(one: SaliencyVolume, two: SaliencyVolume, message: str) -> None:
    assert one.values.shape == two.values.shape and np.allclose(one.values, two.values, rtol=1e-5, atol=1e-7), message


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
        subject = Subject.bind(ToyModel(frames_per_step=per_step), clip, QUESTION)
        volume = method.attribute(subject)
        assert len(volume.values) == frames, f"{method}: {frames} frames gave {len(volume.values)} slices"
        assert np.array_equal(volume.times, clip.times)


def _state(module: nn.Module) -> tuple[object, ...]:
    """All that a method may not change: weights, gradients, modes and hooks."""
    weights = tuple((name, value.cpu().numpy().tobytes()) for name, value in module.state_dict().items())
    gradients = tuple((name, p.requires_grad, p.grad is None) for name, p in module.named_parameters())
    hooks = tuple(
        (name, m.training, *(len(found) for key, found in sorted(vars(m).items()) if key.endswith("_hooks")))
        for name, m in module.named_modules()
    )
    return weights, gradients, hooks


def check_metric(metric: Metric) -> None:
    """Raise AssertionError unless `metric` keeps the contract of attrib.Metric on the toy sample.

    A finite value for the true evidence that is at least as good as for its inverse; NaN with a reason, or no better
    than chance, for a volume that says nothing; NaN with a reason where a sample has no annotation, or the same value
    as with it.
    """
    subject, sample = toy_subject(), toy_sample()
    oracle = np.full((FRAMES, ROWS, COLUMNS), 0.01, np.float32)
    oracle[RED] = 1
    best = metric.score(toy_volume(oracle), subject, sample)
    worst = metric.score(toy_volume(1.01 - oracle), subject, sample)
    assert math.isfinite(best.value) and math.isfinite(worst.value), f"{metric}: undefined on a plain case"
    better = best.value >= worst.value if metric.direction == "high" else best.value <= worst.value
    assert better, f"{metric}: the evidence scores {best.value}, its inverse {worst.value}, best is {metric.direction}"
    assert metric.score(toy_volume(oracle), subject, sample) == best, f"{metric}: two calls differ"
    nothing = metric.score(toy_volume(np.zeros_like(oracle)), subject, sample)
    bare = metric.score(toy_volume(oracle), subject, replace(sample, tracks=(), segments=(), evidence=()))
    for score in (nothing, bare):
        assert isinstance(score, Score), f"{metric}: expected a Score, got {type(score).__name__}"
    gain = (nothing.value - nothing.chance) * (1 if metric.direction == "high" else -1)
    assert not gain > 1e-6, f"{metric}: a volume that says nothing scores {nothing.value}, chance is {nothing.chance}"
    assert bare.reason or bare == best, f"{metric}: without annotation it scores {bare.value}, with it {best.value}"
