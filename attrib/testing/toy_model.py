"""A toy model with known attributions: it reads each cell's mean colour, attends once, and answers red or green."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from attrib.attention_record import AttentionRecord, Knockout, LayerRecord
from attrib.capabilities import (
    AnswersFreely,
    EncodesSteps,
    HasVisionLayers,
    ReadsTokens,
    RecordsAttention,
    TokenLens,
)
from attrib.errors import UnknownName
from attrib.model import TokenGrid, VideoModel
from attrib.types import Clip, Question, Shot
from attrib.types.reply import Reply

ROWS, COLUMNS, CELL = 3, 4, 4  # not square, so that swapped axes show
FRAMES = 4
WORDS = ("red", "green")  # the toy model's vocabulary


class _Network(nn.Module):
    def __init__(self, sharpness: float, heads: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(sharpness), requires_grad=False)
        self.readout = nn.Parameter(torch.tensor([[8.0, 0, 0], [0, 8.0, 0]]), requires_grad=False)
        self.patches = nn.AvgPool2d(CELL)
        self.heads = heads


class ToyModel(VideoModel, EncodesSteps, AnswersFreely, ReadsTokens, RecordsAttention, HasVisionLayers):
    """Tokens are cells' mean colours; one causal attention layer whose query asks for red; answers red or green.

    Each token of a free answer is one of these two words, and the tokens before it are as blank as the first row. A
    question that names neither word asks for nothing: attention is uniform.

    With sharpness 0 attention is uniform over the n tokens and the answer token, so f is linear in the pixels:
    f = 8 * sum over cells of (red - green) / (n + 1), and a pixel's weight is +-8 / (n + 1) / CELL^2.
    """

    def __init__(self, sharpness: float = 6.0, heads: int = 2, frames_per_step: int = 1) -> None:
        self.name, self.revision, self.frames = "toy", None, FRAMES
        self._network = _Network(sharpness, heads).eval()
        self._frames_per_step = frames_per_step
        self._record: AttentionRecord | None = None
        self._cuts: tuple[Knockout, ...] = ()

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self._network

    def preprocess(self, clip: Clip) -> Tensor:
        """Return the frames unchanged, (t, 3, h, w) in [0, 1]."""
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 255

    def grid(self, shot: Shot) -> TokenGrid:
        """Return a grid of ROWS x COLUMNS cells per step."""
        return TokenGrid(shot.frames, ROWS, COLUMNS, self._frames_per_step)

    def encode(self, pixels: Tensor) -> Tensor:
        """Return mean colours (b, n, 3) of the cells, averaged over the frames of a step."""
        cells = self._network.patches(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        steps = torch.stack([step.mean(dim=1) for step in cells.split(self._frames_per_step, dim=1)], dim=1)
        return steps.permute(0, 1, 3, 4, 2).flatten(1, 3)

    def encode_steps(self, pixels: Tensor) -> Tensor:
        """Encode each step separately: its cells are averaged over its own frames."""
        return self.encode(pixels)

    def score_tokens(self, tokens: Tensor, question: Question, keep: Tensor | None = None) -> Tensor:
        """Return option or answer log-probabilities, read out from the answer positions' attention output."""
        rows = len(question.reply.ids) if question.reply else 1
        states = self._states(tokens if keep is None else tokens[:, keep], rows, question)
        return self.read_out(states[:, -rows:], question)

    def _states(self, tokens: Tensor, rows: int, question: Question) -> Tensor:
        """Return the attention output of each position, mean over heads, (b, n + rows, 3)."""
        sequence = torch.cat([tokens, tokens.new_zeros(len(tokens), rows, 3)], dim=1)[:, None]
        query = torch.zeros_like(sequence).expand(-1, self._network.heads, -1, -1).clone()
        query[..., 0] = self._network.sharpness if any(word in question.text.lower() for word in WORDS) else 0
        spread = sequence.expand(-1, self._network.heads, -1, -1)
        mask = LayerRecord(query, sequence, sequence, 1.0, cuts=self._cuts).hide(query @ torch.zeros_like(spread).mT, 0)
        output = scaled_dot_product_attention(query, spread, spread, attn_mask=mask, scale=1.0).transpose(1, 2)
        if self._record is not None:
            output = self._watched(self._record, output, query, sequence, rows)
        return output.mean(dim=2)

    def _watched(self, record: AttentionRecord, output: Tensor, query: Tensor, sequence: Tensor, rows: int) -> Tensor:
        count = sequence.shape[2] - rows
        record.visual, record.answer_rows = torch.arange(count), tuple(range(count, count + rows))
        record.enter(0, sequence[:, 0])
        output = record.watch(output, query, sequence, sequence, scale=1.0, cuts=self._cuts)
        if record.on_state is not None:
            record.on_state(output[:, -rows:].mean(dim=2))
        return output

    def read_out(self, states: Tensor, question: Question) -> Tensor:
        """Return log-probabilities of options at the last position, or of the answer's tokens; states are (b, r, 3)."""
        logprobs = torch.log_softmax(states @ self._network.readout.T, dim=-1)
        return logprobs[:, range(states.shape[1]), list(question.reply.ids)] if question.reply else logprobs[:, -1]

    def reply(self, text: str) -> Reply:
        """Return the text as a reply of one token per word. Raises UnknownName for a word outside WORDS."""
        words = list(re.finditer(r"\w+", text))
        for word in words:
            if word.group() not in WORDS:
                raise UnknownName("word", word.group(), WORDS)
        return Reply(text, tuple(WORDS.index(word.group()) for word in words), tuple(word.span() for word in words))

    def token_lens(self, tokens: Tensor, question: Question, reply: Reply) -> TokenLens:
        """Return logits at all tokens; an answer's token is one position after the row that produces it."""
        count = tokens.shape[1]
        logits = self._states(tokens, len(reply.ids), question)[0] @ self._network.readout[list(reply.ids)].T
        return TokenLens(reply.ids, len(reply.ids), logits[:count], logits[count + 1 :])

    def generate(self, pixels: Tensor, question: Question) -> Reply:
        """Return the more probable of its two words."""
        replies = [self.reply(word) for word in WORDS]
        scores = [self.option_logprobs(pixels[None], replace(question, reply=reply)) for reply in replies]
        return replace(replies[int(torch.cat(scores).argmax())], generated=True)

    @contextmanager
    def record_attention(self, record: AttentionRecord) -> Iterator[None]:
        """Fill the record in forward passes."""
        self._record = record
        try:
            yield
        finally:
            self._record = None

    @contextmanager
    def knock_out(self, *cuts: Knockout) -> Iterator[None]:
        """Cut this attention in forward passes."""
        self._cuts = cuts
        try:
            yield
        finally:
            self._cuts = ()

    def vision_layers(self) -> Mapping[str, nn.Module]:
        """Return the one layer, which averages cells."""
        return {"patches": self._network.patches}

    def feature_map(self, layer: str, activation: Tensor, shot: Shot) -> Tensor:
        """Return the argument: it is a map already."""
        return activation

    def from_feature_map(self, layer: str, features: Tensor, activation: Tensor, shot: Shot) -> Tensor:
        """Return the argument: it is a map already."""
        return features
