"""Check and price every method on random weights of official sizes: `python -m tools.gpu [MODEL ...]`.

Models: `perception_lm_1b`, `qwen3_vl_4b` (both by default) and `tiny`, whose report says whether a machine works at
all. Nothing is downloaded: weights are drawn on the device. Prints what `attrib check` prints, and writes MODEL.json
into the folder named by OUT (default: runs/gpu).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from attrib import registry
from attrib.commands.terminal.model_check import show
from attrib.models.checking.report import noise, report
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.families.qwen_vl import Qwen3VL
from attrib.models.family import ModelFamily
from attrib.models.family_model import FamilyModel
from attrib.models.perception_lm_init import LARGE_1B, Shape, byte_tokenizer, config, processor
from attrib.runtime.files import write_text

CHATML = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{{ '<|im_end|>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
END = "<|im_end|>"
QWEN_TOKENS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
PIXELS = 16 * 448 * 448  # most of a clip for Qwen3-VL: 16 frames give 1,568 tokens
EIGHT_MINUTES = 480.0


def perception_lm(shape: Shape) -> tuple[type[ModelFamily], Any, Any]:
    """Return the family, configuration and processor of a PerceptionLM."""
    tokenizer = byte_tokenizer()
    return PerceptionLM, config(shape, tokenizer), processor(shape, tokenizer)


def qwen3_vl() -> tuple[type[ModelFamily], Any, Any]:
    """Return the family, configuration and processor of a Qwen3-VL of 4B parameters."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in QWEN_TOKENS])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END, pad_token=END)
    names = dict(zip(("vision_start", "vision_end", "image", "video"), QWEN_TOKENS[2:], strict=True))
    ids = {f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
    text = {
        "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 262144,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20],
                            "mrope_interleaved": True},
    }  # fmt: skip
    vision = {
        "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2560,
        "patch_size": 16, "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
    }  # fmt: skip
    official = Qwen3VLProcessor(
        Qwen2VLImageProcessor(patch_size=16), tokenizer,
        Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": PIXELS}), chat_template=CHATML,
    )  # fmt: skip
    return Qwen3VL, Qwen3VLConfig(text_config=text, vision_config=vision, **ids, tie_word_embeddings=True), official


MODELS: Mapping[str, Callable[[], tuple[type[ModelFamily], Any, Any]]] = {
    "tiny": lambda: perception_lm(Shape()),
    "perception_lm_1b": lambda: perception_lm(LARGE_1B),
    "qwen3_vl_4b": qwen3_vl,
}


class Utilisation:
    """Context that samples how busy the GPU is, each second; afterwards `mean` is in per cent, None without a GPU."""

    def __init__(self) -> None:
        self.mean: float | None = None

    def __enter__(self) -> Self:
        """Begin to sample."""
        program = shutil.which("nvidia-smi")
        query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop=1"]
        self._sampler = program and subprocess.Popen([program, *query], stdout=subprocess.PIPE, text=True)  # noqa: S603
        return self

    def __exit__(self, *_: object) -> None:
        """Set `mean`."""
        if self._sampler:
            self._sampler.terminate()
            shares = [float(line) for line in self._sampler.communicate()[0].split() if line.isdigit()]
            self.mean = sum(shares) / len(shares) if shares else None


def drawn(name: str, folder: Path, device: torch.device, dtype: torch.dtype) -> FamilyModel:
    """Draw a model's weights on the device; its processor and configuration are saved to `folder`, for the check."""
    family, settings, official = MODELS[name]()
    official.save_pretrained(folder)
    settings.save_pretrained(folder)
    torch.manual_seed(0)
    with torch.device(device):
        network = AutoModelForImageTextToText.from_config(settings, dtype=dtype)
    network.config._name_or_path = str(folder)  # where the check finds the processor as no family has touched it
    return FamilyModel(family(network.to(device), official), str(folder))


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 if a check differs or a method fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--methods", nargs="*", default=list(registry.names("methods")))
    given = parser.parse_args(arguments)
    unknown = [name for name in given.models if name not in MODELS]
    if unknown:
        parser.error(f"unknown model {unknown[0]!r}; choose from {', '.join(MODELS)}")
    out, console, failed = Path(os.environ.get("OUT", "runs/gpu")), Console(), False
    began = time.perf_counter()
    for name in given.models or [each for each in MODELS if each != "tiny"]:
        if time.perf_counter() - began > EIGHT_MINUTES / 2:
            console.print(f"{name}: left out, half of the eight minutes are gone", style="yellow")
            continue
        with tempfile.TemporaryDirectory() as folder:
            model = drawn(name, Path(folder), torch.device(given.device), getattr(torch, given.dtype))
            model.frames = given.frames
            with Utilisation() as utilisation:
                found = report(model, noise(model, given.frames), given.methods)
            console.rule(f"{name}, {given.frames} frames")
            show(found)
            if utilisation.mean is not None:
                console.print(f"GPU busy {utilisation.mean:.0f} % of the time, on average")
            record = {"model": name, "gpu_busy_percent": utilisation.mean, **found.record()}
            write_text(out / f"{name}.json", json.dumps(record, indent=2) + "\n")
            failed |= bool(found.faults)
            del model, found
        torch.cuda.empty_cache()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
