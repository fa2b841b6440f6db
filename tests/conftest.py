"""What all tests share: no network, little threading, and the sample data beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: no test may reach for the network

import pytest
import torch

ROOT = Path(__file__).parent.parent
torch.set_num_threads(1)  # tensors here are tiny, and pytest-xdist fills the other cores


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real videos and Perception Test annotations; they are not part of the repository."""
    folder = Path(os.environ.get("ATTRIB_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}: set ATTRIB_SHARED_DATA to their directory")
    return folder
