"""Outline of a registered class, read from its source without running it: docstring, dataclass fields and `needs`.

The outline is a real class with the bases, annotated names and `needs` of the source, so that Python's own rules of
inheritance and of dataclasses hold. Where the source does not tell for certain, `Uncertain` is raised.
"""

from __future__ import annotations

import ast
import sys
from abc import ABCMeta
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.abc import InspectLoader
from itertools import accumulate
from types import new_class
from typing import Any, ClassVar

import attrib

READ = {"needs", "__doc__"}
CHANGING = {"setattr", "delattr", "exec", "eval", "globals"}  # calls that can change a class after its statement
MARKERS = {"ClassVar", "InitVar", "KW_ONLY"}  # annotations that are no ordinary field's


class Uncertain(Exception):
    """The source alone does not tell what importing would."""


def outline(module: str, name: str) -> Any:
    """Return the outline of a class or of a function; the object itself where its module is imported already.

    Raises Uncertain.
    """
    if module in sys.modules and name in vars(sys.modules[module]):
        return vars(sys.modules[module])[name]
    if module == "attrib" and name in attrib._HOME_OF:
        return outline(attrib._HOME_OF[name], attrib._RENAMED.get(name, name))
    return _outlined(module, name)


@cache
def _outlined(module: str, name: str) -> type:
    statement = _binding(module, name)
    match statement:
        case ast.ClassDef():
            return _class(module, statement)
        case ast.FunctionDef(decorator_list=[]):
            return type(name, (), {"__doc__": ast.get_docstring(statement, clean=False)})
        case ast.ImportFrom(module=str(home), level=0):
            return outline(home, _original(statement, name))
    raise Uncertain(f"{module}.{name}")


def _class(module: str, node: ast.ClassDef) -> type:
    """Rebuild a class from its statement."""
    bases = [outline(module, base.id) if isinstance(base, ast.Name) else None for base in node.bases]
    options = [_dataclass_options(module, each) for each in node.decorator_list]
    body: dict[str, Any] = {"__doc__": ast.get_docstring(node, clean=False), "__annotations__": {}}
    written = bool(body["__doc__"]) or not options  # else `dataclass` writes it
    if node.keywords or not written or not all(map(_is_plain, bases)):
        raise Uncertain(f"{module}.{node.name}")
    for statement in node.body:
        _add(module, statement, body)
    try:
        made = new_class(node.name, tuple(bases), exec_body=lambda names: names.update(body))
        return dataclass(**options[0])(made) if options else made
    except (TypeError, ValueError, IndexError) as error:
        raise Uncertain(f"{module}.{node.name}") from error


def _is_plain(base: Any) -> bool:
    """Tell whether `base` is a class that runs no code of its own when it is derived from."""
    return type(base) in (type, ABCMeta) and not any("__init_subclass__" in vars(each) for each in base.__mro__[:-1])


def _dataclass_options(module: str, node: ast.expr) -> dict[str, Any]:
    """Arguments of the decorator `dataclass`. Raises Uncertain for any other decorator."""
    name, keywords = (node.func, node.keywords) if isinstance(node, ast.Call) else (node, [])
    statement = _binding(module, "dataclass")
    standard = isinstance(statement, ast.ImportFrom) and statement.module == "dataclasses"
    if not standard or ast.unparse(name) != "dataclass" or (isinstance(node, ast.Call) and node.args):
        raise Uncertain(ast.unparse(node))
    return {str(each.arg): _literal(each.value) for each in keywords}


def _add(module: str, statement: ast.stmt, body: dict[str, Any]) -> None:
    """Add to `body` what a statement of a class binds, as far as an outline has it."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
            word = ast.unparse(annotation.value if isinstance(annotation, ast.Subscript) else annotation)
            own = word == "ClassVar"
            if not own and (name in READ or isinstance(annotation, ast.Constant) or word.split(".")[-1] in MARKERS):
                raise Uncertain(ast.unparse(statement))
            body["__annotations__"][name] = ClassVar[object] if own else object
            if not own:
                body[name] = None  # in place of a default
            elif name in READ and value:
                body[name] = _strings(module, value)
        case ast.Assign(targets=[ast.Name(id="needs")], value=value):
            body["needs"] = _strings(module, value)
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if name not in {*READ, "__init_subclass__"}:
            pass
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            pass
        case ast.Assign() if not READ & set(_bound(statement)):
            pass
        case _:
            raise Uncertain(ast.unparse(statement))


def _strings(module: str, node: ast.expr) -> frozenset[str]:
    """Evaluate a set of strings, written out or as a name's value."""
    match node:
        case ast.Name(id=name):
            match _binding(module, name):
                case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value):
                    return _strings(module, value)
                case ast.ImportFrom(module=str(home), level=0) as statement:
                    return _strings(home, ast.Name(_original(statement, name)))
        case ast.Call(func=ast.Name(id="frozenset"), args=[], keywords=[]):
            return frozenset()
        case ast.Call(func=ast.Name(id="frozenset"), args=[value], keywords=[]):
            return frozenset(_literal(value))
    return frozenset(_literal(node))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise Uncertain(ast.unparse(node)) from None


def _original(statement: ast.ImportFrom, name: str) -> str:
    return next(each.name for each in statement.names if name == (each.asname or each.name))


def _binding(module: str, name: str) -> ast.stmt:
    """Return the one statement at the top of a module that binds a name. Raises Uncertain for none or several."""
    found = _bindings(module).get(name, ())
    if len(found) != 1:
        raise Uncertain(f"{module}.{name}")
    return found[0]


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield every name that is bound within a statement, in whatever scope."""
    for each in ast.walk(node):
        match each:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name


@cache
def _bindings(module: str) -> Mapping[str, list[ast.stmt]]:
    """Statements at the top of a module by the names they bind.

    Raises Uncertain where classes may be changed after their statements.
    """
    try:
        tree = ast.parse(_source(module))
    except (SyntaxError, ValueError, ImportError) as error:
        raise Uncertain(module) from error
    if any(map(_may_change, ast.walk(tree))):
        raise Uncertain(module)
    found = defaultdict(list)
    for statement in tree.body:
        for name in set(_bound(statement)):
            found[name].append(statement)
    return found


def _may_change(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
            return name in READ
        case ast.Call(func=ast.Name(id=name), args=given):
            return name in CHANGING and not (given and ast.unparse(given[0]).startswith("self."))
        case ast.alias(name=name, asname=other):
            return name == "*" or (name in MARKERS and other is not None)
    return False


def _source(module: str) -> str:
    """Read a module's source; neither it nor its packages are imported. Raises Uncertain and ImportError."""
    path, source = None, None
    for name in accumulate(module.split("."), "{}.{}".format):
        package = sys.modules.get(name)
        specs = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = package.__spec__ if package else next(filter(None, specs), None)
        if spec is None or not isinstance(spec.loader, InspectLoader):
            raise Uncertain(name)
        source = spec.loader.get_source(name)
        if source is None or (name != module and not package and "__path__" in source):
            raise Uncertain(name)
        path = getattr(package, "__path__", spec.submodule_search_locations)
    return str(source)
