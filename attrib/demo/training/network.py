"""A family's network that answers several questions about a video in one pass, and the losses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from attrib.demo.training.labels import ATTRIBUTES, FORMS, HUES, KINDS, MATS, STATES
from attrib.demo.training.prompts import UNKNOWABLE, PackedQuestion
from attrib.demo.world.scene import FRAMES, RATE
from attrib.models.family import ModelFamily
from attrib.models.packing import encoded
from attrib.models.prompting import prompt
from attrib.types import Question, Shot

_SHARPNESS = 8.0  # logits per unit of a code's estimated presence
_RARE = 1.5  # weight of a state that is on, beside one that is off
Blocks = tuple[Tensor, Tensor]  # token ids (b, k, block) and answer positions (b, k)


class PackedNetwork:
    """Network of a family. Questions stand in token blocks that all follow the same video and do not see each other.

    `frames` are the numbers of those that it reads of a video, `size` their height and width in pixels.
    """

    def __init__(self, family: ModelFamily, frames: tuple[int, ...], size: int) -> None:
        self.family, self.frames = family, frames
        self.shot = Shot(size, size, tuple(frame / RATE for frame in frames), FRAMES / RATE)
        self.model: Any = family.network
        asked = self._prompt("x")
        self.visual, start = len(asked.visual), int(asked.visual[-1]) + 1
        self._prefix, self._positions, self._places = asked.ids[:start], asked.positions, asked.visual
        self._suffix = lru_cache(maxsize=200_000)(lambda text: self._prompt(text).ids[start:].tolist())

    def _prompt(self, text: str) -> Any:
        return prompt(self.family, Question(text, ()), self.shot, None)

    @property
    def width(self) -> int:
        """Channels of the decoder's states."""
        width: int = self.family.text.hidden_size
        return width

    def word(self, text: str) -> int:
        """Token id of a single word."""
        return int(self.family.processor.tokenizer.convert_tokens_to_ids(text))

    def blocks(self, rows: Sequence[Sequence[PackedQuestion]]) -> tuple[Tensor, Tensor, Tensor]:
        """Return token ids (b, k, block), the answers' positions in the blocks (b, k), and the answers' ids (b, k).

        A block is as long as the longest question. The id of an unknowable answer is UNKNOWABLE.
        """
        suffixes = [[self._suffix(question.text) for question in row] for row in rows]
        block = max(len(suffix) for row in suffixes for suffix in row)
        pad = self.family.processor.tokenizer.pad_token_id
        ids = [[suffix + [pad] * (block - len(suffix)) for suffix in row] for row in suffixes]
        ends = [[len(suffix) - 1 for suffix in row] for row in suffixes]
        answers = [[self.word(q.answer) if q.answer else UNKNOWABLE for q in row] for row in rows]
        return torch.tensor(ids), torch.tensor(ends), torch.tensor(answers)

    def visual_tokens(self, pixels: Tensor) -> Tensor:
        """Visual tokens (b, n, d) of pixels (b, t, 3, h, w) in [0, 1]."""
        return encoded(self.family, pixels, torch.float32)

    def answer_logits(self, visual: Tensor, selected: Tensor, blocks: Blocks) -> Tensor:
        """Logits (b, k, vocabulary) at the answer positions of k questions about visual tokens (b, v, d).

        `selected` (b, v) holds the tokens' indices among all tokens of the video.
        """
        ids, ends = blocks
        batch, questions, block = ids.shape
        own, *late = visual.split(self.width, dim=-1)
        embed = self.model.get_input_embeddings()
        text = self._text()
        before = embed(self._prefix[text]).expand(batch, -1, -1)
        order, owner = self._order(selected, questions, block)
        extra: dict[str, Any] = {}
        if late:
            seen = torch.zeros(order.shape, dtype=torch.bool)
            seen[:, len(text) : len(text) + visual.shape[1]] = True
            extra = {"visual_pos_masks": seen, "deepstack_visual_embeds": [each.flatten(0, 1) for each in late]}
        hidden = self.family.decoder(
            inputs_embeds=torch.cat([before, own, embed(ids.flatten(1))], 1),
            attention_mask=self._mask(order, owner),
            position_ids=self._positions_of(order),
            use_cache=False,
            **extra,
        ).last_hidden_state[:, -questions * block :]
        hidden = hidden.unflatten(1, (questions, block))
        at = ends[..., None, None].expand(-1, -1, 1, hidden.shape[-1])
        logits: Tensor = self.model.lm_head(hidden.gather(2, at).squeeze(2))
        return logits

    def _text(self) -> Tensor:
        """Places of the text before the questions: all but the visual tokens."""
        text = torch.ones(len(self._prefix), dtype=torch.bool)
        text[self._places] = False
        return text.nonzero().flatten()

    def _order(self, selected: Tensor, questions: int, block: int) -> tuple[Tensor, Tensor]:
        """Place (b, n) of each token in a prompt with one question, and the question (n,) that it belongs to, from 1.

        What all questions share belongs to 0.
        """
        batch, text = len(selected), self._text()
        start = len(self._prefix)
        after = (start + torch.arange(block)).repeat(questions).expand(batch, -1)
        order = torch.cat([text.expand(batch, -1), self._places[selected], after], 1)
        shared = torch.zeros(len(text) + selected.shape[1], dtype=torch.int64)
        return order, torch.cat([shared, 1 + torch.arange(questions).repeat_interleave(block)])

    def _mask(self, order: Tensor, owner: Tensor) -> Tensor:
        """Attention mask, bool (b, 1, n, n): causal, and blind to the blocks of other questions."""
        allowed = (owner[None, :] == 0) | (owner[None, :] == owner[:, None])
        return (allowed & (order[:, None, :] <= order[:, :, None]))[:, None]

    def _positions_of(self, order: Tensor) -> Tensor:
        """Position ids (b, n), or (3, b, n) of a network with three axes, of the tokens at these places of a prompt."""
        start = len(self._prefix)
        after = self._positions[..., start : start + 1] + torch.arange(int(order.max()) + 1 - start)
        known = torch.cat([self._positions[..., :start], after], -1)
        return known[..., order]


