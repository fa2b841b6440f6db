"""Pages and tables of the registered plug-ins, from their classes."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from attrib import registry
from attrib.benchmarks.report.columns import FAITHFULNESS, MAP, SPACE, TIME, axis
from attrib.config import Entry
from attrib.method import Control, Method
from attrib.models import BUILT_IN
from attrib.registry import Kind
from tools.pages.costs import FILE
from tools.pages.equations import as_html, equations, without_equations
from tools.pages.families import facts_of_family
from tools.pages.parameters import Parameter, parameters
from tools.pages.text import escaped, paragraph, table, words_between

SHARED = {  # parameters that many plug-ins have, in one sentence each
    "batch": "versions of the clip in one pass; more take more memory",
    "space": "what is varied: the pixels, or the model's visual tokens",
    "baseline": "what stands for an absent video",
    "baselines": "what stands for an absent video, in turns",
    "cells": "rows and columns of cells in a frame",
    "layers": "layers of the decoder by number, from 0; none: all",
    "heads": "heads by number, from 0; none: all",
    "imputer": "what removed cells show; in a benchmark a label of `imputers`",
    "of": "the log-odds in nats, or the probability of the option",
    "samples": "copies of the clip",
    "seed": "of the random numbers",
    "limit": "number of videos that have a selected question; none: all",
}
HEADINGS = {
    "methods": "method", "metrics": "metric", "imputers": "imputer", "models": "model family", "datasets": "data set",
}  # fmt: skip
SYMBOLS = {
    "methods": (
        "M: the map; i: a place in time and frame; f: the explained score; x: the clip or its visual tokens, c "
        "their colours or channels; x': the baseline; x without T: the clip with T replaced; A of l, h: attention "
        "of head h in layer l, a: the answer's position; g: share of a cell that the evidence covers."
    ),
    "metrics": (
        "f: the explained score; x: the clip, top(q): its most salient share q; s: the saliency without negative "
        "values, p: s over its sum; n: scored cells; g: share of a cell that the evidence covers, a its mean, G: "
        "cells covered by half or more; m: mean or sum of p on an object or frame; S: frames of the segments; T: "
        "frames with evidence; v: another video; rho: rank correlation."
    ),
}
LISTS = {
    "methods": "methods", "metrics": "metrics", "imputers": "imputers", "models": "models", "datasets": "data sets",
}  # fmt: skip


def page(kind: Kind, name: str) -> str:
    """Return the page of a registered plug-in in Markdown."""
    item = registry.get(kind, name)
    first, rest = paragraphs(item)
    parts = [f"# {name}", escaped(first)]
    if latex := equations(inspect.getdoc(item) or ""):
        parts += [*map(as_html, latex), f"<small>{escaped(SYMBOLS[kind])}</small>"]
    parts += [escaped(rest)] if rest else []
    parts += [table(("", ""), facts(kind, name))]
    if own := parameters(item):
        rows = [(f"`{each.name}`", each.kind, f"`{each.default}`", meaning(item, each)) for each in own]
        parts += ["## Parameters", table(("parameter", "value", "default", "meaning"), rows)]
    return "\n\n".join([*parts, "## Use", usage(kind, name), more(kind)]) + "\n"


def paragraphs(item: Any) -> tuple[str, str]:
    """Return the first paragraph of an object's docstring, as in the report, and the others without equations."""
    first, _, rest = (inspect.getdoc(item) or "").partition("\n\n")
    return paragraph(first), without_equations(rest)


def meaning(item: Any, parameter: Parameter) -> str:
    """Return the comment of a parameter, the sentence of the docstring that names it, or the shared one."""
    if parameter.comment:
        return escaped(parameter.comment)
    for each in inspect.getmro(item):
        text = paragraph(inspect.getdoc(each) or "") if each.__module__.startswith("attrib") else ""
        found = next((one for one in re.split(r"(?<=[.;]) ", text) if f"`{parameter.name}`" in one), "")
        if found and parameter.name not in SHARED:
            return escaped(found.rstrip(".;:"))
    return SHARED.get(parameter.name, "")


def facts(kind: Kind, name: str) -> list[tuple[str, str]]:
    """Return what is known of a plug-in beside its docstring, as rows of a table."""
    item = registry.get(kind, name)
    rows = {"methods": _method_facts, "metrics": _metric_facts, "models": facts_of_family}.get(kind)
    own = rows(name, item) if rows else []
    source = inspect.getsourcefile(inspect.unwrap(item)) or ""
    folder = re.sub(r".*/(?=(attrib|methods|benchmarks)/)", "", source)
    return [*own, ("Source", f"`{folder}`")]


def _method_facts(name: str, item: type[Method]) -> list[tuple[str, str]]:
    returned = paragraph(inspect.getdoc(item.values) or "").partition(". ")[0].rstrip(".")
    values = returned.removeprefix("Return ").removeprefix("the ")
    return [
        ("Kind", "control or bound: does not use the model's answer" if issubclass(item, Control) else "method"),
        ("Values", escaped(values)),
        ("Paper", escaped(item.reference)),
        ("Needs", needs(item.needs) or "a video and a question"),
        ("Passes", passes(name)),
        ("Memory", _memory(item)),
    ]


