"""Toy models with known attributions, and the conformance checks that every registered plug-in passes.

The toy world: a grey clip in which one cell turns red for one frame and another turns blue. The toy model reads the
mean colour of each cell as a token, attends to the tokens once, and answers "red" or "green" from what it read.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from attrib import video
from attrib.attention_record import AttentionRecord, Knockout, LayerRecord
from attrib.capabilities import (
    AnswersFreely,
    EncodesSteps,
    HasVisionLayers,
    ReadsTokens,
    RecordsAttention,
    RepairsGradients,
    TokenLens,
)
from attrib.errors import UnknownName
from attrib.method import Control, Method
from attrib.metric import ContrastMetric, Metric, Score
from attrib.model import TokenGrid, VideoModel
from attrib.subject import Subject
from attrib.types import Clip, Counterfactual, Evidence, Provenance, Question, SaliencyVolume, Sample, Segment, Track
from attrib.types.reply import Reply

ROWS, COLUMNS, CELL = 3, 4, 4  # not square, so that swapped axes show
FRAMES = 4
GREY = 102
RED, BLUE = (2, 1, 2), (1, 0, 0)  # (frame, row, column) of the evidence and of the distractor
QUESTION = Question("Is something red or green?", ("red", "green"), answer=0)
WORDS = ("red", "green")  # all that the toy model can say


class _Network(nn.Module):
    def __init__(self, sharpness: float, heads: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness), requires_grad=False)
        self.readout = nn.Parameter(torch.tensor([[8.0, 0, 0], [0, 8.0, 0]]), requires_grad=False)
        self.patches = nn.AvgPool2d(CELL)
        self.heads = heads


class ToyModel(
    VideoModel, EncodesSteps, AnswersFreely, ReadsTokens, RecordsAttention, HasVisionLayers, RepairsGradients
):
    """Tokens are cells' mean colours; one causal attention layer whose query asks for red; answers red or green.

    Each token of a free answer is one of these two words, and the tokens before it are as blank as the first row.

    With sharpness 0 attention is uniform over the n tokens and the answer token, so f is linear in the pixels:
    f = 8 * sum over cells of (red - green) / (n + 1), and a pixel's weight is +-8 / (n + 1) / CELL^2.
    """

    def __init__(self, sharpness: float = 6.0, heads: int = 2, frames_per_step: int = 1) -> None:
        self.name, self.revision, self.frames = "toy", None, FRAMES
        self._network = _Network(sharpness, heads).eval()
        self._frames_per_step = frames_per_step
        self._record: AttentionRecord | None = None
        self._repaired = False
        self._cut: Knockout | None = None

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

    def encode_steps(self, pixels: Tensor) -> Tensor:
        """A step's cells are averaged over its own frames alone."""
        return self.encode(pixels)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        """Option or answer log-probabilities: readout of what the answer's positions attended to."""
        rows = len(question.reply.ids) if question.reply else 1
        states = self._states(tokens if keep is None else tokens[:, keep], rows)
        return self.read_out(states[:, -rows:], question)

    def _states(self, kept: Tensor, rows: int) -> Tensor:
        """What each position attended to, mean over heads, (b, n + rows, 3)."""
        sequence = torch.cat([kept, kept.new_zeros(len(kept), rows, 3)], dim=1)[:, None]
        query = torch.zeros_like(sequence).expand(-1, self._network.heads, -1, -1).clone()
        query[..., 0] = self._network.sharpness
        spread = sequence.expand(-1, self._network.heads, -1, -1)
        keys = spread.detach() if self._repaired else spread
        mask = LayerRecord(query, sequence, sequence, 1.0, cut=self._cut).hide(query @ torch.zeros_like(spread).mT, 0)
        output = scaled_dot_product_attention(query, keys, spread, attn_mask=mask, scale=1.0).transpose(1, 2)
        if self._record is not None:
            output = self._watched(self._record, output, query, sequence, rows)
        return output.mean(dim=2)

    def _watched(self, record: AttentionRecord, output: Tensor, query: Tensor, sequence: Tensor, rows: int) -> Tensor:
        count = sequence.shape[2] - rows
        record.visual, record.answer_rows = slice(0, count), tuple(range(count, count + rows))
        record.enter(0, sequence[:, 0])
        output = record.watch(output, query, sequence, sequence, scale=1.0, cut=self._cut)
        if record.on_state is not None:
            record.on_state(output[:, -rows:].mean(dim=2))
        return output

    def read_out(self, states: Tensor, question: Question) -> Tensor:
        """Option log-probabilities of the last position, or those of the answer's tokens, (b, r, 3)."""
        logprobs = torch.log_softmax(states @ self._network.readout.T, dim=-1)
        return logprobs[:, range(states.shape[1]), list(question.reply.ids)] if question.reply else logprobs[:, -1]

    def reply(self, text: str) -> Reply:
        """Each word is a token. Raises UnknownName for one that it cannot say."""
        found = list(re.finditer(r"\w+", text))
        for word in found:
            if word.group() not in WORDS:
                raise UnknownName("word", word.group(), WORDS)
        return Reply(text, tuple(WORDS.index(word.group()) for word in found), tuple(word.span() for word in found))

    def token_lens(self, tokens: Tensor, question: Question, reply: Reply) -> TokenLens:
        """Its question has no tokens; an answer's token stands one place behind the row that produces it."""
        places = tokens.shape[1]
        logits = self._states(tokens, len(reply.ids))[0] @ self._network.readout[list(reply.ids)].T
        return TokenLens(reply.ids, len(reply.ids), logits[:places], logits[places + 1 :])

    def generate(self, pixels: Tensor, question: Question) -> Reply:
        """The more probable of its two words."""
        said = [self.reply(word) for word in WORDS]
        scores = [self.option_logprobs(pixels[None], replace(question, reply=reply)) for reply in said]
        return replace(said[int(torch.cat(scores).argmax())], generated=True)

    @contextmanager
    def record_attention(self, record: AttentionRecord) -> Iterator[None]:
        """Forwards fill the record."""
        self._record = record
        try:
            yield
        finally:
            self._record = None

    @contextmanager
    def knock_out(self, cut: Knockout) -> Iterator[None]:
        """Forwards lack what is cut."""
        self._cut = cut
        try:
            yield
        finally:
            self._cut = None

    @contextmanager
    def repaired_gradients(self) -> Iterator[None]:
        """Attention counts as constant, which makes the logits linear in the tokens."""
        self._repaired = True
        try:
            yield
        finally:
            self._repaired = False

    def vision_layers(self) -> Mapping[str, nn.Module]:
        """The one layer that averages cells."""
        return {"patches": self._network.patches}

    def feature_map(self, layer: str, activation: Tensor) -> Tensor:
        """Already a map."""
        return activation

    def from_feature_map(self, layer: str, features: Tensor, activation: Tensor) -> Tensor:
        """Already a map."""
        return features


