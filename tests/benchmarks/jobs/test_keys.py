"""Cache keys of metrics that remove parts of the video, and of files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from attrib import config, registry
from attrib.benchmarks.jobs import keys as keys_module
from attrib.benchmarks.jobs.code_hash import CodeHashes
from attrib.benchmarks.jobs.keys import entry_hash, file_hashes
from attrib.runtime.files import fingerprint

BLACK = """
from dataclasses import dataclass
from attrib import PixelImputer

@dataclass(frozen=True)
class Black(PixelImputer):
    def prepare(self, canvas):
        return lambda removed: canvas.filled(canvas.pixels * {factor}, removed)
"""


def key(imputers: Mapping[str, Any], imputer: str) -> str:
    settings = {"methods": {}, "metrics": {"srg": {"imputer": imputer}}, "imputers": imputers}
    (entry,) = config.metric_entries(config.parse(settings))
    return entry_hash(entry, CodeHashes())


def test_a_score_depends_on_the_imputers_parameters() -> None:
    plain = key({"soft": {"imputer": "blur"}}, "soft")
    assert key({"soft": {"imputer": "blur", "sigma": 0.1}}, "soft") == plain
    assert key({"soft": {"imputer": "blur", "sigma": 0.2}}, "soft") != plain
    assert key({"soft": {"imputer": "mean"}}, "soft") != plain


def test_a_score_depends_on_the_imputers_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_files", {kind: {} for kind in registry.KINDS})
    keys = []
    for factor in (0, 0, 0.1):
        (tmp_path / "black.py").write_text(BLACK.format(factor=factor))
        registry.load_plugin(tmp_path / "black.py")
        keys.append(key({"black": None}, "black"))
    assert keys[0] == keys[1] != keys[2]


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(paths: list[Path]) -> str:
        read.extend(paths)
        return fingerprint(paths)

    monkeypatch.setattr(keys_module, "fingerprint", counted)
    path, copy, missing = tmp_path / "a.mp4", tmp_path / "more" / "a.mp4", tmp_path / "b.mp4"
    copy.parent.mkdir()
    path.write_bytes(b"one")
    copy.write_bytes(b"one")
    first = file_hashes([path, copy, missing, path])
    assert first[0] == first[1] == first[3] != first[2] and read == [path, copy]
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 0))  # of the same size, and its time may be too close to tell on coarse file systems
    missing.write_bytes(b"")
    changed, _, found = file_hashes([path, copy, missing])
    assert changed != first[0] and found != first[2] and read == [path, copy, path, missing]
