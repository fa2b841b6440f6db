"""A checkpoint's processor and network, or one line that names the file at fault and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging
from transformers.utils.hub import cached_file

from attrib.errors import AttribError, InputError, NotEnoughMemory, one_line
from attrib.runtime.memory import out_of_memory

FILES: Mapping[str, tuple[str, ...]] = {  # by what is loaded: patterns of the files that it is read from
    "configuration": ("config.json",),
    "processor": (
        "processor_config.json", "tokenizer_config.json", "tokenizer.json", "*preprocessor_config.json",
        "special_tokens_map.json", "added_tokens.json", "chat_template.*",
    ),
    "weights": ("*.safetensors", "*.safetensors.index.json", "config.json"),
    "generation settings": ("generation_config.json",),
    "network": ("config.json", "processor_config.json"),
    "chat template": ("chat_template.jinja", "chat_template.json"),
}  # fmt: skip
REQUIRED = ("config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json")
EXTRAS = {"num2words": "smolvlm"}  # packages that a processor needs, by attrib's extra that installs them
LFS = b"version https://git-lfs"
SHOWN = 3  # tensors that a message names; of more it gives the number


class LoadOptions(TypedDict, total=False):
    """Device, dtype and source of a model. Each has a default; see `attrib.models.load`."""

    device: str
    dtype: str
    device_map: str | None
    pixels: int | None
    revision: str | None
    offline: bool


@dataclass(frozen=True)
class Checkpoint:
    """A directory, or a Hugging Face id with its revision; `offline` leaves the network alone."""

    name: str
    revision: str | None = None
    offline: bool = False

    @property
    def local(self) -> bool:
        """True for a directory."""
        return Path(self.name).is_dir()

    @property
    def folder(self) -> Path | None:
        """Directory of the files, in the cache for a Hugging Face id; None before anything is downloaded."""
        if self.local:
            return Path(self.name)
        try:
            path = cached_file(self.name, "config.json", revision=self.revision, local_files_only=True)
        except (OSError, ValueError):
            return None
        return Path(path).parent if path else None

    def files(self, what: str) -> list[Path]:
        """Paths of the files that hold the configuration, the processor, ... (the keys of FILES)."""
        folder = self.folder
        return sorted({path for pattern in FILES[what] for path in folder.glob(pattern)}) if folder else []


def load_checkpoint(checkpoint: Checkpoint, dtype: str, device_map: str | None = None) -> tuple[Any, Any]:
    """Return the processor and the network, on the CPU or spread over devices by a `device_map`.

    The dtype `auto` is the checkpoint's own.

    The network computes its attention by SDPA whatever the configuration asks for, and each of its tensors comes from
    the checkpoint. Raises InputError in one line when that cannot be.
    """
    where: dict[str, Any] = {
        "revision": checkpoint.revision, "local_files_only": checkpoint.offline or checkpoint.local
    }  # fmt: skip
    if device_map and find_spec("accelerate") is None:
        raise InputError("model.device_map: needs the package accelerate; pip install accelerate")
    with one_line_errors(checkpoint, "configuration"):
        config = AutoConfig.from_pretrained(checkpoint.name, **where)
        _refuse_quantised(checkpoint, config)
        config._attn_implementation = "sdpa"  # of the parts too
        if dtype == "float64":  # torch multiplies by all experts at once in smaller floats only
            config._experts_implementation = "eager"
    with one_line_errors(checkpoint, "processor"):
        processor = AutoProcessor.from_pretrained(checkpoint.name, **where)
    with one_line_errors(checkpoint, "weights"), _quiet(bar=not checkpoint.local):
        network, report = AutoModelForImageTextToText.from_pretrained(
            checkpoint.name, config=config, dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            attn_implementation="sdpa", use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True,
            device_map=device_map, **where,
        )  # fmt: skip
        _refuse_incomplete(checkpoint, network, report)
    with one_line_errors(checkpoint, "generation settings"):
        for path in checkpoint.files("generation settings"):  # transformers takes its own where they are damaged
            json.loads(path.read_text(encoding="utf-8"))
    return processor, network


@contextmanager
def _quiet(bar: bool) -> Iterator[None]:
    """Hide transformers' report of tensors, which becomes an error here; its progress bar only unless `bar`."""
    verbosity, enabled = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if enabled and not bar:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if enabled:
            logging.enable_progress_bar()


