"""Facts of a report beside its results: model and training, methods, evidence, and how to reproduce the run."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import huggingface_hub
from safetensors import SafetensorError, safe_open

from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.config import Entry, method_entries
from attrib.errors import InputError
from attrib.types import SaliencyVolume

BUILT_IN = "demo"
ANNOTATED = ("exact", "grounded")  # evidence rules that use the annotation directly; other rules infer evidence from it
OWN = "defined here"  # the reference of a method that no paper describes


def model(run: FinishedRun, note: str = "") -> dict[str, str]:
    """Name, size, input and training of the model, in words; missing facts read "unknown"."""
    section, made = run.settings.model, _first_map(run)
    folder = checkpoint(section.name, section.revision)
    frames = section.frames or (len(made.times) if made else "an unknown number of")
    name = "the built-in model of attrib" if section.name == BUILT_IN else Path(section.name).name
    if section.name.count("/") == 1 and not Path(section.name).exists():
        name = section.name
    revision = section.revision or (made.provenance.revision if made else None)
    return {
        "name": name, "revision": revision or "unknown", "size": _size(folder), "dtype": section.dtype,
        "input": f"{frames} frames, {section.sampling.replace('_', ' ')} sampling",
        "training": note or _training(section.name, folder),
    }  # fmt: skip


def checkpoint(name: str, revision: str | None) -> Path | None:
    """Folder of the model's files if they are on this machine, else None; downloads nothing."""
    if name == BUILT_IN:
        return Path(str(files("attrib") / "demo" / "checkpoint"))
    if Path(name).is_dir():
        return Path(name)
    try:
        found = huggingface_hub.try_to_load_from_cache(name, "config.json", revision=revision)
    except ValueError:  # not the name of a repository
        return None
    return Path(found).parent if isinstance(found, str) else None


def _first_map(run: FinishedRun) -> SaliencyVolume | None:
    """First map of the run; None if it has none that can be read."""
    for path in sorted((run.directory / "volumes").glob("*/*.npz"))[:1]:
        with suppress(InputError):
            return SaliencyVolume.load(path)
    return None


def _size(folder: Path | None) -> str:
    """Number of parameters, layers and heads in words, from the files of the checkpoint."""
    if folder is None:
        return "size unknown (its files are not on this machine)"
    settings = _json(folder / "config.json")
    text = settings.get("text_config", settings)
    count = parameters(folder)
    parts = [f"{count / 1e9:.1f} billion parameters" if count > 5e8 else f"{count:,} parameters"] if count else []
    if isinstance(text, Mapping) and text.get("num_hidden_layers"):
        parts.append(f"{text['num_hidden_layers']} decoder layers of {text.get('num_attention_heads')} heads")
    return ", ".join(parts) or "size unknown"


def parameters(folder: Path) -> int:
    """Number of parameters in all safetensors files, read from their headers; 0 without such files."""
    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as tensors:
                for key in tensors.keys():  # noqa: SIM118 - not a mapping
                    size = 1
                    for length in tensors.get_slice(key).get_shape():
                        size *= length
                    count += size
        except (OSError, SafetensorError):
            return 0
    return count


def _training(name: str, folder: Path | None) -> str:
    """Training of the model in words, from the training.json that attrib saves with its weights."""
    settings = _json(folder / "training.json").get("settings") if folder else None
    if isinstance(settings, Mapping):
        stages = [f"{key} ({value['steps']:,} steps of {value['batch']})" for key, value in settings.items()
                  if isinstance(value, Mapping) and {"steps", "batch"}.issubset(value)]  # fmt: skip
        held_out = ", none of them in the built-in benchmark," if name == BUILT_IN else ""
        return (
            f"trained from scratch on {settings.get('scenes')} generated scenes of the built-in world{held_out} with "
            f"seed {settings.get('seed')}, in the stages {', '.join(stages)}; settings and log are with the weights"
        )
    if folder is not None and Path(name).is_dir():
        return "unknown: the checkpoint has no training record, and --training-note was not given"
    return "as published; see the model card. Nothing was trained for this report"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def methods(numbers: Numbers) -> Iterator[dict[str, str]]:
    """Yield each method's label, kind, description (its class's first sentence), reference and parameters."""
    entries = {entry.label: entry for entry in method_entries(numbers.run.settings)}
    for label in numbers.order:
        entry = entries[label]
        method = entry.item
        words = " ".join((inspect.getdoc(type(method)) or "").split("\n\n")[0].split()).replace("`", "")
        yield {
            "label": label, "kind": numbers.kind(label), "about": words,
            "reference": "" if method.reference == OWN else method.reference,
            "given": _given(numbers, entry),
        }  # fmt: skip


def _given(numbers: Numbers, entry: Entry) -> str:
    """Settings of a method: its registered name if the label differs, and its parameters."""
    given = dict(numbers.run.settings.methods.get(entry.label) or {})
    given.pop("method", None)
    own = [entry.name] if entry.name != entry.label else []
    return ", ".join([*own, *(f"{key} = {value}" for key, value in given.items())])


def evidence(numbers: Numbers) -> dict[str, int]:
    """Number of questions by evidence rule; empty if the run does not record rules."""
    rows = numbers.run.results
    if "rule" not in rows:
        return {}
    rules = rows.groupby("sample")["rule"].first().fillna("").astype(str)
    counts = rules[rules != ""].value_counts()
    return {str(rule): int(count) for rule, count in counts.items()}


def exploratory(rules: Mapping[str, int]) -> int:
    """Number of questions whose evidence is inferred from the annotation, not annotated directly."""
    return sum(count for rule, count in rules.items() if rule not in (*ANNOTATED, "none"))


def repeat(run: FinishedRun) -> dict[str, str]:
    """Hash of the settings, package versions, machine, seed and target."""
    text = (run.directory / "config.yaml").read_bytes()
    packages = run.environment.get("packages", {})
    named = [name for name in ("attrib", "torch", "transformers", "captum", "numpy") if name in packages]
    python = str(run.environment.get("python", "")).split()[:1]
    return {
        "hash": hashlib.sha256(text).hexdigest()[:12],
        "versions": ", ".join([*(f"{name} {packages[name]}" for name in named), *(f"Python {one}" for one in python)]),
        "machine": run.machine, "seed": str(run.settings.seed), "target": run.settings.target,
    }  # fmt: skip
