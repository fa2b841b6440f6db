"""Outlines equal what importing gives, or are refused."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from attrib import registry
from attrib.runtime.outline import Uncertain, outline

HEAD = "from __future__ import annotations\nfrom dataclasses import dataclass, field, InitVar, KW_ONLY\n"
HEAD += "import dataclasses\nfrom typing import Any, ClassVar\n"
PLAIN = "@dataclass(frozen=True)\nclass Mine:\n    'One.'\n    a: int = 1\n"
OTHER = HEAD + (
    "NEEDS = frozenset({'model', 'tracks'})\n"
    "class Mixed:\n    batch: int\n    needs = NEEDS\n"
    "@dataclass(frozen=True)\nclass Base:\n    'Base.'\n    needs: ClassVar[frozenset[str]] = frozenset({'evidence'})\n"
    "    first: int\n    second: tuple[int, ...] = ()\n"
    "class Strict:\n    def __init_subclass__(cls): print(cls)\n"
)
D = "@dataclass\nclass Mine:\n    'M.'\n"
C = "class Mine:\n    'M.'\n"
F = "@dataclass(frozen=True)\nclass Mine"
B = "from other import Base\n"
TOLD = {  # by the source alone
    "docstring": PLAIN,
    "first line after blanks": 'class Mine:\n    """\n      Words\n    that go on.\n    """\n',
    "no docstring": "class Mine:\n    a: int = 1\n",
    "no docstring of its own": f"{B}class Mine(Base):\n    b: int = 2\n",
    "inherited fields and needs": f"{B}{F}(Base):\n    'M.'\n    second: int = 3\n    third: float = 0.5\n",
    "bases in order": f"from other import Base, Mixed\n{F}(Mixed, Base):\n    'M.'\n    batch: int = 2\n",
    "the other order": f"from other import Base, Mixed\n{F}(Base, Mixed):\n    'M.'\n",
    "a base by another name": f"from other import Base as Root\n{F}(Root):\n    'M.'\n",
    "a base here": PLAIN.replace("Mine", "Base") + f"{F}(Base):\n    'M.'\n    b: int = 1\n",
    "imported from elsewhere": "from other import Base as Mine\n",
    "needs from elsewhere": f"from other import NEEDS as X\n{C}    needs: ClassVar[frozenset[str]] = X\n",
    "needs emptied": f"{B}{F}(Base):\n    'M.'\n    needs = frozenset()\n",
    "needs as a tuple": f"{C}    needs = ('tracks', 'evidence')\n",
    "class variables": f"{D}    a: ClassVar[int] = 1\n    b: ClassVar = 2\n    c: int = 3\n",
    "a field hidden by a class variable": f"{B}{F}(Base):\n    'M.'\n    second: ClassVar[int] = 3\n",
    "methods and constants": PLAIN + "    TABLE = {'needs': 1}\n    def values(self):\n        return self.a\n",
    "keyword-only, in slots": f"@dataclass(kw_only=True, slots=True)\n{C}    b: int\n    a: int = 1\n",
    "attrib's lazy names": f"from attrib import Method, PeerControl\n{F}(PeerControl):\n    'M.'\n    a: int = 1\n",
    "a function": "def Mine(x: int = 1):\n    'Words.'\n",
    "a module that fails": PLAIN + "import nowhere_at_all\n",
}  # fmt: skip
UNTOLD = {
    "no such name": "",
    "no docstring of a dataclass": "@dataclass\nclass Mine:\n    a: int = 1\n",
    "another decorator": f"def doubled(cls):\n    cls.__doc__ = 'Two.'\n    return cls\n@doubled\n{C}",
    "dataclass of another package": "from pydantic.dataclasses import dataclass\n" + PLAIN,
    "needs added later": PLAIN + "Mine.needs = {'x'}\n",
    "set by name": PLAIN + "setattr(Mine, 'needs', {'x'})\n",
    "defined twice": PLAIN + PLAIN.replace("One", "Two"),
    "defined again in a branch": PLAIN + "if True:\n    class Mine: pass\n",
    "computed needs": f"{C}    needs = frozenset(sorted({'x'}))\n",
    "needs in a branch": f"{C}    if True:\n        needs = {'x'}\n",
    "needs as a property": f"{C}    @property\n    def needs(self): return {'x'}\n",
    "needs as a field": f"{D}    needs: tuple = ()\n",
    "a base that acts": "from other import Strict\nclass Mine(Strict):\n    'M.'\n",
    "a computed base": "import other\nclass Mine(getattr(other, 'Base')):\n    'M.'\n",
    "a metaclass": "class Mine(metaclass=type):\n    'M.'\n",
    "star import": "from other import *\n" + PLAIN,
    "init variables": f"{D}    a: InitVar[int] = 1\n",
    "a keyword marker": f"{D}    _: KW_ONLY\n    a: int = 1\n",
    "a quoted annotation": f"{D}    a: 'ClassVar[int]' = 1\n",
    "a renamed marker": f"from typing import ClassVar as C\n{D}    a: C[int] = 1\n",
    "no Python": "class Mine(:\n",
}


def described(item: Any) -> tuple[list[str], list[str], list[str]]:
    """First line of the docstring, fields and needs, as `attrib list` shows them."""
    parameters = [field.name for field in fields(item)] if is_dataclass(item) else []
    return (item.__doc__ or "").strip().splitlines()[:1], parameters, sorted(getattr(item, "needs", ()))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Write a module, beside one called `other`; gives its name, unknown to Python before."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [f"other_{tmp_path.name}", f"mine_{tmp_path.name}"]
    (tmp_path / f"{names[0]}.py").write_text(OTHER)

    def write(text: str) -> str:
        (tmp_path / f"{names[1]}.py").write_text((HEAD + text).replace("other", names[0]))
        return names[1]

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("case", TOLD)
def test_an_outline_is_what_importing_gives(module: Callable[[str], str], case: str) -> None:
    name = module(TOLD[case])
    found = outline(name, "Mine")
    assert name not in sys.modules
    if case == "a module that fails":
        assert described(found) == (["One."], ["a"], [])
    else:
        assert described(found) == described(importlib.import_module(name).Mine)


@pytest.mark.parametrize("case", UNTOLD)
def test_what_the_source_does_not_tell_is_refused(module: Callable[[str], str], case: str) -> None:
    name = module(UNTOLD[case])
    with pytest.raises(Uncertain):
        outline(name, "Mine")
    assert name not in sys.modules


def test_a_package_that_moves_its_modules_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "moving_package"
    (package / "real").mkdir(parents=True)
    (package / "__init__.py").write_text("__path__ = [__path__[0] + '/real']\n")
    (package / "part.py").write_text("class Mine:\n    'Wrong.'\n")
    (package / "real" / "part.py").write_text("class Mine:\n    'Right.'\n")
    with pytest.raises(Uncertain):
        outline("moving_package.part", "Mine")


def test_the_list_imports_no_plugin_and_equals_what_importing_gives() -> None:
    """Every registered object of every kind, compared with the object itself."""
    program = "import atexit, sys; sys.argv = ['attrib', 'list', '--json']\n"
    program += "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\nfrom attrib.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    homes = {registry._entries(kind)[name].module for kind in registry.KINDS for name in registry._entries(kind)}
    assert not {"torch", "transformers", "pandas", "scipy", *homes} & set(done.stderr.split())
    listed = json.loads(done.stdout)
    assert set(listed) == set(registry.KINDS)
    for kind in registry.KINDS:
        for entry in listed[kind]:
            first, parameters, needs = described(registry.get(kind, entry["name"]))
            assert ([entry["description"]], entry["parameters"], entry["needs"]) == (first, parameters, needs)