def _memory(item: type[Method]) -> str:
    """Return what the largest pass of the method holds, as the class says."""
    text = paragraph(inspect.getdoc(item.footprint) or "")
    return f"{text[0].lower()}{text[1:].rstrip('.')}"


def _metric_facts(_name: str, item: Any) -> list[tuple[str, str]]:
    low, high = item.bounds
    return [
        ("Better", "high values" if item.direction == "high" else "low values"),
        ("Values", words_between(low, high)),
        ("Chance", escaped(item.chance_level)),
        ("Paper", escaped(item.reference)),
        ("Needs", needs(item.needs) or "a map, and no annotation"),
        ("Cost", _metric_cost(item)),
        ("Primary", "yes: one of the tests that Holm corrects" if item.primary else "no"),
    ]


def _metric_cost(item: Any) -> str:
    """Return what a score costs, from what the metric needs."""
    if "remake" in inspect.signature(item.score).parameters:
        return "further maps of the method"
    if "other" in inspect.signature(item.score).parameters:
        return "one more map of the method, and the answers to counterfactual videos, once for all methods"
    if "counterfactuals" in item.needs:
        return "the answers to counterfactual videos, once for all methods"
    return "forward passes of videos with removed cells" if "model" in item.needs else "no pass of the model"


def needs(names: Iterable[str]) -> str:
    """Return what a plug-in needs beside video and question, in a fixed order."""
    words = {"model": "new answers of the model", "counterfactuals": "counterfactual videos"}
    return ", ".join(words.get(name, name) for name in sorted(names))


@cache
def _counted() -> dict[str, dict[str, int]]:
    counted: dict[str, dict[str, int]] = json.loads(FILE.read_text(encoding="utf-8"))
    return counted


def passes(name: str) -> str:
    """Return the counted passes of a method through the built-in model."""
    forward, backward = (_counted().get(name, {}).get(key, 0) for key in ("forward", "backward"))
    words = [f"{forward} forward"] * bool(forward) + [f"{backward} forward and backward"] * bool(backward)
    return f"{', '.join(words)} (counted on the built-in model)" if words else "none through the language model"


def usage(kind: Kind, name: str) -> str:
    """Return how a plug-in is named in a configuration or on the command line."""
    if kind == "methods" and not issubclass(registry.get(kind, name), Control) and not registry.get(kind, name).needs:
        return (
            "```sh\nattrib explain VIDEO --question QUESTION --option A --option B \\\n"
            f"    --method {name} -O out\n```\n\nIn a benchmark:\n\n```yaml\nmethods:\n  {name}:\n```"
        )
    if kind == "models":
        model = name if name in BUILT_IN else "DIR-OR-ID"
        return f"```sh\nattrib check {model}\n```\n\n`--model {model}` of `attrib explain`, or in a benchmark " + (
            f"`model: {{name: {model}}}`."
        )
    if kind == "datasets":
        return f"```yaml\ndata: {{name: {name}}}\n```"
    return f"```yaml\n{kind}:\n  {name}:\n```"


def more(kind: Kind) -> str:
    """Return the links that end a page."""
    one = HEADINGS[kind]
    own, target = ("an" if one[0] in "aeiou" else "a"), {"datasets": "dataset"}.get(kind, kind.removesuffix("s"))
    return f"[All {LISTS[kind]}](../{kind}.md) · [write {own} {one}](../write_{target}.md)"


def overview(kind: Kind, controls: bool = False) -> str:
    """Return the table of a kind's plug-ins; of methods those that are controls, or those that are not."""
    names = registry.names(kind)
    if kind == "methods":
        names = [name for name in names if issubclass(registry.get(kind, name), Control) == controls]
    return _overview(kind, names)


def _overview(kind: Kind, names: Iterable[str]) -> str:
    rows = [(f"[`{name}`]({kind}/{name}.md)", *_row(kind, name)) for name in names]
    extra = {"methods": ("passes",), "metrics": ("better", "chance")}.get(kind, ())
    return table((HEADINGS[kind], "what", *extra), rows)


def metrics_by_axis() -> str:
    """Return a heading and a table of the metrics of each axis, as the report groups them."""
    parts: dict[str, list[str]] = {axis: [] for axis in (FAITHFULNESS, SPACE, TIME, MAP)}
    for name in registry.names("metrics"):
        item = registry.get("metrics", name)
        parts[axis(Entry(name, name, item))].append(name)
    return "\n\n".join(
        f"## {title[0].upper()}{title[1:]}\n\n{_overview('metrics', each)}" for title, each in parts.items()
    )


def _row(kind: Kind, name: str) -> tuple[str, ...]:
    item = registry.get(kind, name)
    what = escaped(paragraphs(item)[0])
    if kind == "methods":
        return what, passes(name).partition(" (")[0]
    if kind == "metrics":
        return what, item.direction, escaped(item.chance_level)
    return (what,)
