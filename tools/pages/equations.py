"""Equations of a docstring or a page as MathML, which browsers draw without a script."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

EQUATION = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
CODE = re.compile(r"(^```.*?^```|^ {4}.*?$|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
IN_LINE = re.compile(r"\$(?=\S)([^$\n]+?)(?<=\S)\$")


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


def drawn(markdown: str) -> str:
    """Return a page with MathML in place of its `$$...$$` and `$...$`, but in code."""
    parts = CODE.split(markdown)
    parts[::2] = [IN_LINE.sub(lambda found: convert(found[1]), _blocks(part)) for part in parts[::2]]
    return "".join(parts)


def _blocks(text: str) -> str:
    return EQUATION.sub(lambda found: as_html(" ".join(found[1].split())), text)
