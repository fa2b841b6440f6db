"""Any image-text-to-text model that transformers loads: asked by its own processor and forward, in pixels only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from attrib.capabilities import AnswersFreely
from attrib.errors import InputError, UnsupportedModel, one_line
from attrib.model import OpaqueModel, TokenGrid
from attrib.models.loading import Checkpoint, LoadOptions, load_checkpoint, one_line_errors
from attrib.models.packing import WHITE
from attrib.models.prompting import last_token, official, option_prompt
from attrib.models.replying import generated, given, letter_id, refuse_reserved, unknown_words
from attrib.runtime.files import fingerprint
from attrib.types import Clip, Question, Shot
from attrib.types.reply import Reply

if TYPE_CHECKING:
    from jaxtyping import Float

CELLS = 16  # along each side of a frame: the grid on which maps of a model without known tokens are scored
FRAMES = 8  # of a clip by default: a picture may cost hundreds of tokens
LONGEST = 64  # tokens of a generated answer, unless the checkpoint says otherwise
TRIAL = (2, 96, 128)  # frames, height and width of the clip that a checkpoint is tried with
Media = Literal["video", "image"]


@dataclass(frozen=True)
class BlackBoxMedia:
    """Form in which a processor gets the frames: one video, or pictures."""

    as_images: bool
    changed: ClassVar[Mapping[str, Any]] = {}  # settings of the processor: none

    def content(self, frames: Tensor) -> list[dict[str, Any]]:
        """Return the media parts of the user's message for a clip (t, 3, h, w)."""
        if not self.as_images:
            return [{"type": "video", "video": frames}]
        return [{"type": "image", "image": frame} for frame in frames]

    def packing(self) -> dict[str, Any]:
        """Return more arguments for the processor: none."""
        return {}