def toy_clip(frames: int = FRAMES) -> Clip:
    """Grey frames at 2 per second; one cell red at RED, another blue at BLUE (where the clip is long enough)."""
    pixels = np.full((frames, ROWS * CELL, COLUMNS * CELL, 3), GREY, np.uint8)
    for (frame, row, column), colour in ((RED, (255, 51, 51)), (BLUE, (51, 51, 255))):
        if frame < frames:
            pixels[frame, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    times = np.arange(frames) / 2.0
    return Clip(pixels, times, end=frames / 2.0)


def toy_sample() -> Sample:
    """The toy clip's question with the red cell as evidence, the blue cell as distractor and one action.

    While it is red, the red cell hides a ball.
    """
    tracks = (_track(1, "red cell", RED), _track(2, "blue cell", BLUE), _hidden(_track(3, "ball", RED), RED[0]))
    action = Segment("action", "turning red", 1.0, 1.5, parents=(1,))
    evidence = (Evidence(1, 1.0, 1.5),)
    return Sample("toy_0", Path("toy.mp4"), QUESTION, "toy", tracks, (action,), evidence)


def toy_peer() -> Sample:
    """A sample of another video, whose evidence is the blue cell all the time, which acts in frame 1."""
    action = Segment("action", "turning blue", 0.25, 0.75, parents=(2,))
    return replace(toy_sample(), id="peer_0", video=Path("peer.mp4"), segments=(action,), evidence=(Evidence(2),))


def toy_counterfactuals(folder: Path) -> tuple[Counterfactual, ...]:
    """The toy clip's videos, written to `folder`: each cell grey for each second, the red one always, the blue one too.

    Each second is a bin of two frames, so there are four pairs of object and time.
    """
    parts = [(track, place, second) for track, place in ((1, RED), (2, BLUE)) for second in (0, 1)]
    made = [
        Counterfactual(_without(folder / f"{track}_{second}.mp4", place, second, second + 1), "part", track,
                       float(second), second + 1.0)
        for track, place, second in parts
    ]  # fmt: skip
    removed, only = (
        _without(folder / f"{name}.mp4", place, 0, 2) for name, place in (("removed", RED), ("only", BLUE))
    )
    return (*made, Counterfactual(removed, "removed"), Counterfactual(only, "only"))


def _without(path: Path, place: tuple[int, int, int], start: float, end: float) -> Path:
    """The toy clip as a video whose cell at `place` is grey during [start, end) seconds."""
    clip = toy_clip()
    frames = clip.frames.copy()
    absent = (clip.times >= start) & (clip.times < end)
    _, row, column = place
    frames[absent, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = GREY
    video.write(path, frames, clip.times, clip.end)
    return path


def _track(number: int, label: str, place: tuple[int, int, int]) -> Track:
    _, row, column = place
    box = [column / COLUMNS, row / ROWS, (column + 1) / COLUMNS, (row + 1) / ROWS]
    times = np.arange(FRAMES) / 2.0
    return Track(number, label, times, np.tile(box, (FRAMES, 1)), np.zeros(FRAMES, bool))


def _hidden(track: Track, frame: int) -> Track:
    """The track in one frame only, where its object is fully hidden."""
    only = slice(frame, frame + 1)
    return replace(track, times=track.times[only], boxes=track.boxes[only], hidden=np.ones(1, bool))


def toy_subject(model: VideoModel | None = None, seed: int = 0) -> Subject:
    """The toy model bound to the toy clip, question, sample and peer."""
    return _annotated(Subject.bind(model or ToyModel(), toy_clip(), QUESTION, seed=seed))


def toy_answer(text: str = "red, red") -> Subject:
    """The toy model bound to the toy clip and a free answer, sample and peer."""
    model = ToyModel()
    question = replace(QUESTION, options=(), answer=None, reply=model.reply(text))
    return _annotated(Subject.bind(model, toy_clip(), question))


def _annotated(subject: Subject) -> Subject:
    return replace(subject, sample=toy_sample(), peers=(toy_peer(),))


def toy_volume(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> SaliencyVolume:
    """Values (FRAMES, h, w) as a volume of the toy clip; they are said to add up to 1.5 nats."""
    said = Provenance("toy", extras={"score_change": 1.5, "completeness_error": 0.0})
    return SaliencyVolume(np.asarray(values, np.float32), toy_clip().times, said)


def check_method(method: Method) -> None:
    """Raise AssertionError unless `method` keeps the contract of attrib.Method on the toy model.

    Same result twice and under no_grad, JSON provenance that survives a round trip, any clip length, merged time steps,
    a model left as it was, and the greatest saliency on the evidence, of an option and of a free answer. Controls
    instead must not depend on the model.
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
        _check_finds_evidence(method, method.attribute(toy_answer()))


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
        model = ToyModel(frames_per_step=per_step)
        subject = _annotated(Subject.bind(model, clip, QUESTION))
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


def check_metric(metric: Metric | ContrastMetric) -> None:
    """Raise AssertionError unless `metric` keeps the contract of attrib.Metric or ContrastMetric on the toy sample.

    A finite value for the true evidence that is at least as good as for its inverse; NaN with a reason, or no better
    than chance, for a volume that says nothing; NaN with a reason where a sample has no annotation, or the same value
    as with it. A contrast is with the inverse.
    """
    with tempfile.TemporaryDirectory() as folder:
        _check_scores(metric, replace(toy_sample(), counterfactuals=toy_counterfactuals(Path(folder))))


def _check_scores(metric: Metric | ContrastMetric, sample: Sample) -> None:
    subject, bare = toy_subject(), replace(sample, tracks=(), segments=(), evidence=(), counterfactuals=())
    oracle = np.full((FRAMES, ROWS, COLUMNS), 0.01, np.float32)
    oracle[RED] = 1
    best, worst = (_scored(metric, values, subject, sample) for values in (oracle, 1.01 - oracle))
    assert math.isfinite(best.value) and math.isfinite(worst.value), f"{metric}: undefined on a plain case"
    better = best.value >= worst.value if metric.direction == "high" else best.value <= worst.value
    assert better, f"{metric}: the evidence scores {best.value}, its inverse {worst.value}, best is {metric.direction}"
    assert _scored(metric, oracle, subject, sample) == best, f"{metric}: two calls differ"
    nothing = _scored(metric, np.zeros_like(oracle), subject, sample)
    alone = _scored(metric, oracle, subject, bare)
    for score in (nothing, alone):
        assert isinstance(score, Score), f"{metric}: expected a Score, got {type(score).__name__}"
    gain = (nothing.value - nothing.chance) * (1 if metric.direction == "high" else -1)
    assert not gain > 1e-6, f"{metric}: a volume that says nothing scores {nothing.value}, chance is {nothing.chance}"
    assert alone.reason or alone == best, f"{metric}: without annotation it scores {alone.value}, with it {best.value}"


def _scored(
    metric: Metric | ContrastMetric, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], subject: Subject,
    sample: Sample,
) -> Score:  # fmt: skip
    if isinstance(metric, ContrastMetric):
        return metric.score(toy_volume(values), toy_volume(1.01 - values), subject, sample)
    return metric.score(toy_volume(values), subject, sample)
