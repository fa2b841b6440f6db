"""Facts of a model family, from its class."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from attrib.models.family import ModelFamily
from tools.pages.text import escaped, paragraph

PAGE = Path(__file__).parent.parent.parent / "docs" / "models.md"


def facts_of_family(name: str, item: Any) -> list[tuple[str, str]]:
    """Return what a family's class says, as rows of a table; the built-in model has no class of its own."""
    module = paragraph((inspect.getdoc(sys.modules[item.__module__]) or "").partition("\n\n")[0]).rstrip(".")
    if not (isinstance(item, type) and issubclass(item, ModelFamily)):
        return [("Module", escaped(module)), ("Needs", "nothing: the weights come with the package")]
    frames = "separate pictures" if item.as_images else "one video"
    bounds = item.limit is not ModelFamily.limit
    return [
        ("Family", escaped(module)),
        ("`model_type`", f"`{name}`"),
        ("Frames go in as", frames),
        *zip(("Frames", "A visual token covers"), map(escaped, _row(name)), strict=True),
        ("`model.pixels`", "bounds the size of a clip" if bounds else "is refused"),
        ("Decoder", "not all layers attend to all earlier tokens" if item.masked else "causal attention"),
        ("Needs", "a checkpoint in the Hugging Face layout, with its processor and chat template"),
    ]


def _row(name: str) -> tuple[str, str]:
    """Return what docs/models.md says of a family: its frames, and what a visual token covers."""
    found = re.search(rf"^\|[^|]*`{name}`[^|]*\|([^|]*)\|([^|]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise KeyError(f"{name}: no row of docs/models.md")
    return found[1].strip(), found[2].strip()
