"""PerceptionLM (Cho et al. 2025, arXiv 2504.13180) through transformers: pixels to option log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from attrib.attention_record import AttentionRecord, Knockout
from attrib.capabilities import (
    AnswersFreely,
    EncodesSteps,
    HasVisionLayers,
    ModelPart,
    NamesBlocks,
    ReadsTokens,
    RecordsAttention,
    RecordsVisionAttention,
    TokenLens,
    WeighsLetters,
)
from attrib.errors import InputError
from attrib.model import TokenGrid, VideoModel
from attrib.models.loading import Checkpoint, load_checkpoint, one_line_errors
from attrib.models.randomising import Blocks, parameter_blocks
from attrib.models.recording import check_cut, watching
from attrib.models.replying import generated, given, refuse_reserved, unknown_words
from attrib.models.tower_recording import watching_tower
from attrib.runtime.files import fingerprint
from attrib.types import Clip, Question
from attrib.types.reply import Reply

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

DEMO = Path(__file__).parent.parent / "demo" / "checkpoint"
DEFAULT_FRAMES = 16
TOWER = 2**20  # numbers that one of the tower's layers gives at once on the CPU: one frame at full size
LONGEST = 64  # tokens of a generated answer, unless the checkpoint says otherwise


def option_prompt(question: Question) -> str:
    """The user's words for a multiple-choice question, as lmms-eval asks PerceptionLM; without options its text."""
    if not question.options:
        return question.text
    options = "\n".join(f"{k}. {text}" for k, text in zip(question.letters, question.options, strict=True))
    return f"{question.text}\n{options}\nAnswer with the option's letter from the given choices directly."


