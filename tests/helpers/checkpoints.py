"""PerceptionLM checkpoints with random weights, written to disk."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from attrib.models.perception_lm_init import Shape, build, byte_tokenizer, processor, save


def write_checkpoint(
    directory: str | Path,
    shape: Shape | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    seed: int = 0,
) -> Path:
    """Write a loadable checkpoint of `shape` (default: test sizes, byte tokenizer) and return its directory."""
    shape, tokenizer = shape or Shape(), tokenizer or byte_tokenizer()
    return save(directory, build(shape, tokenizer, seed), processor(shape, tokenizer))
