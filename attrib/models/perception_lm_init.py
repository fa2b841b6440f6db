"""Random-weight PerceptionLM checkpoints of any size in the official Hugging Face layout.

The tests, the trainer of the built-in model and speed measurements start from these; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    PerceptionLMConfig,
    PerceptionLMForConditionalGeneration,
    PerceptionLMImageProcessor,
    PerceptionLMProcessor,
    PerceptionLMVideoProcessor,
    PreTrainedTokenizerFast,
    TimmWrapperConfig,
)

SYSTEM_PROMPT = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
SPECIAL_TOKENS = (
    "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|image|>", "<|video|>", "<|pad|>",
)  # fmt: skip
NAMES = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|pad|>"}
EXTRA = {"image_token": "<|image|>", "video_token": "<|video|>"}
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{%- if messages[0].role != 'system' -%}"
    f"{{{{ '<|start_header_id|>system<|end_header_id|>\\n\\n{SYSTEM_PROMPT}<|eot_id|>' }}}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}"
    # as in the official template, pictures come before the text, whatever the order in the message
    "{%- for part in message.content if part.type == 'image' -%}{{ '<|image|>' }}{%- endfor -%}"
    "{%- for part in message.content if part.type == 'video' -%}{{ '<|video|>' }}{%- endfor -%}"
    "{%- for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}"
    "{%- endif -%}"
    "{{ '<|eot_id|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a PerceptionLM: pixels, a vision tower of patches and a Llama decoder. The defaults suit tests.

    `vocabulary` 0 means: as many rows as the tokenizer has entries; a larger number pads the embedding table.
    """

    image_size: int = 48
    patch_size: int = 8
    tower_width: int = 32
    tower_depth: int = 2
    tower_heads: int = 2
    class_token: bool = True
    pooling: int = 2
    width: int = 48
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    mlp_width: int = 96
    vocabulary: int = 0
    positions: int = 16384
    rope_theta: float = 500000.0
    init_std: float = 0.02
    layer_scale: float = 0.1
    frames: int | None = None  # that the processor takes of a video, where it says so

    @property
    def grid(self) -> int:
        """Visual tokens along one side of a frame."""
        return self.image_size // self.patch_size // self.pooling


LARGE_1B = Shape(
    image_size=448, patch_size=14, tower_width=1024, tower_depth=23, tower_heads=16, width=2048, layers=16, heads=32,
    kv_heads=8, mlp_width=8192, vocabulary=128256,
)  # fmt: skip


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level tokens without merges: any text encodes, every ASCII character is one token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return _wrap(core, SPECIAL_TOKENS, {**NAMES, "unk_token": None}, EXTRA)


def word_tokenizer(
    words: Sequence[str], phrases: Sequence[str] = (), special: Sequence[str] = SPECIAL_TOKENS,
    names: Mapping[str, str] = NAMES, extra: Mapping[str, str] = EXTRA,
) -> PreTrainedTokenizerFast:  # fmt: skip
    """One token per word, punctuation mark and newline; a phrase is one token too; other words become `<unk>`.

    Spaces carry no token. "\\n\\n" is one token, as in the official vocabulary. `special` tokens are PerceptionLM's
    unless given; `names` and `extra` are the tokenizer's attributes that hold some of them.
    """
    entries = dict.fromkeys(["<unk>", "\n\n", "\n", *words])
    core = Tokenizer(models.WordLevel({token: i for i, token in enumerate(entries)}, "<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[^\S\n]+"), "removed"),
        pre_tokenizers.Split(Regex(r"\n\n|\n|\w+|[^\w\s]"), "isolated"),
    ])  # fmt: skip
    core.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return _wrap(core, special, {**names, "unk_token": "<unk>"}, extra)


def _wrap(
    core: Tokenizer, special: Sequence[str], names: Mapping[str, str | None], extra: Mapping[str, str]
) -> PreTrainedTokenizerFast:
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, **names, extra_special_tokens=dict(extra), clean_up_tokenization_spaces=False,
        padding_side="left",
    )  # fmt: skip


def processor(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> PerceptionLMProcessor:
    """The processor that fits `shape`: square bicubic resize, mean = std = 0.5, our chat template."""
    half = [0.5, 0.5, 0.5]
    size = {"height": shape.image_size, "width": shape.image_size}
    return PerceptionLMProcessor(
        video_processor=PerceptionLMVideoProcessor(
            size=size, image_mean=half, image_std=half, num_frames=shape.frames
        ),
        image_processor=PerceptionLMImageProcessor(
            size=size, tile_size=shape.image_size, image_mean=half, image_std=half, vision_input_type="vanilla"
        ),
        tokenizer=tokenizer, patch_size=shape.patch_size, pooling_ratio=shape.pooling, chat_template=CHAT_TEMPLATE,
    )  # fmt: skip


def _vision_config(shape: Shape) -> TimmWrapperConfig:
    side = shape.image_size // shape.patch_size
    return TimmWrapperConfig(
        architecture="vit_pe_lang_large_patch14_448",
        do_pooling=True,
        initializer_range=shape.init_std,
        model_args={
            "img_size": [shape.image_size, shape.image_size], "patch_size": shape.patch_size,
            "embed_dim": shape.tower_width, "depth": shape.tower_depth, "num_heads": shape.tower_heads,
            "class_token": shape.class_token, "ref_feat_shape": [side, side], "global_pool": "",
            "init_values": shape.layer_scale, "use_post_transformer_norm": False,
        },
    )  # fmt: skip


def _text_config(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=max(shape.vocabulary, len(tokenizer)), hidden_size=shape.width, intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions, initializer_range=shape.init_std, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


def config(shape: Shape, tokenizer: PreTrainedTokenizerFast) -> PerceptionLMConfig:
    """The model configuration that fits `shape` and the tokenizer's ids."""
    return PerceptionLMConfig(
        vision_config=_vision_config(shape), text_config=_text_config(shape, tokenizer),
        vision_use_cls_token=shape.class_token, projector_pooling_ratio=shape.pooling,
        image_token_id=tokenizer.convert_tokens_to_ids("<|image|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
    )  # fmt: skip


def build(
    shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int = 0, dtype: torch.dtype = torch.float32
) -> PerceptionLMForConditionalGeneration:
    """A model with random weights; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PerceptionLMForConditionalGeneration._from_config(config(shape, tokenizer), dtype=dtype).eval()


def save(directory: str | Path, model: PerceptionLMForConditionalGeneration, processor: PerceptionLMProcessor) -> Path:
    """Write model and processor in the official layout into `directory`, which is made if need be."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    for path in directory.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors makes them readable by their owner alone
    return directory
