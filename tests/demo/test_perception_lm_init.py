"""Checkpoints made from nothing load as official ones do, in any size, with either tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoints import write_checkpoint
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib.models.perception_lm_init import (
    LARGE_1B,
    SYSTEM_PROMPT,
    Shape,
    byte_tokenizer,
    config,
    word_tokenizer,
)

SHAPES = {
    "class token": Shape(),
    "no class token": Shape(class_token=False, pooling=1, kv_heads=4, layer_scale=1.0),
    "padded vocabulary": Shape(vocabulary=1000, image_size=32, tower_depth=1, layers=1),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_checkpoint_loads_and_answers(shape: Shape, tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path, shape)
    processor = AutoProcessor.from_pretrained(directory)
    model, report = AutoModelForImageTextToText.from_pretrained(directory, output_loading_info=True)
    assert not any(report.values())
    content = [{"type": "video"}, {"type": "text", "text": "What moves? Ünknown\n"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.randint(0, 256, (3, 3, 40, 60), dtype=torch.uint8)
    inputs = processor(text=[text], videos=[video], return_tensors="pt", add_special_tokens=False)
    assert (inputs["input_ids"] == model.config.video_token_id).sum() == 3 * shape.grid**2
    with torch.no_grad():
        logits = model(**inputs).logits
    assert torch.isfinite(logits).all()
    assert logits.shape[-1] == max(shape.vocabulary, len(processor.tokenizer))


def test_the_prompt_is_the_official_one(tmp_path: Path) -> None:
    processor = AutoProcessor.from_pretrained(write_checkpoint(tmp_path))
    content = [{"type": "text", "text": "Q"}, {"type": "video"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    assert text == (
        f"<|begin_of_text|>{head.format('system')}{SYSTEM_PROMPT}<|eot_id|>{head.format('user')}<|video|>Q<|eot_id|>"
        f"{head.format('assistant')}"
    )


def test_same_seed_same_weights_and_the_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    files = [write_checkpoint(tmp_path / str(i), seed=i // 2) / "model.safetensors" for i in range(3)]
    assert (torch.rand(3) == expected).all()
    first, second, other = (path.read_bytes() for path in files)
    assert first == second
    assert first != other


def test_byte_tokenizer_encodes_everything_and_gives_it_back() -> None:
    tokenizer = byte_tokenizer()
    for text in ("Which one?\nA. left", "żółw 龜 🐢", ""):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        assert len(tokenizer(letter, add_special_tokens=False).input_ids) == 1


def test_word_tokenizer_knows_its_words_and_survives_others() -> None:
    tokenizer = word_tokenizer(["red", "A", ".", "?", "'", "s"], ["A whole sentence."])

    def tokens(text: str) -> list[str]:
        return list(tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids))

    assert tokens("A. red?\nA whole sentence.") == ["A", ".", "red", "?", "\n", "A whole sentence."]
    assert tokens("A\n\nA") == ["A", "\n\n", "A"]
    assert tokens("zebra's 龜") == ["<unk>", "'", "s", "<unk>"]
    assert tokens("<|video|>red<|eot_id|>") == ["<|video|>", "red", "<|eot_id|>"]


def test_the_official_1b_shape_is_as_published() -> None:
    made = config(LARGE_1B, byte_tokenizer())
    text = made.text_config
    assert (text.hidden_size, text.num_hidden_layers, text.num_attention_heads, text.num_key_value_heads) == (
        2048, 16, 32, 8,
    )  # fmt: skip
    assert made.vision_config.model_args["embed_dim"] == 1024
    assert LARGE_1B.grid == 16
    assert made.vision_use_cls_token
