"""Where the model runs and what it will need is said before the methods run, with a warning if that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tiny_families import qwen3_vl
from torch import Tensor

from attrib import api, models, registry, video
from attrib.explaining.expected_memory import memory_note, memory_warnings
from attrib.method import Method
from attrib.models.checking.memory import expected
from attrib.runtime.memory import bytes_text
from attrib.subject import Subject
from attrib.types import Clip, Question

QUESTION = Question("Which is it?", ("red", "green"))
PICTURES = np.random.default_rng(0).integers(0, 256, (8, 64, 96, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Silent(Method):
    """Says nothing about its memory."""

    def values(self, subject: Subject) -> Tensor:
        return subject.pixels[:, 0]


def subject_of(name: str) -> Subject:
    return Subject.bind(models.load(name, device="cpu"), Clip(PICTURES, np.arange(8) / 2, 4.0), QUESTION)


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the machine have so many bytes free."""
    found = psutil.virtual_memory()._replace(available=count)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: found)


def methods(*names: str) -> list[tuple[str, Method]]:
    return [(name, registry.get("methods", name)()) for name in names]


def test_the_note_names_the_largest_need(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of("demo")
    free(monkeypatch, 3 * 2**30)
    note = memory_note(subject, [*methods("relevance", "saliency", "centre"), ("silent", Silent())])
    need = bytes_text(expected(registry.get("methods", "saliency")(), subject) or 0)
    assert note.startswith("cpu, float32, 288 visual tokens, weights of 4.2 MiB; ")
    assert note.endswith(f"; expects {need} more (saliency), 3.0 GiB are free; not known for: silent")
    assert memory_warnings(subject, methods("relevance", "saliency")) == ()


def test_the_warning_says_what_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what saliency needs: half of the frames."""
    subject = subject_of(str(qwen3_vl(tmp_path)))
    need = expected(registry.get("methods", "saliency")(), subject)
    least = expected(registry.get("methods", "raw_attention")(), subject)
    assert need and least
    free(monkeypatch, need // 2)
    (warning,) = memory_warnings(subject, methods("raw_attention", "saliency", "grad_cam"))
    assert warning == (
        f"saliency, grad_cam: expected to need {bytes_text(need)} beyond the weights, and {bytes_text(need // 2)} are "
        "free; --frames 3 or model.pixels or model.dtype: bfloat16 or --method localization_heads "
        f"({bytes_text(least)}) would need less"
    ).replace("--frames 3", f"--frames {8 * (need // 2) // need}")


def test_the_command_warns_before_the_work(
    attrib: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video.write(tmp_path / "clip.mp4", PICTURES, np.arange(8) / 2)
    free(monkeypatch, 2**20)
    options = ("-q", "Which cup?", "--option", "left", "--option", "right", "--method", "saliency", "--no-overlay")
    code, _, err = attrib("explain", tmp_path / "clip.mp4", *options, "-O", tmp_path / "out")
    assert code == 0 and "note: cpu, float32, 288 visual tokens" in err and "1.0 MiB are free" in err
    assert "warning: saliency: expected to need" in err
    code, out, err = attrib("explain", tmp_path / "clip.mp4", *options, "-O", tmp_path / "more", "--json")
    assert code == 0 and out.startswith("{") and "note: cpu" not in err and "warning: saliency: expected" in err


def test_python_is_told_before_a_method_runs(tmp_path: Path) -> None:
    video.write(tmp_path / "clip.mp4", PICTURES, np.arange(8) / 2)
    heard: list[str] = []

    class Loud(Silent):
        def values(self, subject: Subject) -> Tensor:
            heard.append("runs")
            return super().values(subject)

    api.explain(
        tmp_path / "clip.mp4", "Which?", ("left", "right"), methods={"loud": Loud()},
        tell=lambda note, warnings: heard.extend([note, *warnings]),
    )  # fmt: skip
    assert len(heard) == 2 and heard[0].startswith("cpu, float32") and heard[1] == "runs"