class BlackBox(OpaqueModel, AnswersFreely):
    """A checkpoint without an adapter of its own; frames go to its processor as a video, or else as pictures."""

    def __init__(self, network: Any, processor: Any, name: str, revision: str | None = None) -> None:
        self.name, self.revision = name, revision
        self._network, self._processor = network.eval().requires_grad_(False), processor
        self._tokenizer: Any = processor.tokenizer
        self._media: Media = "video" if getattr(processor, "video_processor", None) is not None else "image"
        self.frames = FRAMES

    @property
    def module(self) -> nn.Module:
        """The transformers network."""
        network: nn.Module = self._network
        return network

    @property
    def media(self) -> BlackBoxMedia:
        """Form in which the processor gets the frames."""
        return BlackBoxMedia(self._media == "image")

    def prompt_ids(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> list[int]:
        """Return the ids that the network is asked with."""
        ids: list[int] = self._inputs(pixels, question)["input_ids"][0].tolist()
        return ids

    def preprocess(self, clip: Clip) -> Float[Tensor, "t 3 h w"]:
        """Return the frames at their own size; the processor resizes them when the model is asked."""
        return torch.from_numpy(clip.frames).permute(0, 3, 1, 2).to(self.device, torch.float32) / WHITE

    def grid(self, shot: Shot) -> TokenGrid:
        """Return CELLS x CELLS cells a frame, or fewer on small frames: which tokens there are is not known."""
        return TokenGrid(shot.frames, min(CELLS, shot.height), min(CELLS, shot.width))

    def option_logprobs(self, pixels: Float[Tensor, "b t 3 h w"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities of options or of a free answer's tokens, one version after another, without gradients.

        Raises UnsupportedModel for pixels that require gradients.
        """
        if pixels.requires_grad:
            raise UnsupportedModel(f"model {self.name!r} is a black box to attrib: it has no gradients")
        with torch.no_grad():
            return torch.stack([self._answer(version, question) for version in pixels])

    def _answer(self, pixels: Tensor, question: Question) -> Float[Tensor, " o"]:
        reply = question.reply
        inputs = self._inputs(pixels, question, reply.ids[:-1] if reply else ())
        rows = self._network(**inputs, use_cache=False).logits[0, -(len(reply.ids) if reply else 1) :]
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        if reply is not None:
            return torch.log_softmax(rows, dim=-1)[range(len(reply.ids)), list(reply.ids)]
        last = self._last_token()
        letters = [letter_id(self._tokenizer, letter, self.name, last) for letter in question.letters]
        return torch.log_softmax(rows[-1, letters], dim=-1)

    def _inputs(self, pixels: Tensor, question: Question, said: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return the official processor's output on the model's device, with the tokens `said` after the prompt."""
        text = option_prompt(question)
        refuse_reserved(self._tokenizer, text, "question")
        frames = (pixels.detach() * WHITE).round().clamp(0, WHITE).to("cpu", torch.uint8)
        if question.shot is None:
            raise InputError("question: expected the shot of the clip that it is about; Subject.bind sets it")
        inputs = dict(official(self._processor, self.media.content(frames), text, question.shot, {}))
        ids = inputs["input_ids"]
        more = {name: pad(value, (0, len(said))) for name, value in inputs.items() if _same(value, ids)}
        more["input_ids"] = torch.cat([ids, ids.new_tensor([said])], dim=1) if said else ids
        more["attention_mask"] = torch.ones_like(more["input_ids"])
        return {name: self._moved(value) for name, value in {**inputs, **more}.items()}

    def _last_token(self) -> int:
        return last_token(self._processor, self.media.content(torch.zeros(1, 3, 1, 1, dtype=torch.uint8)))

    def _moved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.to(self.device, self.dtype) if value.is_floating_point() else value.to(self.device)

    def reply(self, text: str) -> Reply:
        """A given answer in the tokenizer's tokens."""
        return given(self._tokenizer, text, self._last_token())

    @torch.no_grad()
    def generate(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> Reply:
        """Greedily, up to the end of the turn, by transformers' own generation."""
        inputs, settings = self._inputs(pixels, question), self._network.generation_config
        limit = settings.max_new_tokens or LONGEST
        (ids,) = self._network.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=limit).tolist()
        ends = {settings.eos_token_id} if isinstance(settings.eos_token_id, int) else {*(settings.eos_token_id or ())}
        said = ids[inputs["input_ids"].shape[1] :]
        return generated(self._tokenizer, list(takewhile(lambda token: token not in ends, said)))

    def unknown_words(self, question: Question) -> tuple[str, ...]:
        """Return the words that become the unknown token; none where the vocabulary has bytes."""
        return unknown_words(self._tokenizer, (question.text, *question.options))

    def try_out(self) -> None:
        """Ask about a blank clip, as a video if the processor takes one, else as pictures; raises what is raised."""
        frames, height, width = TRIAL
        clip = Clip(np.zeros((frames, height, width, 3), np.uint8), np.arange(float(frames)), float(frames))
        pixels = self.preprocess(clip)
        question = Question("Which?", ("one", "two"), shot=Shot.of(pixels, clip))
        tried: tuple[Media, ...] = ("video", "image") if self._media == "video" else ("image",)
        for self._media in tried:
            try:
                self.option_logprobs(pixels[None], question)
                return
            except Exception as error:  # processors raise nearly anything
                failure = one_line(f"{type(error).__name__}: {error}", 200)
        raise InputError(f"it takes neither a video nor several pictures: {failure}")


def _same(value: Any, ids: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == ids.shape


def load_black_box(checkpoint: str | Path, **options: Unpack[LoadOptions]) -> BlackBox:
    """Load a checkpoint of any family. Raises InputError in one line when it cannot be loaded or asked."""
    source = Checkpoint(str(checkpoint), options.get("revision"), options.get("offline", False))
    if options.get("pixels") is not None:
        raise InputError(f"model.pixels: model {source.name} is a black box to attrib; leave it out")
    processor, network = load_checkpoint(source, options.get("dtype", "float32"), options.get("device_map"))
    local = fingerprint(Path(checkpoint).glob("*.safetensors")) if source.local else None
    commit = local or getattr(network.config, "_commit_hash", None) or source.revision
    with one_line_errors(source, "network"):
        placed = network if options.get("device_map") else network.to(options.get("device", "cpu"))
        model = BlackBox(placed, processor, source.name, commit)
    try:
        model.try_out()
    except InputError as error:
        raise InputError(f"model {source.name}: {error}") from error
    return model