class PerceptionLM(
    VideoModel, EncodesSteps, AnswersFreely, NamesBlocks, ReadsTokens, RecordsAttention, RecordsVisionAttention,
    HasVisionLayers, WeighsLetters,
):  # fmt: skip
    """Any PerceptionLM checkpoint in the Hugging Face layout, the built-in model included."""

    def __init__(self, network: Any, processor: Any, name: str, revision: str | None = None) -> None:
        self.name = name
        self.revision = revision
        self._network: Any = network.eval().requires_grad_(False)
        self._processor = processor
        self._video = processor.video_processor
        if not self._video.do_resize or getattr(self._video, "do_center_crop", False):
            raise InputError(f"model {name!r}: expected a video processor that resizes and does not crop")
        args = network.config.vision_config.model_args
        self._prefix = 1 if network.config.vision_use_cls_token else 0
        self._patches = self.size // processor.patch_size
        self._cells = self._patches // network.config.projector_pooling_ratio
        self._record: AttentionRecord | None = None  # of the forwards now running
        self._watched = False  # whether the tower's attention is followed
        self._visual = slice(0, 0)  # where the visual tokens stood in the last forward's sequence
        self.frames = int(getattr(self._video, "num_frames", None) or DEFAULT_FRAMES)
        # It permutes its input; a matrix product of that copies the weight once for each of a frame's tokens.
        projector = network.model.multi_modal_projector.linear_1
        projector.register_forward_pre_hook(lambda _, given: given[0].contiguous())
        if args.get("img_size") and args["img_size"][0] != self.size:
            raise InputError(f"model {name!r}: the tower takes {args['img_size']} pixels, its processor {self.size}")

    @staticmethod
    def load(
        checkpoint: str | Path, *, device: str = "cpu", dtype: str = "float32", revision: str | None = None,
        offline: bool = False,
    ) -> PerceptionLM:  # fmt: skip
        """A checkpoint directory or id. Raises InputError in one line when it cannot be loaded."""
        source = Checkpoint(str(checkpoint), revision, offline)
        processor, network = load_checkpoint(source, dtype)
        local = fingerprint(Path(checkpoint).glob("*.safetensors")) if source.local else None
        commit = local or getattr(network.config, "_commit_hash", None) or revision
        with one_line_errors(source, "network"):
            model = PerceptionLM(network.to(device), processor, source.name, commit)
        with one_line_errors(source, "chat template"):
            model._prompt(Question("Which?"), 1)
        return model

    @property
    def module(self) -> nn.Module:
        """The transformers network."""
        network: nn.Module = self._network
        return network

    @property
    def size(self) -> int:
        """Frame height and width in pixels that the vision tower takes."""
        return int(self._video.size["height"])

    def preprocess(self, clip: Clip) -> Float[Tensor, "t 3 h w"]:
        """Frames squashed to the tower's square; antialiased bicubic on uint8, as the checkpoint's own processor."""
        frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
        size = [int(self._video.size["height"]), int(self._video.size["width"])]
        resized = transforms.resize(frames, size, interpolation=InterpolationMode.BICUBIC, antialias=True)
        return resized.to(self.device, torch.float32) / 255

    def grid(self, frames: int) -> TokenGrid:
        """One token per pooled cell and frame."""
        return TokenGrid(frames, self._cells, self._cells)

    def encode(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b n d"]:
        """Normalise, run tower and projector on each frame, and join the frames' tokens."""
        parts = pixels.flatten(0, 1).split(self._frames_at_once(pixels))
        features = torch.cat([self._features(part) for part in parts])
        return features.reshape(len(pixels), -1, features.shape[-1])

    def _frames_at_once(self, pixels: Tensor) -> int:
        """All where somebody follows a layer of the tower, for gradients or its attention; else what keeps it small."""
        if torch.is_grad_enabled() or self._watched or pixels.device.type != "cpu":
            return max(1, pixels.shape[0] * pixels.shape[1])
        return max(1, TOWER // (self._patches**2 * self._network.config.vision_config.model_args["embed_dim"]))

    def _features(self, frames: Float[Tensor, "f 3 h w"]) -> Float[Tensor, "f n d"]:
        mean, std = (frames.new_tensor(part).view(3, 1, 1) for part in (self._video.image_mean, self._video.image_std))
        normalised = ((frames - mean) / std).to(self.dtype)
        features: Tensor = self._network.model.get_image_features(normalised[None], return_dict=True).pooler_output
        return features

    def encode_steps(self, pixels: Float[Tensor, "m f 3 h w"]) -> Float[Tensor, "m k d"]:
        """A step is a frame, and `encode` joins none."""
        return self.encode(pixels)

    def score_tokens(
        self, tokens: Float[Tensor, "b n d"], question: Question, keep: Bool[Tensor, " n"] | None = None
    ) -> Float[Tensor, "b o"]:
        """Option or answer log-probabilities from visual tokens; dropped tokens leave a gap in the positions."""
        sequence, visual = self._sequence(tokens, question, question.reply)
        positions = torch.arange(sequence.shape[1], device=self.device)
        if keep is not None:
            stays = torch.ones_like(positions, dtype=torch.bool)
            stays[visual] = keep.to(self.device)
            sequence, positions = sequence[:, stays], positions[stays]
            visual = slice(visual.start, visual.start + int(keep.sum()))
        states = self._answer_states(sequence, positions, visual, len(question.reply.ids) if question.reply else 1)
        return self._logprobs(states, question)

    @torch.no_grad()
    def letter_mass(self, tokens: Float[Tensor, "1 n d"], question: Question) -> float:
        """Share of the vocabulary's probability on the option letters, at the answer's row."""
        sequence, visual = self._sequence(tokens, question, None)
        states = self._answer_states(sequence, torch.arange(sequence.shape[1], device=self.device), visual, 1)
        shares = torch.softmax(_single(self._network.lm_head(states[0, -1])), dim=-1)
        return float(shares[[self._letter(letter) for letter in question.letters]].sum())

    def _sequence(
        self, tokens: Float[Tensor, "b n d"], question: Question, reply: Reply | None
    ) -> tuple[Float[Tensor, "b m d"], slice]:
        """The prompt with the visual tokens and all of a free answer but its last token, and where these stand."""
        ids, visual = self._prompt(question, tokens.shape[1])
        said = reply.ids[:-1] if reply else ()
        embedded = self._network.get_input_embeddings()(torch.cat([ids, ids.new_tensor(said)]).to(self.device))
        around = (embedded[: visual.start], embedded[visual.stop :])
        before, after = (part.expand(len(tokens), -1, -1) for part in around)
        return torch.cat([before, tokens.to(embedded.dtype), after], dim=1), visual

    def _logprobs(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """Log-probabilities of option letters at the last row, or of a free answer's tokens at the row before each."""
        if question.reply is None:
            chosen = self._network.lm_head(states[:, -1])[:, [self._letter(letter) for letter in question.letters]]
            return torch.log_softmax(_single(chosen), dim=-1)
        logprobs = torch.log_softmax(_single(self._network.lm_head(states)), dim=-1)
        return logprobs[:, range(len(question.reply.ids)), list(question.reply.ids)]

    def _answer_states(self, sequence: Tensor, positions: Tensor, visual: slice, count: int) -> Float[Tensor, "b r d"]:
        """The last `count` rows: those that produce the answer's tokens."""
        self._visual, length = visual, sequence.shape[1]
        if self._record is not None:
            self._record.visual, self._record.answer_rows = visual, tuple(range(length - count, length))
        # An explicit mask of ones: without it, gaps in the positions are read as several sequences packed in one.
        mask = torch.ones(sequence.shape[:2], dtype=torch.long, device=sequence.device)
        hidden: Tensor = self._network.model.language_model(
            inputs_embeds=sequence, attention_mask=mask, position_ids=positions[None].expand(len(sequence), -1),
            use_cache=False,
        ).last_hidden_state  # fmt: skip
        return hidden[:, length - count :]

    def read_out(self, states: Float[Tensor, "b r d"], question: Question) -> Float[Tensor, "b o"]:
        """A decoder layer's output at the answer rows through the last norm and the head ("logit lens")."""
        return self._logprobs(self._network.model.language_model.norm(states), question)

    @torch.no_grad()
    def token_lens(self, tokens: Float[Tensor, "1 n d"], question: Question, reply: Reply) -> TokenLens:
        """The user's words end at the first token that the model reserves for itself."""
        (sequence, visual), prompt = self._sequence(tokens, question, reply), self._prompt(question, tokens.shape[1])[0]
        reserved = set(self._processor.tokenizer.all_special_ids)
        words = list(takewhile(lambda token: token not in reserved, prompt[visual.stop :].tolist()))
        ids = (*words, *reply.ids)
        length = sequence.shape[1]
        (states,) = self._answer_states(sequence, torch.arange(length, device=self.device), visual, length)
        logits = _single(states @ self._network.lm_head.weight[list(ids)].T)
        own = [*range(visual.stop, visual.stop + len(words)), *range(len(prompt), length)]
        return TokenLens(ids, len(reply.ids), logits[visual], logits[own])

    def reply(self, text: str) -> Reply:
        """A given answer in the tokenizer's tokens."""
        return given(self._processor.tokenizer, text)

    @torch.no_grad()
    def generate(self, pixels: Float[Tensor, "t 3 h w"], question: Question) -> Reply:
        """Greedily, up to the end of the turn, by transformers' own generation."""
        sequence, _ = self._sequence(self.encode(pixels[None]), question, None)
        settings = self._network.generation_config
        (ids,) = self._network.generate(
            inputs_embeds=sequence, attention_mask=torch.ones(sequence.shape[:2], dtype=torch.long, device=self.device),
            do_sample=False, num_beams=1, max_new_tokens=settings.max_new_tokens or LONGEST,
        ).tolist()  # fmt: skip
        ends = {settings.eos_token_id} if isinstance(settings.eos_token_id, int) else {*(settings.eos_token_id or ())}
        return generated(self._processor.tokenizer, list(takewhile(lambda token: token not in ends, ids)))

    @lru_cache(maxsize=64)  # noqa: B019  one model lives as long as its process
    def _prompt(self, question: Question, tokens: int) -> tuple[Tensor, slice]:
        """(token ids, where the visual tokens stand)."""
        tokenizer, marker = self._processor.tokenizer, self._processor.video_token
        text = option_prompt(question)
        refuse_reserved(tokenizer, text, "question")
        content = [{"type": "video"}, {"type": "text", "text": text}]
        prompt = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        expanded = prompt.replace(marker, marker * tokens)
        ids = tokenizer(expanded, add_special_tokens=False, return_tensors="pt").input_ids[0]
        places = (ids == self._processor.video_token_id).nonzero().flatten()
        if len(places) != tokens or int(places[-1] - places[0]) != tokens - 1:
            raise InputError(f"model {self.name!r}: its chat template does not place {tokens} video tokens in a row")
        return ids, slice(int(places[0]), int(places[-1]) + 1)

    def text_tokens(self, question: Question) -> int:
        """Number of tokens of the sequence that are not visual."""
        return len(self._prompt(question, 1)[0]) - 1

    def unknown_words(self, question: Question) -> tuple[str, ...]:
        """Return the words that become the unknown token; none where the vocabulary has bytes."""
        return unknown_words(self._processor.tokenizer, (question.text, *question.options))

    @lru_cache(maxsize=26)  # noqa: B019  as above
    def _letter(self, letter: str) -> int:
        ids: list[int] = self._processor.tokenizer(letter, add_special_tokens=False).input_ids
        if len(ids) != 1 or ids[0] == self._processor.tokenizer.unk_token_id:
            raise InputError(f"model {self.name!r}: the option letter {letter!r} is not one token of its vocabulary")
        return ids[0]

    @contextmanager
    def record_attention(self, record: AttentionRecord) -> Iterator[None]:
        """Forwards fill the record; their result is SDPA's own."""
        self._record = record
        try:
            with watching(self._decoder, record):
                yield
        finally:
            self._record = None

    @contextmanager
    def knock_out(self, cut: Knockout) -> Iterator[None]:
        """Forwards lack the attention that is cut."""
        text = self._decoder.config
        check_cut(cut, text.num_hidden_layers, text.num_attention_heads)
        with watching(self._decoder, cut=cut):
            yield

    @property
    def _decoder(self) -> Any:
        return self._network.model.language_model

    @contextmanager
    def record_vision_attention(self, record: AttentionRecord) -> Iterator[None]:
        """The tower's layers, their queries and keys computed again beside its fused attention."""
        record.visual = slice(self._prefix, self._prefix + self._patches**2)
        self._watched = True
        try:
            with watching_tower(self._network.model.vision_tower.timm_model, record):
                yield
        finally:
            self._watched = False

    def parameter_blocks(self) -> Mapping[ModelPart, Blocks]:
        """Tower and projector; word embeddings, decoder and head."""
        return parameter_blocks(self._network)

    def vision_layers(self) -> Mapping[str, nn.Module]:
        """The tower's blocks, its last norm, the projector, and the decoder's layers at the visual tokens."""
        tower, projector = self._network.model.vision_tower.timm_model, self._network.model.multi_modal_projector
        blocks = {f"blocks.{index}": block for index, block in enumerate(tower.blocks)}
        decoder = {f"decoder.{index}": layer for index, layer in enumerate(self._decoder.layers)}
        return {**blocks, "norm": tower.norm, "projector": projector, **decoder}

    def feature_map(self, layer: str, activation: Tensor) -> Float[Tensor, "bt c h w"]:
        """Tokens (bt, n, c) as a map, without the class token; of a decoder layer (b, n, c) the visual tokens."""
        if layer.startswith("decoder."):
            return activation[:, self._visual].unflatten(1, (-1, self._cells, self._cells)).flatten(0, 1).movedim(3, 1)
        side = self._side(activation)
        places = activation[:, activation.shape[1] - side * side :]
        return places.transpose(1, 2).unflatten(2, (side, side))

    def from_feature_map(self, layer: str, features: Float[Tensor, "bt c h w"], activation: Tensor) -> Tensor:
        """The map's places put back among the tokens that stand for no place."""
        places = features.flatten(2).transpose(1, 2)
        if layer.startswith("decoder."):
            places, visual = places.reshape(len(activation), -1, places.shape[2]), self._visual
            return torch.cat([activation[:, : visual.start], places, activation[:, visual.stop :]], dim=1)
        return torch.cat([activation[:, : activation.shape[1] - places.shape[1]], places], dim=1)

    def _side(self, activation: Tensor) -> int:
        for side, prefix in ((self._patches, self._prefix), (self._cells, 0)):
            if activation.ndim == 3 and activation.shape[1] == side * side + prefix:
                return side
        expected = f"(frames, {self._patches}x{self._patches} places, c)"
        raise InputError(f"vision layer: expected {expected}, got {tuple(activation.shape)}")


def _single(logits: Tensor) -> Tensor:
    """Cast to float32 unless already wider."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def demo(
    *, device: str = "cpu", dtype: str = "float32", revision: str | None = None, offline: bool = True
) -> PerceptionLM:
    """The built-in model, trained on the built-in world."""
    model = PerceptionLM.load(DEMO, device=device, dtype=dtype, offline=True)
    model.name = "demo"
    model._network.generation_config.max_new_tokens = 1  # it answers with one word and never learnt to stop
    return model
