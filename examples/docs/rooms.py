"""The rooms of `dacse_cli` (its packages and top modules), their floors, and who imports whom.

Imports are read from the sources. `tests/test_architecture.py` holds the floors; `floorplan.py` draws them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2] / "dacse_cli"
LEVEL = {
    "cli": 4,
    "api": 3, "serve": 3,
    "pipeline": 2, "training": 2, "evaluation": 2, "report": 2,
    "filters": 1, "set": 1, "lm": 1, "codec": 1, "tokens": 1, "audio": 1, "hub": 1, "store": 1, "speech": 1,
    "config": 0, "registry": 0, "weights": 0, "files": -1, "interfaces": -1, "platform": -1,
    "errors": -2, "numeric": -2,
}  # fmt: skip
"""A room imports rooms of its own or a lower level, but those of its own level only below `SIDEWAYS`."""
SIDEWAYS = {("set", "lm"), ("lm", "tokens"), ("filters", "audio"), ("serve", "api")}
"""Rooms of one level that may import each other, in this direction."""
PIPELINE = {
    "run": 4, "children": 4,
    "engine": 3,
    "task": 2, "record": 2,
    "guard": 1, "request": 1,
    "wire": 0,
}  # fmt: skip
"""The floors of the pipeline: a room imports only rooms of a lower one."""
MODULES = sorted(ROOT.rglob("*.py"))
Graph = dict[str, set[str]]
"""A name -> the names that it imports."""


def module_name(path: Path) -> str:
    """The name under which the module at `path` is imported."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path): path for path in MODULES}


def room(module: str) -> str:
    """The package or top module that holds a module; empty for `dacse_cli` itself."""
    return _part(module, 1)


def inner_room(module: str) -> str:
    """The package or module inside its room; empty for the room's own package."""
    return _part(module, 2)


def _part(module: str, place: int) -> str:
    parts = module.split(".")
    return parts[place] if len(parts) > place else ""


def is_package(name: str) -> bool:
    """Whether a room is a package, not a single module; `name` is relative to `dacse_cli`."""
    return NAMES[f"dacse_cli.{name}"].name == "__init__.py"


def imported(path: Path, *, at_import: bool = False) -> set[str]:
    """Names of imported modules; with `at_import` only of those that importing this one imports."""
    names: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        if deferred and at_import:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        nodes.extend(ast.iter_child_nodes(node))
    return names


def own_imports(path: Path, *, at_import: bool = False) -> set[str]:
    """The same, only modules of `dacse_cli`."""
    return {name for name in imported(path, at_import=at_import) if name in NAMES} - {module_name(path)}


def between_rooms() -> Graph:
    """Who imports whom, room by room."""
    return _grouped(lambda module: room(module) if room(module) in LEVEL else "")


def inside(own: str) -> Graph:
    """Who imports whom inside a room."""
    return _grouped(lambda module: inner_room(module) if room(module) == own else "")


def _grouped(group: Callable[[str], str]) -> Graph:
    graph: Graph = {}
    for name, path in NAMES.items():
        if here := group(name):
            graph.setdefault(here, set()).update({group(other) for other in own_imports(path)} - {here, ""})
    return graph


def reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Everything that `start` imports, directly or through others."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = graph[ahead.pop()] - found
        found |= new
        ahead.extend(new)
    return found


def direct(graph: Mapping[str, set[str]]) -> Graph:
    """The graph without the imports that follow from others."""
    below = {name: reached(graph, name) for name in graph}
    return {
        name: {one for one in others if not any(one in below[other] for other in others)}
        for name, others in graph.items()
    }


def summary(own: str) -> str:
    """First line of the docstring of a room."""
    path = NAMES[f"dacse_cli.{own}"]
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
