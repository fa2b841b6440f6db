"""Official processor of a checkpoint, loaded afresh, and plain forwards of the network: no step of attrib's path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoProcessor, PreTrainedModel
from transformers.video_utils import VideoMetadata

from attrib.errors import InputError, UnsupportedModel, first_line
from attrib.models.black_box import BlackBox, BlackBoxMedia
from attrib.models.family import ModelFamily
from attrib.models.family_model import FamilyModel
from attrib.models.loading import Checkpoint, one_line_errors
from attrib.models.prompting import TICKS, Prompt, option_prompt, prompt
from attrib.subject import Subject
from attrib.types import Clip, Question

if TYPE_CHECKING:
    from jaxtyping import Float, Int

QUESTION = Question("Which cup hides the ball?", ("the left one", "B", "the right one"))
MOST_GENERATED = 8  # tokens of a generated answer that are compared


@dataclass(frozen=True, eq=False)
class EagerPass:
    """Each layer's stored attention (1, heads, m, m), and the gradient of the answer's log-odds at it."""

    maps: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """A model bound to a clip and a question, beside what the official classes make of the same clip."""

    model: FamilyModel
    clip: Clip
    question: Question = QUESTION

    @cached_property
    def subject(self) -> Subject:
        """The model with the clip, by attrib."""
        return Subject.bind(self.model, self.clip, self.question)

    @cached_property
    @torch.no_grad()
    def tokens(self) -> Float[Tensor, "1 n d"]:
        """Visual tokens, by attrib."""
        return self.model.encode(self.subject.pixels[None])

    @cached_property
    def processor(self) -> Any:
        """The checkpoint's processor as no family has touched it."""
        config = self.network.config
        source = Checkpoint(config.name_or_path, getattr(config, "_commit_hash", None), offline=True)
        with one_line_errors(source, "processor"):
            found = AutoProcessor.from_pretrained(source.name, revision=source.revision, local_files_only=True)
        for name, value in self.media.changed.items():
            setattr(found.image_processor if self.media.as_images else found.video_processor, name, value)
        return found

    @property
    def media(self) -> ModelFamily | BlackBoxMedia:
        """Form in which the official processor gets the frames."""
        return self.model.family

    @property
    def placeholder(self) -> int | None:
        """Id that stands for a visual token; None where it is not known."""
        return self.model.family.placeholder

    @property
    def ids(self) -> list[int]:
        """The prompt's ids, by attrib."""
        found: list[int] = self.prompt.ids.tolist()
        return found

    @property
    def strangers(self) -> int:
        """Visual tokens of the prompt that have no cell."""
        count = len(self.prompt.visual)
        return abs(count - self.subject.grid.tokens) + abs(count - self.tokens.shape[1])

    @cached_property
    def prompt(self) -> Prompt:
        """The prompt, by attrib."""
        return prompt(self.model.family, self.subject.question, self.subject.shot, None)

    @property
    def rough(self) -> bool:
        """True in half precision, where single numbers are mostly rounding."""
        return self.model.dtype.itemsize < 4

    @property
    def network(self) -> Any:
        """The loaded network."""
        return self.model.module

    @property
    def open_question(self) -> Question:
        """The question without its options."""
        return replace(self.subject.question, options=())

    def inputs(self, text: str) -> Mapping[str, Any]:
        """Return the official processor's output for the clip at its real size and times. Raises InputError."""
        frames = torch.from_numpy(self.clip.frames).permute(0, 3, 1, 2)
        media = self.media.content(frames)
        arguments: dict[str, Any] = dict(self.media.packing())
        if not self.media.as_images:
            arguments |= {"do_sample_frames": False, "video_metadata": [[self._metadata()]]}
        thinking = {"enable_thinking": False} if "enable_thinking" in str(self.processor.chat_template) else {}
        try:
            found = self.processor.apply_chat_template(
                [{"role": "user", "content": [*media, {"type": "text", "text": text}]}], tokenize=True,
                add_generation_prompt=True, return_dict=True, return_tensors="pt", processor_kwargs=arguments,
                **thinking,
            )  # fmt: skip
        except Exception as error:  # each processor raises its own
            raise InputError(f"the official processor does not take this clip: {first_line(error)}") from error
        moved: Mapping[str, Any] = found.to(self.model.device, self.model.dtype)
        return moved

    def _metadata(self) -> VideoMetadata:
        indices = [round(float(time) * TICKS) for time in self.clip.times]
        total = round(self.clip.end * TICKS)
        return VideoMetadata(total_num_frames=total, fps=TICKS, frames_indices=indices, duration=self.clip.end)

    @cached_property
    def asked(self) -> Mapping[str, Any]:
        """The official processor's output for the question with its options."""
        return self.inputs(option_prompt(self.question))

    @cached_property
    def letters(self) -> list[int]:
        """Ids of the option letters: the last token of the prompt's end with the letter written after it."""
        tokenizer, ids = self.processor.tokenizer, self.asked["input_ids"][0].tolist()
        end = "" if ids[-1] in tokenizer.all_special_ids else str(tokenizer.decode(ids[-1:]))
        gap = " " if end.strip() == end != "" else ""
        return [
            tokenizer(end + gap + letter, add_special_tokens=False).input_ids[-1] for letter in self.question.letters
        ]

    @torch.no_grad()
    def logprobs(self) -> Float[Tensor, " o"]:
        """Compute the options' log-probabilities by the plain forward."""
        logits = self.network(**self.asked).logits[0, -1, self.letters]
        return torch.log_softmax(logits.float(), dim=0)

    @cached_property
    def eager(self) -> EagerPass:
        """Attention as the network's eager implementation stores it. Raises UnsupportedModel where there is none."""
        embedding = self.network.get_input_embeddings()
        handle = embedding.register_forward_hook(lambda _, __, output: output.requires_grad_())
        try:
            with eager_attention(self.network), torch.enable_grad():
                output = self.network(**self.asked, output_attentions=True)
        finally:
            handle.remove()
        logprobs = torch.log_softmax(output.logits[0, -1, self.letters].float(), dim=0)
        chosen = self.subject.predicted
        rest = [index for index in range(len(logprobs)) if index != chosen]
        score = logprobs[chosen] - torch.logsumexp(logprobs[rest], dim=0)
        maps = output.attentions
        slopes = torch.autograd.grad(score, maps)
        return EagerPass(tuple(each.detach() for each in maps), slopes)

    @torch.no_grad()
    def generated(self, count: int) -> list[int]:
        """Return the ids of the official greedy answer to the question without options, up to the end of its turn."""
        inputs = self.inputs(option_prompt(self.open_question))
        whole = self.network.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=count)[0]
        own: Int[Tensor, " k"] = whole[inputs["input_ids"].shape[1] :]
        return own.tolist()


@dataclass(frozen=True, eq=False)
class OpaqueCase(Case):
    """A black box: what it is asked and what it answers can be compared, and nothing within it."""

    model: BlackBox  # type: ignore[assignment]

    @property
    def media(self) -> BlackBoxMedia:
        """A video or pictures."""
        return self.model.media

    @property
    def placeholder(self) -> None:
        """None."""

    @property
    def ids(self) -> list[int]:
        """The prompt's ids, by attrib."""
        return self.model.prompt_ids(self.subject.pixels, self.subject.question)

    @property
    def strangers(self) -> int:
        """None: visual tokens are not known."""
        return 0


@contextmanager
def eager_attention(network: Any) -> Iterator[None]:
    """Store attention in the context, by transformers' own switch. Raises UnsupportedModel where it is refused."""
    configs = [module.config for module in network.modules() if isinstance(module, PreTrainedModel)]
    before = [(config, config._attn_implementation) for config in configs]
    try:
        network.set_attn_implementation("eager")
        decoder = network.model.get_decoder()
        if decoder.config._attn_implementation != "eager":
            raise UnsupportedModel(f"{type(decoder).__name__} has no eager attention to compare with")
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation
