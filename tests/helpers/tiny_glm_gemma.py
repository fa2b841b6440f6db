"""Tiny checkpoints of GLM-4V, VideoLLaMA3, Gemma and Molmo2, as in `tiny_families`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from tiny_families import TEXT, WIDTH, saved, template, tokenizer


def _glm(directory: Path, kind: str, processor: str, text: dict[str, Any]) -> Path:
    marks = [f"<|{edge}_of_{medium}|>" for medium in ("image", "video") for edge in ("begin", "end")]
    words = tokenizer(marks, image_token="<|image|>", video_token="<|video|>")
    names = ("image_start", "image_end", "video_start", "video_end", "image", "video")
    ids = words.convert_tokens_to_ids([*marks, "<|image|>", "<|video|>"])
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": WIDTH, "num_heads": 2, "patch_size": 8, "image_size": 64,
        "intermediate_size": 48,
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2], "partial_rotary_factor": 0.5}
    config = getattr(transformers, f"{kind}Config")(
        text_config={**TEXT, "vocab_size": len(words), "rope_parameters": rope, **text}, vision_config=vision,
        **{f"{name}_token_id": token for name, token in zip(names, ids, strict=True)}, tie_word_embeddings=False,
    )  # fmt: skip
    size = {"shortest_edge": 32 * 32, "longest_edge": 5 * 64 * 96}
    parts = (
        getattr(transformers, f"{processor}ImageProcessor")(patch_size=8), words,
        getattr(transformers, f"{processor}VideoProcessor")(patch_size=8, size=size),
    )  # fmt: skip
    chat = template("<|begin_of_video|><|video|><|end_of_video|>")
    return saved(directory, config, getattr(transformers, f"{processor}Processor")(*parts, chat_template=chat))


def glm4v(directory: Path) -> Path:
    """Write a GLM-4.1V."""
    return _glm(directory, "Glm4v", "Glm4v", {})


def glm46v(directory: Path) -> Path:
    """Write a GLM-4.6V."""
    return _glm(directory, "Glm46V", "Glm46V", {"model_type": "glm4v_text"})


def glm4v_moe(directory: Path) -> Path:
    """Write a GLM-4.5V whose layers but the first have experts."""
    experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    return _glm(directory, "Glm4vMoe", "Glm4v", experts)


def video_llama_3(directory: Path) -> Path:
    """Write a VideoLLaMA3."""
    words = tokenizer([], image_token="<|image_pad|>", video_token="<|video_pad|>")
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
              "patch_size": 8}  # fmt: skip
    config = transformers.VideoLlama3Config(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)}, vision_config=vision,
        image_token_id=words.image_token_id, video_token_id=words.video_token_id,
    )  # fmt: skip
    size = {"shortest_edge": 32 * 32, "longest_edge": 5 * 64 * 96}
    parts = (
        transformers.VideoLlama3ImageProcessor(patch_size=8), words,
        transformers.VideoLlama3VideoProcessor(patch_size=8, size=size),
    )  # fmt: skip
    return saved(directory, config, transformers.VideoLlama3Processor(*parts, chat_template=template("<|video_pad|>")))


def gemma3(directory: Path) -> Path:
    """Write a Gemma 3 with a short sliding window in all layers but the third, and a cap that its forward ignores."""
    names = {"image": "<image_soft_token>", "boi": "<start_of_image>", "eoi": "<end_of_image>"}
    words = tokenizer([], **{f"{name}_token": token for name, token in names.items()})
    ids = {f"{name}_token_index": words.convert_tokens_to_ids(token) for name, token in names.items()}
    vision = {
        "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "patch_size": 8, "image_size": 48, "vision_use_head": False,
    }  # fmt: skip
    text = {
        **TEXT, "vocab_size": len(words), "sliding_window": 40, "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 16, "final_logit_softcapping": 2.0,
        "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=9, **ids, tie_word_embeddings=True
    )
    processor = transformers.Gemma3Processor(
        transformers.Gemma3ImageProcessor(size={"height": 48, "width": 48}), words, image_seq_length=9,
        chat_template=template(image=names["boi"]),
    )  # fmt: skip
    return saved(directory, config, processor)


def gemma4(directory: Path) -> Path:
    """Write a Gemma 4 with sliding, bidirectional and shared layers, embeddings of each layer, and a cap of logits."""
    names = ("image", "boi", "eoi", "audio", "boa", "eoa", "video")
    words = tokenizer([], **{f"{name}_token": f"<|{name}|>" for name in names})
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(f"<|{name}|>") for name in names if name != "eoa"}
    cut = {"patch_size": 4, "pooling_kernel_size": 2}
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
              "num_key_value_heads": 2, "head_dim": 16, "position_embedding_size": 128, **cut}  # fmt: skip
    text = {
        **TEXT, "vocab_size": len(words), "vocab_size_per_layer_input": len(words), "hidden_size_per_layer_input": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 1, "sliding_window": 100,
        "use_bidirectional_attention": "vision", "final_logit_softcapping": 30.0, "global_head_dim": 32,
        "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id,
    }  # fmt: skip
    config = transformers.Gemma4Config(text_config=text, vision_config=vision, **ids, tie_word_embeddings=False)
    processor = transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(), transformers.Gemma4ImageProcessor(**cut), words,
        transformers.Gemma4VideoProcessor(**cut), chat_template=template("<|video|>"),
    )  # fmt: skip
    return saved(directory, config, processor, {"q_norm": 0.25})


def molmo2(directory: Path) -> Path:
    """Write a Molmo2 that reads the first and the second of three layers of its encoder."""
    ends = {"image_start": "<im_start>", "low_res_image_start": "<low_res_im_start>", "image_end": "<im_end>",
            "frame_start": "<frame_start>", "frame_end": "<frame_end>"}  # fmt: skip
    words = tokenizer(
        [*ends.values(), "<im_patch>", "<im_col>", "<im_low>"], image_token="<|image|>", video_token="<|video|>"
    )
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in ends.items()}
    heads = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    config = transformers.Molmo2Config(
        text_config={**TEXT, "vocab_size": len(words), "additional_vocab_size": 4},
        vision_config={
            **heads, "intermediate_size": 48, "num_hidden_layers": 3, "image_size": [48, 48], "patch_size": 8
        },
        adapter_config={**heads, "vision_feature_layer": [1, 0], "intermediate_size": 48, "text_hidden_size": WIDTH},
        image_patch_id=words.convert_tokens_to_ids("<im_patch>"), **ids,
    )  # fmt: skip
    frames: dict[str, Any] = {"size": {"height": 48, "width": 48}, "patch_size": 8, "pooling_size": [2, 2]}
    processor = transformers.Molmo2Processor(
        transformers.Molmo2ImageProcessor(**frames),
        transformers.Molmo2VideoProcessor(**frames, do_resize=True, do_rescale=True, do_normalize=True), words,
        chat_template=template("<|video|>"),
    )  # fmt: skip
    return saved(directory, config, processor, {"vision_tower.*o_proj": 0.3})


BUILDERS: dict[str, Callable[[Path], Path]] = {
    builder.__name__: builder for builder in (glm4v, glm46v, glm4v_moe, video_llama_3, gemma3, gemma4, molmo2)
}
