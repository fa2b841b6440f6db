"""Random-weight Qwen3-VL of any size, with a word tokenizer, in the official Hugging Face layout."""

from __future__ import annotations

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from attrib.models.perception_lm_init import Shape, word_tokenizer

_ROLES = {"image": "<|image_pad|>", "video": "<|video_pad|>", "vision_start": "<|vision_start|>",
          "vision_end": "<|vision_end|>"}  # fmt: skip
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *_ROLES.values())
# Words of the time before each step, such as "<0.5 seconds>"
TIME_WORDS = (*"0123456789", "<", ">", "seconds")
_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}{%- endif -%}{{ '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
FRAMES_A_STEP = 2
_EARLY = (0, 1)  # layers of the tower whose features are added in the decoder


def tokenizer(words: tuple[str, ...], phrases: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per word or phrase, and Qwen3-VL's special tokens."""
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    extra = {f"{role}_token": token for role, token in _ROLES.items() if role in ("image", "video")}
    return word_tokenizer((*words, *TIME_WORDS), phrases, _SPECIAL, names, extra)


def processor(shape: Shape, words: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """Return the processor that fits `shape`: all frames of a video at `shape.image_size`, mean = std = 0.5."""
    assert shape.frames is not None
    pixels = shape.image_size**2
    video = Qwen3VLVideoProcessor(
        size={"shortest_edge": pixels * shape.frames, "longest_edge": pixels * shape.frames},
        patch_size=shape.patch_size, merge_size=shape.pooling, temporal_patch_size=FRAMES_A_STEP,
        num_frames=shape.frames, fps=None,
    )  # fmt: skip
    image = Qwen2VLImageProcessor(
        size={"shortest_edge": pixels, "longest_edge": pixels}, patch_size=shape.patch_size,
        merge_size=shape.pooling, temporal_patch_size=FRAMES_A_STEP,
    )  # fmt: skip
    return Qwen3VLProcessor(image, words, video, chat_template=_TEMPLATE)


def config(shape: Shape, words: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """Return the model configuration that fits `shape` and the tokenizer's ids."""
    half = shape.width // shape.heads // 2  # of a head's channels turn with the time, the others with the place
    across = half // 3
    rope = {"rope_type": "default", "rope_theta": shape.rope_theta, "mrope_interleaved": True,
            "mrope_section": [half - 2 * across, across, across]}  # fmt: skip
    side = shape.image_size // shape.patch_size
    return Qwen3VLConfig(
        text_config={
            "vocab_size": max(shape.vocabulary, len(words)), "hidden_size": shape.width,
            "intermediate_size": shape.mlp_width, "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.width // shape.heads, "max_position_embeddings": shape.positions,
            "initializer_range": shape.init_std, "rope_parameters": rope,
            "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
        },
        vision_config={
            "depth": shape.tower_depth, "hidden_size": shape.tower_width, "out_hidden_size": shape.width,
            "num_heads": shape.tower_heads, "intermediate_size": 2 * shape.tower_width,
            "patch_size": shape.patch_size, "spatial_merge_size": shape.pooling,
            "temporal_patch_size": FRAMES_A_STEP, "num_position_embeddings": side**2,
            "deepstack_visual_indexes": list(_EARLY), "initializer_range": shape.init_std,
        },
        tie_word_embeddings=False,
        **{f"{role}_token_id": words.convert_tokens_to_ids(token) for role, token in _ROLES.items()},
    )  # fmt: skip


def build(shape: Shape, words: PreTrainedTokenizerFast, seed: int = 0) -> Qwen3VLForConditionalGeneration:
    """Return a model with random weights; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3VLForConditionalGeneration._from_config(config(shape, words), dtype=torch.float32).eval()
