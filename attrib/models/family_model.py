"""The adapter of all families: pixels to option log-probabilities by a network's own forward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import groupby, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from attrib.attention_record import AttentionRecord, Knockout
from attrib.capabilities import (
    AnswersFreely,
    DecoderLayer,
    EncodesSteps,
    HasVisionLayers,
    KnowsSizes,
    ModelPart,
    NamesBlocks,
    NamesLayers,
    Places,
    ReadsTokens,
    RecordsAttention,
    RecordsVisionAttention,
    TokenLens,
    WeighsLetters,
)
from attrib.errors import InputError
from attrib.model import TokenGrid, VideoModel
from attrib.models.decoder_layers import decoder_layers, places
from attrib.models.family import Layout, ModelFamily
from attrib.models.loading import Checkpoint, LoadOptions, load_checkpoint, one_line_errors
from attrib.models.packing import encoded, preprocessed
from attrib.models.prompting import Prompt, last_token, option_prompt, prompt
from attrib.models.randomising import Blocks, parameter_blocks
from attrib.models.recording import check_cut, watching
from attrib.models.replying import generated, given, letter_id, reserved, unknown_words
from attrib.models.sizes import language_stack, vision_stack
from attrib.runtime.files import fingerprint
from attrib.types import Clip, Question, Shot
from attrib.types.footprint import LayerStack
from attrib.types.reply import Reply

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


DEFAULT_FRAMES = 16
AT_ONCE = 448 * 448  # pixels that go through the vision encoder at once on a CPU
LONGEST = 64  # tokens of a generated answer, unless the checkpoint says otherwise
TRIAL = (2, 128, 128)  # frames, height and width of the clip that a checkpoint is tried with


class FamilyModel(
    VideoModel, EncodesSteps, AnswersFreely, NamesBlocks, NamesLayers, ReadsTokens, RecordsAttention,
    RecordsVisionAttention, HasVisionLayers, WeighsLetters, KnowsSizes,
):  # fmt: skip
    """A checkpoint of a family in the Hugging Face layout."""

    def __init__(self, family: ModelFamily, name: str, revision: str | None = None) -> None:
        self.name, self.revision, self.family = name, revision, family
        family.network.eval().requires_grad_(False)
        self._tokenizer: Any = family.processor.tokenizer
        self._record: AttentionRecord | None = None  # of the forwards now running
        self._watched = False  # whether the tower's attention is followed
        self._visual = torch.empty(0, dtype=torch.long)  # where the visual tokens stood in the last forward's sequence
        self.frames = int(getattr(family.media_processor, "num_frames", None) or DEFAULT_FRAMES)

    @property
    def module(self) -> nn.Module:
        """The transformers network."""
        network: nn.Module = self.family.network
        return network

    @property
    def code(self) -> tuple[type, ...]:
        """The adapter and the family."""
        return type(self), type(self.family)

    def preprocess(self, clip: Clip) -> Float[Tensor, "t 3 h w"]:
        """Return the frames as the checkpoint's own processor resizes them."""
        return preprocessed(self.family, clip).to(self.device)

    def grid(self, shot: Shot) -> TokenGrid:
        """Return the family's grid."""
        return self.family.grid(shot)

    def encode(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """Compute the visual tokens; on a CPU a few steps at a time unless somebody follows them for gradients."""
        each = self.family.frames_per_step
        if torch.is_grad_enabled() or self._watched or self.device.type != "cpu" or pixels.shape[1] % each:
            return encoded(self.family, pixels, self.dtype)
        steps = pixels.flatten(0, 1).unflatten(0, (-1, each))
        size = max(1, AT_ONCE // (each * pixels.shape[-1] * pixels.shape[-2]))
        tokens = torch.cat([self.encode_steps(part) for part in steps.split(size)])
        return tokens.reshape(len(pixels), -1, tokens.shape[-1])

    def encode_steps(self, pixels: Float[Tensor, "m f 3 h w"]) -> Float[Tensor, "m k d"]:
        """Compute each step's tokens: no family's encoder joins steps."""
        return encoded(self.family, pixels, self.dtype)

    def score_tokens(
        self, tokens: Float[Tensor, "b n d"], question: Question, keep: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "b o"]:
        """Option or answer log-probabilities from visual tokens; dropped tokens leave a gap in the positions."""
        reply = question.reply
        asked = self._prompt(question, reply)
        if keep is not None:
            asked, tokens = asked.kept(keep), tokens[:, keep.to(tokens.device)]
        return self._logprobs(self._answer_states(tokens, asked, len(reply.ids) if reply else 1), question)

    @torch.no_grad()
    def letter_mass(self, tokens: Float[Tensor, "1 n d"], question: Question) -> float:
        """Share of the vocabulary's probability on the option letters, at the answer's row."""
        states = self._answer_states(tokens, self._prompt(question, None), 1)
        shares = torch.softmax(self.family.logits(states[0, -1]), dim=-1)
        return float(shares[self._letters(question)].sum())

    def _logprobs(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities of option letters at the last row, or of a free answer's tokens at the row before each."""
        if question.reply is None:
            return torch.log_softmax(self.family.logits(states[:, -1])[:, self._letters(question)], dim=-1)
        logprobs = torch.log_softmax(self.family.logits(states), dim=-1)
        return logprobs[:, range(len(question.reply.ids)), list(question.reply.ids)]

    def _answer_states(self, tokens: Float[Tensor, "b n d"], asked: Prompt, count: int) -> Float[Tensor, "b r d"]:
        """Return the last `count` rows: those that produce the answer's tokens."""
        self._visual, length, batch = asked.visual, len(asked.ids), len(tokens)
        if self._record is not None:
            self._record.visual, self._record.answer_rows = asked.visual, tuple(range(length - count, length))
        inputs = self._inputs(tokens, asked)
        positions = asked.positions.to(self.device)
        hidden: Tensor = self.family.network.model(
            **inputs, position_ids=positions[..., None, :].expand(*positions.shape[:-1], batch, length),
            use_cache=False, return_dict=True,
        ).last_hidden_state  # fmt: skip
        return hidden[:, length - count :]

    def _inputs(self, tokens: Tensor, asked: Prompt) -> dict[str, Any]:
        """Return what the network's forward and `generate` take, but for the positions."""
        batch = len(tokens)
        rows = {name: value.to(self.device).expand(batch, -1) for name, value in asked.each.items()}
        ids = asked.ids.to(self.device).expand(batch, -1)
        # An explicit mask of ones: without it, gaps in the positions are read as several sequences packed in one.
        return {
            **rows, "input_ids": ids, "attention_mask": torch.ones_like(ids),
            "mm_encoder_outputs": {self.family.modality: self.family.outputs(tokens)},
        }  # fmt: skip

    def read_out(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """A decoder layer's output at the answer rows through the last norm and the head ("logit lens")."""
        return self._logprobs(self.family.decoder.norm(states), question)

    @torch.no_grad()
    def token_lens(self, tokens: Float[Tensor, "1 n d"], question: Question, reply: Reply) -> TokenLens:
        """Logits of the user's words and the reply's."""
        asked = self._prompt(question, reply)
        places = self._words(asked, option_prompt(question))
        words = asked.ids[places].tolist()
        ids, length = (*words, *reply.ids), len(asked.ids)
        logits = self.family.logits(self._answer_states(tokens, asked, length)[0], ids)
        own = [*places, *range(asked.asked, length)]
        return TokenLens(ids, len(reply.ids), logits[asked.visual], logits[own])

    def _words(self, asked: Prompt, text: str) -> list[int]:
        """Return where the text stands after the video: the run of unreserved tokens that says it, else the first."""
        special, after = reserved(self._tokenizer), int(asked.visual[-1]) + len(asked.extra) + 1
        parts = groupby(range(after, asked.asked), lambda place: int(asked.ids[place]) in special)
        runs = [list(run) for ends, run in parts if not ends]
        return next((run for run in runs if text in self._tokenizer.decode(asked.ids[run])), runs[0] if runs else [])

    def reply(self, text: str) -> Reply:
        """A given answer in the tokenizer's tokens."""
        return given(self._tokenizer, text, self._last)

    @torch.no_grad()
    def generate(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> Reply:
        """Greedily, up to the end of the turn, by transformers' own generation."""
        asked, settings = self._prompt(question, None), self.family.network.generation_config
        whole = {name: value.to(self.device) for name, value in asked.whole.items() if isinstance(value, Tensor)}
        (ids,) = self.family.network.generate(
            **self._inputs(self.encode(pixels[None]), asked), **whole, do_sample=False, num_beams=1,
            max_new_tokens=settings.max_new_tokens or LONGEST,
        ).tolist()  # fmt: skip
        ends = {settings.eos_token_id} if isinstance(settings.eos_token_id, int) else {*(settings.eos_token_id or ())}
        own = list(takewhile(lambda token: token not in ends, ids[len(asked.ids) :]))
        return generated(self._tokenizer, own, self.family.placeholder)

    def _prompt(self, question: Question, reply: Reply | None) -> Prompt:
        if question.shot is None:
            raise InputError("question: expected the shot of the clip that it is about; Subject.bind sets it")
        return self._cached_prompt(question, question.shot, reply)

    @lru_cache(maxsize=64)  # noqa: B019  one model lives as long as its process
    def _cached_prompt(self, question: Question, shot: Shot, reply: Reply | None) -> Prompt:
        try:
            return prompt(self.family, question, shot, reply)
        except InputError as error:
            raise InputError(f"model {self.name!r}: {error}") from error

    def text_tokens(self, question: Question) -> int:
        """Number of tokens of the sequence that are not visual."""
        asked = self._prompt(question, None)
        return len(asked.ids) - len(asked.visual)

    @property
    def bounds_pixels(self) -> bool:
        """True for families that choose the size of frames."""
        return self.family.bounds_pixels

    def stacks(self, question: Question) -> tuple[LayerStack, LayerStack]:
        """Encoder's blocks and decoder's layers, read from their modules."""
        shot, asked = question.shot, self._prompt(question, question.reply)
        assert shot is not None  # the prompt checks
        at_once = AT_ONCE if self.device.type == "cpu" else None
        vision = vision_stack(self.family, shot, self.dtype, at_once)
        return vision, language_stack(self.family, len(asked.ids), self.dtype)

    def unknown_words(self, question: Question) -> tuple[str, ...]:
        """Return the words that become the unknown token; none where the vocabulary has bytes."""
        return unknown_words(self._tokenizer, (question.text, *question.options))

    def _letters(self, question: Question) -> list[int]:
        return [letter_id(self._tokenizer, letter, self.name, self._last) for letter in question.letters]

    @cached_property
    def _last(self) -> int:
        """Return the token before the answer."""
        blank = torch.zeros(self.family.frames_per_step, 3, 1, 1, dtype=torch.uint8)
        return last_token(self.family.processor, self.family.content(blank))

    def decoder_layers(self) -> Sequence[DecoderLayer]:
        """Layers from the last on that features of the encoder are added to."""
        return decoder_layers(self.family)

    def places(self, question: Question) -> Places:
        """Positions by the prompt."""
        return places(self._prompt(question, question.reply), len(question.reply.ids) if question.reply else 1)

    @contextmanager
    def record_attention(self, record: AttentionRecord) -> Iterator[None]:
        """Forwards fill the record; their result is SDPA's own."""
        self._record = record
        try:
            with watching(self.family.decoder, record):
                yield
        finally:
            self._record = None

    @contextmanager
    def knock_out(self, *cuts: Knockout) -> Iterator[None]:
        """Forwards lack the attention that is cut."""
        for cut in cuts:
            check_cut(cut, self.family.text.num_hidden_layers, self.family.text.num_attention_heads)
        with watching(self.family.decoder, cuts=cuts):
            yield

    @contextmanager
    def record_vision_attention(self, record: AttentionRecord, shot: Shot) -> Iterator[None]:
        """The tower's layers, recorded as the family can."""
        self._watched = True
        try:
            with self.family.watching_tower(record, shot):
                yield
        finally:
            self._watched = False

    def parameter_blocks(self) -> Mapping[ModelPart, Blocks]:
        """Tower and what follows it; word embeddings, decoder and head."""
        return parameter_blocks(self.family.network, self.family.decoder, self.family.tower())

    def vision_layers(self) -> Mapping[str, nn.Module]:
        """The tower's blocks that are read, what follows them, and the decoder's layers at the visual tokens."""
        tower = self.family.tower()
        blocks = {f"blocks.{index}": block for index, block in enumerate(tower.blocks)}
        decoder = {f"decoder.{index}": layer for index, layer in enumerate(self.family.decoder.layers)}
        return {**blocks, **tower.after, **decoder}

    def feature_map(self, layer: str, activation: Tensor, shot: Shot) -> Float[Tensor, "steps c h w"]:
        """Places of a layer's output as a map for each step."""
        layout = self._layout(layer, activation, shot)
        places = activation.reshape(-1, activation.shape[-1])[layout.order.to(activation.device)]
        return places.unflatten(0, (layout.steps, layout.rows, layout.columns)).movedim(3, 1)

    def from_feature_map(
        self, layer: str, features: Float[Tensor, "steps c h w"], activation: Tensor, shot: Shot
    ) -> Tensor:
        """The map's places put back among the tokens that stand for no place."""
        order = self._layout(layer, activation, shot).order.to(activation.device)
        places = features.movedim(1, 3).flatten(0, 2)
        flat = activation.reshape(-1, activation.shape[-1])
        return flat.index_copy(0, order, places.to(flat.dtype)).view_as(activation)

    def _layout(self, layer: str, activation: Tensor, shot: Shot) -> Layout:
        grid, count = self.grid(shot), activation.shape[:-1].numel()
        if layer.startswith("decoder."):
            return Layout(grid.steps, grid.rows, grid.columns, self._visual)
        if layer.startswith("blocks.") or count != grid.tokens:
            return self.family.tower_layout(shot, count)
        return Layout(grid.steps, grid.rows, grid.columns, self.family.order(shot))


def load_family(
    family: type[ModelFamily], checkpoint: str | Path, **options: Unpack[LoadOptions]
) -> FamilyModel:  # fmt: skip
    """Load a checkpoint directory or id; on the CPU in float32 unless `options` say otherwise.

    Raises InputError in one line when it cannot be loaded.
    """
    source = Checkpoint(str(checkpoint), options.get("revision"), options.get("offline", False))
    spread = options.get("device_map")
    processor, network = load_checkpoint(source, options.get("dtype", "float32"), spread)
    local = fingerprint(Path(checkpoint).glob("*.safetensors")) if source.local else None
    commit = local or getattr(network.config, "_commit_hash", None) or source.revision
    with one_line_errors(source, "network"):
        placed = network if spread else network.to(options.get("device", "cpu"))
        model = FamilyModel(family(placed, processor), source.name, commit)
        if (pixels := options.get("pixels")) is not None:
            model.family.limit(pixels)
    with one_line_errors(source, "chat template"):
        frames, height, width = TRIAL
        clip = Clip(np.zeros((frames, height, width, 3), np.uint8), np.arange(float(frames)), float(frames))
        model.text_tokens(Question("Which?", shot=Shot.of(model.preprocess(clip), clip)))
    return model
