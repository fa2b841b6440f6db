"""Optimiser, averaged weights and their state on disk, without pickle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from attrib.demo.training.settings import StageSettings
from attrib.runtime.files import writing


class State:
    """AdamW with warm-up and cosine decay over the named parameters, and an average of their late values."""

    def __init__(self, path: Path, parameters: dict[str, torch.nn.Parameter], stage: StageSettings) -> None:
        self.path, self.parameters, self.stage, self.step = path.with_suffix(".safetensors"), parameters, stage, 0
        decay = [p for p in parameters.values() if p.ndim >= 2]
        rest = [p for p in parameters.values() if p.ndim < 2]
        groups = [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98))
        self.mean = {name: p.detach().clone() for name, p in parameters.items()}
        self.errors: dict[str, float] = {}  # share of questions of each kind answered wrongly of late
        if self.path.exists():
            self._load()

    def rate(self) -> float:
        """Learning rate of the current step."""
        warm = min(1.0, (self.step + 1) / self.stage.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * self.step / self.stage.steps))
        return self.stage.rate * warm * (self.stage.floor + (1 - self.stage.floor) * fall)

    def update(self, loss: torch.Tensor) -> None:
        """Take one optimiser step for the loss and update the averages."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        self.step += 1
        share = max(1 - self.stage.decay, 1 / (1 + self.step / 10))  # average over fewer steps at first
        for name, parameter in self.parameters.items():
            self.mean[name].lerp_(parameter.detach(), share)

    def answered(self, kind: str, right: float) -> None:
        """Update the share of questions of a kind that were answered wrongly, by those of one step."""
        self.errors[kind] = 0.98 * self.errors.get(kind, 1.0) + 0.02 * (1 - right)

    def harder(self) -> dict[str, float]:
        """Weight of each kind of question: from 0.2, if all are answered rightly, to 1.2."""
        return {kind: 0.2 + error for kind, error in self.errors.items()}

    def save(self) -> None:
        """Write weights, moments, averages and the step, atomically."""
        tensors = {f"weight.{n}": p.detach().contiguous() for n, p in self.parameters.items()}
        tensors |= {f"mean.{n}": m for n, m in self.mean.items()}
        for name, parameter in self.parameters.items():
            moments = self.optimizer.state[parameter]
            tensors |= {f"{key}.{name}": moments[key] for key in ("exp_avg", "exp_avg_sq")}
        tensors |= {f"error.{kind}": torch.tensor(error, dtype=torch.float64) for kind, error in self.errors.items()}
        with writing(self.path) as temporary:
            save_file({**tensors, "step": torch.tensor(self.step)}, temporary)

    def _load(self) -> None:
        saved = load_file(self.path)
        self.step = int(saved["step"])
        self.errors = {key[len("error.") :]: float(value) for key, value in saved.items() if key.startswith("error.")}
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(saved[f"weight.{name}"])
                self.mean[name] = saved[f"mean.{name}"]
                moments = {key: saved[f"{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[parameter] = {"step": torch.tensor(float(self.step)), **moments}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the parameters are replaced by their averages."""
        current = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.load_averaged()
        yield
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(current[name])

    def load_averaged(self) -> None:
        """Replace the parameters by their averages."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.mean[name])
