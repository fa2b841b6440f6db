"""Progress of long work in a notebook: a bar below the cell, gone when the work ends."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any, ParamSpec, TypeVar

PERIOD = 0.2  # least seconds between two updates; each is a message to the browser
_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_notebook() -> bool:
    """Tell whether this is a notebook's kernel (Jupyter, Colab), where HTML can be shown and changed."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class NotebookBar:
    """Bar in the output of the cell that runs."""

    def __init__(self) -> None:
        display: Any = importlib.import_module("IPython.display")  # IPython has no types
        self._html, self._last = display.HTML, 0.0
        self._handle = display.display(display.HTML(""), display_id=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show the next item, and how many of `total` are done."""
        if time.monotonic() - self._last >= PERIOD or done == 0:
            self._last = time.monotonic()
            self._handle.update(self._html(bar_html(what, done, total)))

    def close(self) -> None:
        """Take the bar away."""
        self._handle.update(self._html(""))


def bar_html(what: str, done: int, total: int) -> str:
    """Return the bar as HTML; without a total it only says that work goes on."""
    if not total:
        return f"<progress></progress> {escape(what)}"
    return f"<progress value='{done}' max='{total}'></progress> {done} of {total}: {escape(what)}"


def with_bar(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Show a bar for a function with an argument `step` where a notebook calls it without one."""

    @functools.wraps(function)
    def shown(*arguments: _P.args, **named: _P.kwargs) -> _R:
        given: dict[str, Any] = inspect.signature(function).bind(*arguments, **named).arguments
        if given.get("step") is not None or not in_notebook():
            return function(*arguments, **named)
        bar = NotebookBar()
        try:
            given["step"] = bar
            return function(**given)  # type: ignore[call-arg]
        finally:
            bar.close()

    return shown