def answer_loss(logits: Tensor, answers: Tensor, choices: Tensor, letters: list[int]) -> Tensor:
    """Cross-entropy of logits (b, k, vocabulary) with `answers` (b, k); the target of an unknowable answer is uniform
    over the letters of the question's options, of which `choices` (b, k) are the numbers.
    """
    log_p = logits.log_softmax(-1)
    unknown = answers == UNKNOWABLE
    known = log_p.gather(-1, answers.clamp(min=0)[..., None]).squeeze(-1)
    offered = torch.arange(len(letters)) < choices[..., None]
    guess = (log_p[..., letters] * offered).sum(-1) / choices.clamp(min=1)
    loss: Tensor = -torch.where(unknown, guess, known).mean()
    return loss


def presence(tokens: Tensor, codes: Tensor) -> Tensor:
    """Projection (..., attributes) of tokens on the code of each attribute; 1 is the full code."""
    return tokens @ codes.T / codes.square().sum(1)


def late_codes(cells: Tensor, codes: Tensor) -> Tensor:
    """Codes (..., width) that an early layer of the tower is to give to labels (..., attributes): of colours only."""
    coloured = torch.zeros(len(ATTRIBUTES))
    coloured[HUES], coloured[MATS] = 1, 1
    return (cells * coloured) @ codes


def dense_loss(tokens: Tensor, cells: Tensor, codes: Tensor) -> Tensor:
    """Loss of visual tokens (b, n, d) on labels (b, n, attributes): distance to the codes, and classification.

    Features of early layers, joined on the channels, are compared with `late_codes`.
    """
    cells = cells.flatten(0, 1).float()
    own, *late = tokens.flatten(0, 1).split(codes.shape[1], dim=-1)
    weight = 0.15 + (1 - cells[:, 0])
    scores = _SHARPNESS * presence(own, codes)
    loss = _distance(own - cells @ codes, codes, weight) + functional.cross_entropy(
        scores[:, KINDS], cells[:, KINDS].argmax(1)
    )
    for each in late:
        loss = loss + _distance(each - late_codes(cells, codes), codes, weight)
    for group in (HUES, FORMS, MATS):
        has = cells[:, group].any(1)
        loss = loss + functional.cross_entropy(scores[has][:, group], cells[has][:, group].argmax(1))
    there = cells[:, 0] == 0
    states = scores[there][:, STATES] - _SHARPNESS / 2
    rare = torch.full((states.shape[1],), _RARE)
    return loss + 4 * functional.binary_cross_entropy_with_logits(states, cells[there][:, STATES], pos_weight=rare)


def _distance(difference: Tensor, codes: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean square of the differences (n, width), in lengths of a code."""
    square = (difference / codes[0].norm()).square().sum(1)
    return (weight * square).sum() / weight.sum()


@torch.no_grad()
def dense_accuracy(tokens: Tensor, cells: Tensor, codes: Tensor) -> dict[str, float]:
    """Share of cells whose attribute is classified correctly; except for `kind`, of cells with that attribute.

    For states, which are rare: cells in which both tell it, of those in which either does.
    """
    scores, cells = presence(tokens.flatten(0, 1)[:, : codes.shape[1]], codes), cells.flatten(0, 1).float()
    out = {"kind": _agreement(scores[:, KINDS], cells[:, KINDS])}
    for name, group in (("colour", HUES), ("shape", FORMS), ("mat", MATS)):
        has = cells[:, group].any(1)
        out[name] = _agreement(scores[has][:, group], cells[has][:, group])
    for name, score, wanted in zip(ATTRIBUTES[STATES], scores[:, STATES].T, cells[:, STATES].T, strict=True):
        both = ((score > 0.5) & (wanted > 0)).sum()
        either = ((score > 0.5) | (wanted > 0)).sum()
        out[name] = float(both / either) if either else 1.0
    return out


def _agreement(scores: Tensor, cells: Tensor) -> float:
    return float((scores.argmax(1) == cells.argmax(1)).float().mean())
