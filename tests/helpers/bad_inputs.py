"""Helpers of `test_bad_inputs.py`: nasty values, ways to damage a tree or bytes, and the check of every outcome.

Everything is derived from the seed ATTRIB_BAD_INPUTS_SEED (0). ATTRIB_BAD_INPUTS (1) multiplies the number of examples.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

from attrib.errors import InputError

TIMES = int(os.environ.get("ATTRIB_BAD_INPUTS", "1"))
SEED = int(os.environ.get("ATTRIB_BAD_INPUTS_SEED", "0"))
CPU_SECONDS = 20  # limit of CPU time for one example, so that the load of the machine does not matter
LONGEST = 600  # maximum number of characters of a message

NASTY_TEXTS = [
    "", " ", "x", "7", "-1", "NaN", "null", "x" * 6000, "é" * 300, "../../evil", "/etc/passwd", "a\x00b", "a\nb", "..",
    ".", "CON", "~root", "C:\\x", "%2e%2e%2f", "gnp\u202e.exe", "\x1b[31mred\x1b]0;title\x07",
    "<script>alert(1)</script>", "[bold]", "[/bold]", "{{7*7}}", "$(id)", "\ud800", "\ufeff", "a\u0301", "\u0663",
    "\u2028",
]  # fmt: skip
NASTY_NUMBERS = [
    0, -1, 1, 2, 0.5, 10**9, 2**53, 2**63, -(2**63), 10**30, 10**400, 1e308, -1e308, 5e-324, float("nan"), float("inf"),
    float("-inf"),
]  # fmt: skip
NASTY: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NASTY_TEXTS),
    st.sampled_from(NASTY_NUMBERS),
    st.sampled_from([None, True, False, [], {}, [None], [[]], [[[[[]]]]], {"a": 1}, {"": {}}, [0] * 200]),
    st.text(max_size=12),
)
TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")  # classes that turn the direction of writing
_WAYS = ("replace", "delete", "twice", "reverse", "rename", "wrap")


def examples(count: int) -> Callable[[Any], Any]:
    """Decorator of a generated test: the same examples for the same seed, and no time limit except that of `judged`."""
    chosen = settings(
        max_examples=count * TIMES, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    return lambda test: seed(SEED)(chosen(test))


@st.composite
def damaged(draw: st.DrawFn, tree: Any) -> Any:
    """Copy of a tree of dicts and lists, with one to three values replaced, removed, doubled, reversed, renamed or
    wrapped.
    """
    tree = json.loads(json.dumps(tree))  # a deep copy without shared values
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_entries(tree)) or [(None, None)]))
        if holder is not None:
            _damage(draw, holder, key)
    return tree


def _entries(tree: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _entries(value)


def _damage(draw: st.DrawFn, holder: Any, key: Any) -> None:
    way, value = draw(st.sampled_from(_WAYS)), holder[key]
    if way == "delete":
        del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        holder[draw(st.sampled_from(NASTY_TEXTS) | st.text(max_size=8))] = holder.pop(key)
    elif way == "twice" and isinstance(holder, list):
        holder.append(copy.deepcopy(value))
    elif way == "reverse" and isinstance(value, list):
        value.reverse()
    elif way == "wrap":
        holder[key] = [value]
    else:
        holder[key] = copy.deepcopy(draw(NASTY))  # a copy, since the next damage may change it


def flipped(whole: bytes, number: int) -> bytes:
    """Return the bytes truncated, overwritten at random or near the start, or with a run of equal bytes."""
    rng = np.random.default_rng([SEED, number])
    data = np.frombuffer(whole, np.uint8).copy()
    start, length = int(rng.integers(0, len(data))), int(rng.integers(1, 9))
    if number % 4 == 0:
        return data[:start].tobytes()
    if number % 4 == 1:
        data[rng.integers(0, len(data), 3 * length)] ^= rng.integers(1, 256, 3 * length).astype(np.uint8)
    elif number % 4 == 2:
        data[rng.integers(0, min(len(data), 800), length)] = rng.integers(0, 256, length)
    else:
        data[start : start + length] = rng.choice([0, 127, 255])
    return data.tobytes()


def judged(action: Callable[[], Any]) -> Any:
    """Return the action's result, or None if it raises an InputError with one short, harmless line.

    Any other error, and an action that takes too long, fails the test.
    """
    try:
        with _bounded():
            return action()
    except InputError as error:
        message = str(error)
    check_line(message)
    return None


def check_line(line: str) -> None:
    """Assert that a message is not empty, not too long, valid UTF-8 and free of terminal control characters."""
    assert 0 < len(line) <= LONGEST, line
    line.encode()
    for character in line:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), repr(line)
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )


@contextmanager
def _bounded() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"still running after {CPU_SECONDS} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Arena:
    """Folder `inside` for one example at a time, and the files around it, which must not change."""

    def __init__(self, root: Path) -> None:
        self.root, self.inside = root, root / "a" / "b" / "inside"

    def empty(self) -> Path:
        """Return the folder, emptied."""
        shutil.rmtree(self.inside, ignore_errors=True)
        self.inside.mkdir(parents=True)
        return self.inside

    def outside(self) -> set[tuple[str, int]]:
        """Names and sizes of all files around the folder."""
        paths = (path for path in self.root.rglob("*") if self.inside not in (path, *path.parents))
        return {(str(path), path.stat().st_size if path.is_file() else -1) for path in paths}
