from __future__ import annotations

import pytest

from tools.speed import operations


@pytest.fixture(autouse=True)
def _small_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the machine's speed with a smaller product, which takes milliseconds, not seconds."""
    monkeypatch.setattr(operations, "SIDES", (256, 128, 512))
