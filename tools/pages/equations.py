"""Equations of a docstring as MathML, which browsers draw without a script."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

EQUATION = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)


def equations(text: str) -> list[str]:
    """Return the LaTeX of each equation between pairs of dollar signs."""
    return [" ".join(found.split()) for found in EQUATION.findall(text)]


def without_equations(text: str) -> str:
    """Return the text with its equations left out."""
    return re.sub(r"\n{3,}", "\n\n", EQUATION.sub("", text)).strip()


def as_html(latex: str) -> str:
    """Return a block of MathML, with the LaTeX as its text for readers that draw none."""
    label = latex.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<div class="equation" title="{label}">{convert(latex, display="block")}</div>'
