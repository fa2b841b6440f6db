"""Check of how docstrings begin: `python -m tools.check_docstrings [PATH ...]`; exit code 1 if one begins badly.

A docstring starts with a verb ("Return the volume") or with a noun phrase for what is returned ("Volume of ..."), never
with a word that leaves the subject out ("Of all videos", "Whether it is", "What the model says").
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("attrib", "methods", "benchmarks", "configs", "tools")
DANGLING = """
about above after although as at because before below beside between but by during for from how if in inside into like
of on once outside over since so than that then therefore through till to under unless until upon what when where
whether which while who whom whose why with within without
"""
STALE = ("to be had", "cannot be had", "lies beside", "lie beside", "is told", "are told", "and says so", ", and said")


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and reason for each docstring that begins with a dangling word or uses a stale phrase."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node)
        if not text:
            continue
        line = node.body[0].lineno
        first = text.split(maxsplit=1)[0].strip("`'\"(,.:;")
        if first.lower() in DANGLING.split():
            yield line, f"starts with {first!r}: begin with a verb or with a noun for what is returned"
        for phrase in STALE:
            if phrase in text:
                yield line, f"says {phrase!r}: use plain words"


def python_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the Python files in `paths`, including those inside folders."""
    for path in paths:
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each fault; return 1 if there is any, else 0."""
    paths = [Path(name) for name in (sys.argv[1:] if arguments is None else arguments)]
    count = 0
    for path in python_files(paths or [ROOT / name for name in FOLDERS]):
        for line, reason in faults(path.read_text(encoding="utf-8")):
            print(f"{path}:{line}: {reason}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
