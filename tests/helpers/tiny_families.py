"""Tiny checkpoints of every family with random weights, written by the official classes in the official layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WIDTH, LAYERS = 64, 4
STD = 0.2  # of the weights: smaller ones leave attention uniform and hide errors
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 8192,
}  # fmt: skip
CHATML = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{ 'VIDEO' }}{%- elif part.type == 'image' -%}{{ 'IMAGE' }}"
    "{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}{%- endif -%}{{ '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


def tokenizer(specials: Sequence[str], **named: str) -> PreTrainedTokenizerFast:
    """Byte-level tokens without merges, and special tokens; `named` ones become attributes of the tokenizer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    every = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *specials]
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in every])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        clean_up_tokenization_spaces=False, extra_special_tokens=named,
    )  # fmt: skip


def template(video: str = "", image: str = "") -> str:
    """Chat template with these texts for a video and an image."""
    return CHATML.replace("'VIDEO'", repr(video)).replace("'IMAGE'", repr(image))


def saved(directory: Path, config: Any, processor: Any, gains: Mapping[str, float] | None = None) -> Path:
    """Write a network with random weights and its processor; `gains` multiply weights whose name matches a pattern."""
    kind = transformers.AutoModelForImageTextToText
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind.from_config(config, dtype=torch.float32).eval()
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(0, STD)
                elif "norm" not in name:
                    weight.normal_(0, 0.02)
                else:
                    weight.add_(torch.randn_like(weight) * 0.05)
                for pattern, gain in (gains or {}).items():
                    weight.mul_(gain if re.search(pattern, name) else 1)
    network.generation_config.max_new_tokens = 6
    network.save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


def _qwen(kind: str, directory: Path, video: dict[str, Any], text: dict[str, Any], vision: dict[str, Any]) -> Path:
    prefix = {"qwen2_vl": "Qwen2VL", "qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5"}[kind]
    base = "Qwen2VL" if kind in ("qwen2_vl", "qwen2_5_vl") else "Qwen3VL"
    names = {"image": "<|image_pad|>", "video": "<|video_pad|>", "vision_start": "<|vision_start|>",
             "vision_end": "<|vision_end|>"}  # fmt: skip
    words = tokenizer(list(names.values()))
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in names.items()}
    config = getattr(transformers, f"{prefix}Config")(
        text_config={**TEXT, "vocab_size": len(words), **text}, vision_config=vision, **ids, tie_word_embeddings=False
    )
    size = {"shortest_edge": 32 * 32, "longest_edge": 5 * 64 * 96}
    processors = (
        getattr(transformers, f"{base}ImageProcessor", transformers.Qwen2VLImageProcessor)(
            patch_size=video["patch_size"]
        ),
        words,
        getattr(transformers, f"{base}VideoProcessor")(size=size, **video),
    )
    chat = template("<|vision_start|><|video_pad|><|vision_end|>")
    official = {"qwen2_vl": "Qwen2VL", "qwen2_5_vl": "Qwen2_5_VL"}.get(kind, "Qwen3VL")
    return saved(directory, config, getattr(transformers, f"{official}Processor")(*processors, chat_template=chat))


def qwen2_vl(directory: Path) -> Path:
    """Write a Qwen2-VL."""
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": WIDTH, "num_heads": 2, "patch_size": 8, "mlp_ratio": 2}
    return _qwen("qwen2_vl", directory, {"patch_size": 8}, rope, vision)


def qwen2_5_vl(directory: Path) -> Path:
    """Write a Qwen2.5-VL with windows of 2 x 2 tokens in its first layer."""
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": WIDTH, "num_heads": 2, "patch_size": 8, "window_size": 32,
        "intermediate_size": 48, "fullatt_block_indexes": [1], "tokens_per_second": 2,
    }  # fmt: skip
    return _qwen("qwen2_5_vl", directory, {"patch_size": 8}, rope, vision)


def _qwen3_vision() -> dict[str, Any]:
    return {"depth": 3, "hidden_size": 32, "out_hidden_size": WIDTH, "num_heads": 2, "patch_size": 8,
            "intermediate_size": 48, "num_position_embeddings": 64}  # fmt: skip


def qwen3_vl(directory: Path) -> Path:
    """Write a Qwen3-VL whose encoder's first two layers reach the decoder."""
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3], "mrope_interleaved": True}
    vision = {**_qwen3_vision(), "deepstack_visual_indexes": [0, 1]}
    return _qwen("qwen3_vl", directory, {"patch_size": 8}, {"rope_parameters": rope}, vision)


def qwen3_5(directory: Path) -> Path:
    """Write a Qwen3.5, three of whose four layers do not attend."""
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2], "mrope_interleaved": True,
            "partial_rotary_factor": 0.5}  # fmt: skip
    linear = {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2,
              "linear_num_value_heads": 4}  # fmt: skip
    return _qwen("qwen3_5", directory, {"patch_size": 8}, {"rope_parameters": rope, **linear}, _qwen3_vision())


BUILDERS: dict[str, Callable[[Path], Path]] = {
    builder.__name__: builder for builder in (qwen2_vl, qwen2_5_vl, qwen3_vl, qwen3_5)
}
