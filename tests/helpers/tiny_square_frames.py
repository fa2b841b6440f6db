"""Tiny checkpoints of the families whose processors make frames square."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from tiny_families import TEXT, saved, template, tokenizer


def _siglip(**changed: Any) -> dict[str, Any]:
    return {"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "patch_size": 8, "vision_use_head": False, **changed}  # fmt: skip


def llava_onevision(directory: Path) -> Path:
    """Write a LLaVA-OneVision with 5 x 5 patches a frame, which become 3 x 3 tokens."""
    words = tokenizer(["<image>", "<video>"])
    ids = {f"{name}_token_id": words.convert_tokens_to_ids(f"<{name}>") for name in ("image", "video")}
    config = transformers.LlavaOnevisionConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)}, vision_config=_siglip(image_size=40),
        **ids, tie_word_embeddings=False,
    )  # fmt: skip
    size = {"height": 40, "width": 40}
    processor = transformers.LlavaOnevisionProcessor(
        transformers.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[40, 40]]), words,
        transformers.LlavaOnevisionVideoProcessor(size=size), num_image_tokens=25,
        vision_feature_select_strategy="full", chat_template=template("<video>\n", "<image>\n"),
    )  # fmt: skip
    return saved(directory, config, processor)


def internvl(directory: Path) -> Path:
    """Write an InternVL with 6 x 6 patches a frame, which become 3 x 3 tokens."""
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
             "video_token": "<video>"}  # fmt: skip
    words = tokenizer([], **names)
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
              "image_size": 48, "patch_size": 8, "use_qk_norm": True}  # fmt: skip
    config = transformers.InternVLConfig(
        text_config={**TEXT, "model_type": "qwen3", "vocab_size": len(words)}, vision_config=vision, image_seq_length=9,
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip
    size = {"height": 48, "width": 48}
    processor = transformers.InternVLProcessor(
        transformers.GotOcr2ImageProcessor(size=size), words, transformers.InternVLVideoProcessor(size=size),
        image_seq_length=9, chat_template=template("<video>\n", "<IMG_CONTEXT>\n"),
    )  # fmt: skip
    return saved(directory, config, processor)


def smolvlm(directory: Path) -> Path:
    """Write a SmolVLM with 6 x 6 patches a frame, which become 3 x 3 tokens. Skips the test without num2words."""
    pytest.importorskip("num2words")
    names = {"image_token": "<image>", "video_token": "<video>", "fake_image_token": "<fake_token_around_image>",
             "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>"}  # fmt: skip
    words = tokenizer([], **names)
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
              "image_size": 48, "patch_size": 8}  # fmt: skip
    config = transformers.SmolVLMConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(words)}, vision_config=vision, scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"), tie_word_embeddings=False,
    )  # fmt: skip
    sizes = {"size": {"longest_edge": 96}, "max_image_size": {"longest_edge": 48}}
    processor = transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**sizes), words, transformers.SmolVLMVideoProcessor(**sizes, num_frames=5),
        image_seq_len=9, chat_template=template("<video>", "<image>"),
    )  # fmt: skip
    return saved(directory, config, processor)


def llava(directory: Path) -> Path:
    """Write a LLaVA-Interleave, whose family is not attrib's but that of tests/plugin."""
    words = tokenizer([], image_token="<image>")
    config = transformers.LlavaConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)}, vision_config=_siglip(image_size=40),
        image_token_id=words.image_token_id, vision_feature_layer=-1, vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )  # fmt: skip
    processor = transformers.LlavaProcessor(
        transformers.SiglipImageProcessor(size={"height": 40, "width": 40}), words, patch_size=8,
        vision_feature_select_strategy="full", chat_template=template(image="<image>\n"),
    )  # fmt: skip
    return saved(directory, config, processor)


def llava_next_video(directory: Path) -> Path:
    """Write a LLaVA-NeXT-Video with 6 x 6 patches a frame, which become 3 x 3 tokens."""
    words = tokenizer(["<image>", "<video>"])
    ids = {f"{name}_token_index": words.convert_tokens_to_ids(f"<{name}>") for name in ("image", "video")}
    vision = {**_siglip(image_size=48, num_hidden_layers=3), "model_type": "clip_vision_model"}
    del vision["vision_use_head"]
    config = transformers.LlavaNextVideoConfig(
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(words)}, vision_config=vision,
        image_grid_pinpoints=[[48, 48]], **ids, tie_word_embeddings=False,
    )  # fmt: skip
    sizes = {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}
    processor = transformers.LlavaNextVideoProcessor(
        transformers.LlavaNextVideoVideoProcessor(**sizes), transformers.LlavaNextImageProcessor(**sizes), words,
        patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template("<video>\n", "<image>\n"),
    )  # fmt: skip
    return saved(directory, config, processor)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    builder.__name__: builder for builder in (llava_onevision, internvl, smolvlm, llava_next_video)
}