def _refuse_quantised(checkpoint: Checkpoint, config: Any) -> None:
    """Raise InputError for packed weights: they cannot be made random, and their gradients are untested."""
    for each in (config, *(getattr(config, name) for name in config.sub_configs)):
        settings = getattr(each, "quantization_config", None) or getattr(each, "compression_config", None)
        if settings:
            method = settings.get("quant_method") if isinstance(settings, Mapping) else None
            raise InputError(
                f"model {checkpoint.name}: its weights are quantised ({method or 'of an unnamed kind'}); "
                "attrib needs float weights: give the checkpoint from which this one was made"
            )


def _refuse_incomplete(checkpoint: Checkpoint, network: Any, report: Mapping[str, Any]) -> None:
    """Raise InputError unless network and checkpoint have the same tensors.

    transformers leaves tied weights, which a file may lack, out of the missing ones. Tensors of a part that the network
    does not have at all, such as another head, cannot change its numbers and are ignored.
    """
    if report["missing_keys"]:
        raise InputError(
            f"model {checkpoint.name}: its weights lack {_some(sorted(report['missing_keys']))}, which would be random;"
            " download the weights again, or save the whole network"
        )
    if report["mismatched_keys"]:
        shapes = [f"{name} {tuple(ours)}, got {tuple(own)}" for name, own, ours in sorted(report["mismatched_keys"])]
        raise InputError(
            f"model {checkpoint.name}: its weights do not fit config.json: expected {_some(shapes)};"
            " download both again from one place"
        )
    parts = dict(network.named_children())
    foreign = sorted(name for name in report["unexpected_keys"] if name.split(".")[0] in parts)
    if foreign:
        raise InputError(
            f"model {checkpoint.name}: the network that config.json describes has no place for {_some(foreign)};"
            " download config.json and weights again from one place, or merge the adapter into the weights"
        )
    if report["error_msgs"]:
        raise InputError(f"model {checkpoint.name}: its weights cannot be loaded: {one_line(report['error_msgs'][0])}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


@contextmanager
def one_line_errors(checkpoint: Checkpoint, what: str) -> Iterator[None]:
    """Turn whatever is raised while `what` of a checkpoint is loaded into an AttribError of one line."""
    try:
        yield
    except AttribError:
        raise
    except Exception as error:  # transformers and its back ends raise nearly anything
        if out_of_memory(error):
            raise NotEnoughMemory(f"model {checkpoint.name}: out of memory; dtype bfloat16 needs less") from None
        extra = next((EXTRAS[name] for name in EXTRAS if isinstance(error, ImportError) and name in str(error)), None)
        if extra:
            raise InputError(f'model {checkpoint.name}: pip install "attrib[{extra}]"') from error
        raise InputError(
            f"model {checkpoint.name}: its {what} cannot be loaded: {_cause(checkpoint, what, error)}"
        ) from error


def _cause(checkpoint: Checkpoint, what: str, error: Exception) -> str:
    """Name a file that is damaged or missing, else what was raised, and what to do."""
    files = checkpoint.files(what)
    for path in files:
        damage = _damage(path)
        if damage:
            return f"{path.name} is damaged ({damage}); download it again"
    missing = [name for name in REQUIRED if files and name in FILES[what] and not files[0].with_name(name).is_file()]
    missing += [path.name for index in files for path in _shards(index) if not path.is_file()]
    if missing:
        return f"{missing[0]} is missing; download it"
    said = f"{type(error).__name__}: {one_line(str(error), 300).rstrip('.')}"
    return f"{said}; check {', '.join(FILES[what][:3])}" if checkpoint.folder else said


def _shards(index: Path) -> list[Path]:
    """Paths of the files that an index of weights names; none for another file."""
    if not index.name.endswith(".index.json"):
        return []
    shards = json.loads(index.read_text(encoding="utf-8")).get("weight_map")
    return [index.with_name(str(name)) for name in shards.values()] if isinstance(shards, dict) else []


def _damage(path: Path) -> str | None:
    """Say what is wrong with a file; None when it can be read."""
    try:
        with path.open("rb") as file:
            if file.read(len(LFS)) == LFS:
                return "a pointer of Git LFS and not the file: `git lfs pull` fetches it"
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                return None
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json" and not isinstance(json.loads(text), dict):
            return "expected a JSON object"
    except Exception as error:  # safetensors has an exception of its own
        return one_line(str(error), 200)
    return None
