"""The prompt of a question about a clip, by the official processor and chat template."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.video_utils import VideoMetadata

from attrib.errors import InputError
from attrib.models.family import ModelFamily
from attrib.models.replying import refuse_reserved
from attrib.types import Question, Reply, Shot

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

TICKS = 1000  # of the clock in which the processor is told the frames' times, per second
PIXELS = ("pixel_values", "pixel_values_videos")


def option_prompt(question: Question) -> str:
    """Return the user's words for a multiple-choice question, as lmms-eval asks; without options its text."""
    if not question.options:
        return question.text
    options = "\n".join(f"{k}. {text}" for k, text in zip(question.letters, question.options, strict=True))
    return f"{question.text}\n{options}\nAnswer with the option's letter from the given choices directly."


@dataclass(frozen=True, eq=False)
class Prompt:
    """Token ids (m,) with all of a reply but its last token; `asked` of them are the prompt's own.

    visual (n,): positions of the visual tokens in the grid's order; `extra` ones that stand for no place follow the
    grid's. positions: (m,), or (3, m) of a network with three axes. `each`: other inputs with one value a token (m,).
    `whole`: other inputs of the whole clip.
    """

    ids: Int[Tensor, " m"]
    asked: int
    visual: Int[Tensor, " n"]
    extra: Int[Tensor, " e"]
    positions: Int[Tensor, "... m"]
    each: Mapping[str, Tensor]
    whole: Mapping[str, Any]

    def kept(self, keep: Bool[Tensor, " n"]) -> Prompt:
        """Return the prompt without the visual tokens outside the mask; the others retain their positions."""
        stays = torch.ones_like(self.ids, dtype=torch.bool)
        stays[self.visual] = keep.to(stays.device)
        place = stays.cumsum(0) - 1
        return Prompt(
            self.ids[stays], self.asked - int((~keep).sum()), place[self.visual[keep.to(place.device)]],
            place[self.extra], self.positions[..., stays], {name: value[stays] for name, value in self.each.items()},
            self.whole,
        )  # fmt: skip


def prompt(family: ModelFamily, question: Question, shot: Shot, reply: Reply | None) -> Prompt:
    """Return the prompt. Raises InputError for a question with reserved tokens and a template that fits no clip."""
    text = option_prompt(question)
    refuse_reserved(family.processor.tokenizer, text, "question")
    inputs = dict(asked(family, text, shot))
    said = list(reply.ids[:-1]) if reply else []
    own = inputs.pop("input_ids")[0]
    ids = torch.cat([own, own.new_tensor(said)])
    inputs.pop("attention_mask", None)
    each = {
        name: pad(value[0], (0, len(said)))
        for name, value in inputs.items()
        if isinstance(value, Tensor) and value.shape == (1, len(own))
    }
    whole = {name: value for name, value in inputs.items() if name not in each and name not in PIXELS}
    places, expected = (own == family.placeholder).nonzero().flatten(), family.grid(shot).tokens
    if len(places) != expected + family.extra:
        raise InputError(f"its chat template places {len(places)} visual tokens, expected {expected + family.extra}")
    return Prompt(
        ids, len(own), places[:expected], places[expected:], _positions(family, ids, each, whole), each, whole
    )


def asked(family: ModelFamily, text: str, shot: Shot) -> Mapping[str, Any]:
    """Return the official processor's output for a blank clip of this size at these times, and the user's words."""
    blank = torch.zeros(shot.frames, 3, shot.height, shot.width, dtype=torch.uint8)
    return official(family.processor, family.content(blank), text, shot, {"do_resize": False, **family.packing()})


def official(
    processor: Any, media: Sequence[Mapping[str, Any]], text: str, shot: Shot, arguments: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a processor's output for media parts, a video with these times or pictures, and the user's words.

    A template that can let the model think before it answers is asked not to.
    """
    if media[0]["type"] == "video":
        arguments = {**arguments, "do_sample_frames": False, "video_metadata": [[metadata(shot)]]}
    found: Mapping[str, Any] = _templated(
        processor, [*media, {"type": "text", "text": text}], tokenize=True, return_dict=True, return_tensors="pt",
        processor_kwargs=dict(arguments),
    )  # fmt: skip
    return found


def last_token(processor: Any, media: Sequence[Mapping[str, Any]]) -> int:
    """Return the token that every prompt with such media parts ends with: the one before the answer."""
    text = _templated(processor, [*media, {"type": "text", "text": "?"}], tokenize=False)
    return int(processor.tokenizer(text, add_special_tokens=False).input_ids[-1])


def _templated(processor: Any, content: Sequence[Mapping[str, Any]], **arguments: Any) -> Any:
    """Return what the chat template makes of the user's turn, up to where the answer begins, without thinking aloud."""
    thinking = {"enable_thinking": False} if "enable_thinking" in str(processor.chat_template) else {}
    conversation = [{"role": "user", "content": list(content)}]
    return processor.apply_chat_template(conversation, add_generation_prompt=True, **thinking, **arguments)


def metadata(shot: Shot) -> VideoMetadata:
    """Return the frames' times in milliseconds, as frame numbers of a video with 1,000 frames a second."""
    indices = [round(time * TICKS) for time in shot.times]
    total = max(round(shot.end * TICKS), indices[-1] + 1)
    return VideoMetadata(total_num_frames=total, fps=TICKS, frames_indices=indices, duration=total / TICKS,
                         height=shot.height, width=shot.width)  # fmt: skip


def _positions(family: ModelFamily, ids: Tensor, each: Mapping[str, Tensor], whole: Mapping[str, Any]) -> Tensor:
    """Return 0, 1, 2, ... or, where the network has its own rule for clips, that rule's."""
    rule = getattr(family.network.model, "get_rope_index", None)
    if rule is None:
        return torch.arange(len(ids))
    known = inspect.signature(rule).parameters
    arguments = {**{name: value[None] for name, value in each.items()}, **whole}
    positions, _ = rule(ids[None], **{name: value for name, value in arguments.items() if name in known})
    found: Tensor = positions[:, 0]
    return found
