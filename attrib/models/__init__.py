"""Adapters, one per model family, and the way from a name, a directory or a checkpoint id to a model.

This package alone imports transformers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from attrib import registry
from attrib.errors import InputError, UnknownName

if TYPE_CHECKING:
    from attrib.model import VideoModel
    from attrib.models.loading import LoadOptions

CONVERTED = {  # remote code: its family in transformers
    "internvl_chat": "internvl", "llava_qwen": "llava_onevision", "videollama3_qwen2": "video_llama_3"
}  # fmt: skip
BUILT_IN = ("demo",)  # models that come with the package
DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


def load(name: str, **options: Unpack[LoadOptions]) -> VideoModel:
    """Load the model called `name`: of BUILT_IN, a local directory, or a Hugging Face checkpoint id.

    `device` auto (the default) is a CUDA or ROCm GPU if there is one, else the CPU; of several processes of torchrun or
    accelerate (LOCAL_RANK) each takes its own. `dtype` auto (the default) is the checkpoint's own on a GPU and float32
    on a CPU. `device_map` auto spreads the model over all GPUs, by the package
    accelerate. `pixels` is the most that a clip may have in all its frames, for families that choose the frames' size
    themselves. Raises InputError when there is no such model, its family has no adapter, or device or dtype is not
    available.
    """
    check_name(name)
    chosen = placed(options)
    if name in registry.names("models"):
        entry = registry.get("models", name)
        model: VideoModel = entry(**chosen) if not isinstance(entry, type) else _missing_checkpoint(name)
        return model
    family = _family(name, chosen.get("revision"), chosen.get("offline", False))
    from attrib.models.black_box import load_black_box  # transformers takes seconds to import
    from attrib.models.family import ModelFamily
    from attrib.models.family_model import load_family

    if family not in registry.names("models"):
        return load_black_box(name, **chosen)
    adapter = registry.get("models", family)
    if issubclass(adapter, ModelFamily):
        return load_family(adapter, name, **chosen)
    loaded: VideoModel = adapter.load(name, **chosen)
    return loaded


def check_name(name: str) -> None:
    """Raise InputError unless `name` is registered, a directory or an id OWNER/NAME. Imports no model library."""
    known = registry.names("models")
    if name in known or Path(name).is_dir() or (name.count("/") == 1 and not Path(name).is_absolute()):
        return
    raise InputError(
        f"unknown model {name!r}: expected a registered model ({', '.join(known)}), a checkpoint directory or an id "
        "OWNER/NAME"
    )


def placed(options: LoadOptions) -> LoadOptions:
    """Return the options with the device and, on a CPU, the dtype decided, and without those that are None.

    Raises InputError for a device or dtype that is not available.
    """
    device, dtype = options.get("device", "auto"), options.get("dtype", "auto")
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, DTYPES)
    if options.get("device_map") and device != "auto":
        raise InputError(f"model.device_map: chooses the devices itself; leave out model.device {device!r}")
    if device == "auto":
        import torch

        device = _gpu(torch.cuda.device_count()) if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    _check_device(device, "float32" if dtype == "auto" else dtype)
    given = {name: value for name, value in options.items() if value is not None}
    return cast("LoadOptions", {**given, "device": device, "dtype": dtype})


def _gpu(count: int) -> str:
    """Return the GPU of this process: the only one that it sees, or of `count` the one of its LOCAL_RANK."""
    rank = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{int(rank) % count}" if count > 1 and rank.isdecimal() else "cuda"


def _missing_checkpoint(family: str) -> VideoModel:
    raise InputError(f"model {family!r} is a family: give a checkpoint directory or id of that family instead")


def _check_device(device: str, dtype: str) -> None:
    """Raise InputError for a device that is not available, lacks `dtype` (mps: float64), or holds no data (meta)."""
    import torch

    try:
        torch.ones(1, device=device, dtype=getattr(torch, dtype)).add(1).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(f"device {device!r} is not available for {dtype}: {str(error).splitlines()[0]}") from error


def _family(name: str, revision: str | None, offline: bool) -> str:
    """Return the `model_type` of a checkpoint that has an adapter, or that transformers loads as a black box.

    Raises InputError for any other.
    """
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES as CONFIGURATIONS
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KNOWN

    family = _model_type(name, revision, offline)
    families = [entry for entry in registry.names("models") if entry not in BUILT_IN]
    own = family in families and registry.source("models", family).startswith("attrib ")
    if own and family not in CONFIGURATIONS:  # a package's family may bring its own classes
        version = transformers.__version__
        raise InputError(
            f"model {name!r} is of the family {family!r}, which transformers {version} does not know: "
            "pip install --upgrade transformers"
        )
    if family not in families and family not in KNOWN:
        converted = CONVERTED.get(family)
        hint = f"; the -HF conversion of this model ({converted}) would work" if converted in families else ""
        raise InputError(f"model {name!r} is of the family {family!r}; adapters exist for: {', '.join(families)}{hint}")
    return family


def _model_type(name: str, revision: str | None, offline: bool) -> str:
    path = Path(name)
    if path.is_dir():
        return _read_model_type(path / "config.json")
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(name, "config.json", revision=revision, local_files_only=offline)
    except (OSError, ValueError) as error:
        raise InputError(f"model {name!r} cannot be fetched: {str(error).splitlines()[0]}") from error
    return _read_model_type(Path(str(found)))


def _read_model_type(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a checkpoint's configuration with a model_type") from error
