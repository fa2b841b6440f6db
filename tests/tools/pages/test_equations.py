"""Equations in docstrings."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from attrib import registry
from tools.pages.equations import as_html, drawn, equations, without_equations

TEXT = "First.\n\n$$a_{x}\n< b$$\n\nLast."


def test_equations_are_taken_out_of_a_docstring() -> None:
    assert equations(TEXT) == ["a_{x} < b"]
    assert without_equations(TEXT) == "First.\n\nLast."


def test_an_equation_is_mathml_with_its_latex() -> None:
    root = ElementTree.fromstring(as_html("a_{x} < b"))
    assert root.attrib == {"class": "equation", "title": "a_{x} < b"}
    assert [each.tag.rpartition("}")[2] for each in root.iter()] == ["div", "math", "mrow", "msub", "mi", "mrow", "mi",
                                                                     "mo", "mi"]  # fmt: skip
    assert [each.text for each in root.iter() if each.text and each.text.strip()] == ["a", "x", "<", "b"]


def test_methods_and_metrics_have_equations() -> None:
    lacking = [name for kind in ("methods", "metrics") for name in registry.names(kind)
               if name != "captum" and not equations(registry.get(kind, name).__doc__ or "")]  # fmt: skip
    assert lacking == []


def test_no_command_of_latex_is_left_as_text() -> None:
    """The converter writes out what it does not know."""
    found = {
        (name, text)
        for kind in ("methods", "metrics") for name in registry.names(kind)
        for latex in equations(registry.get(kind, name).__doc__ or "")
        for text in ElementTree.fromstring(as_html(latex)).itertext() if re.search(r"\\[a-zA-Z]", text)
    }  # fmt: skip
    assert found == set()


def test_the_equations_of_a_page_are_drawn_but_in_code() -> None:
    code = ["`$HOME/$x`", "```\n$a$ $$b$$\n```", "    run $1 $2"]
    found = drawn("\n\n".join(["$$\n\\frac{a}{b}\n$$", "Here $L$, and $2 and $3.", *code]))
    block, line, *rest = found.split("\n\n")
    assert block == as_html(r"\frac{a}{b}") and rest == code
    assert ElementTree.fromstring(f"<p>{line}</p>").find(".//{*}mi") is not None
    assert line.startswith("Here <math") and line.endswith("</math>, and $2 and $3.")
