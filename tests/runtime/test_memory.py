"""Too little memory: one line that names what needs less, a model as it was found, and the next item."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor

from attrib.errors import NotEnoughMemory
from attrib.method import Batched, Method
from attrib.runtime.memory import fitting, peak_memory
from attrib.subject import Subject
from attrib.testing import ToyModel, toy_subject

# The address space is limited to little more than what a first run took.
LIMITED = """
import json, resource, sys
import torch
from attrib import api, config

torch.set_num_threads(1)
few = {"relevance": None, "integrated_gradients": {"steps": 2}}
many = {"hungry": {"method": "integrated_gradients", "steps": 64, "batch": 64}}
starved = {"starved": {"method": "smoothgrad", "samples": 64, "batch": 64}}
settings = {"data": {"name": "demo", "videos": 1}, "metrics": {"mass": None}, "overlays": 0}
first = api.bench({**settings, "methods": few}, sys.argv[1] + "/first")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, resource.RLIM_INFINITY))
limited = api.bench({**settings, "methods": {**many, **few, **starved}}, sys.argv[1] + "/limited")
values = [outcome.results.set_index("method")["value"].dropna().to_dict() for outcome in (first, limited)]
print(json.dumps([values, {item.method: item.error for item in limited.failures}]))
"""


@dataclass(frozen=True)
class Starved(Batched, Method):
    """Asks for more than there is, in one of several ways."""

    way: str
    batch: int = 4

    def values(self, subject: Subject) -> Tensor:
        if self.way == "torch":
            return torch.empty(2**44)
        raise {"python": MemoryError(), "gpu": torch.OutOfMemoryError("CUDA out of memory")}[self.way]


@pytest.mark.parametrize("way", ["torch", "python", "gpu"])
def test_a_method_without_memory_says_what_needs_less(way: str) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        Starved(way).attribute(toy_subject(), "starved")
    expected = (
        "starved: out of memory; fewer frames than 4 or a smaller batch than 4 or model.dtype bfloat16 needs less"
    )
    assert str(caught.value) == expected


def test_only_what_can_be_made_smaller_is_named() -> None:
    model = ToyModel()
    model.module.to(torch.bfloat16)
    with (
        pytest.raises(NotEnoughMemory, match="out of memory; a shorter prompt needs less"),
        fitting(model.dtype, "it", 1),
    ):
        raise MemoryError


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="of another kind"), fitting(ToyModel().dtype, "it", 4):
        raise RuntimeError("of another kind")


def test_peak_of_the_process_is_the_kernels_own(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("no /proc: nothing to compare with")
    kernel = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024  # type: ignore[index]
    assert peak_memory(torch.device("cpu")) == pytest.approx(kernel, rel=0.1)
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows, where psutil knows the peak
    present = psutil.Process().memory_info().rss
    assert peak_memory(torch.device("cpu")) == pytest.approx(present, rel=0.1)


@pytest.mark.slow
def test_a_run_under_a_memory_limit_goes_on_with_a_clean_model(tmp_path: Path) -> None:
    """Maps that fit have the same values as without a limit, before and after what does not."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc: the address space in use is not known")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=240
    )
    (first, limited), failures = json.loads(done.stdout)
    assert limited == first and set(first) == {"relevance", "integrated_gradients"}
    assert set(failures) == {"hungry", "starved"}
    for name, error in failures.items():
        assert error == (
            f"{name}: out of memory; fewer frames than 8 or a smaller batch than 64 or model.dtype bfloat16 needs less"
        )
