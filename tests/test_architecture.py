"""The rooms and what may import what: read from the sources. The floors are in `examples/docs/rooms.py`."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples" / "docs"))
from rooms import LEVEL, MODULES, NAMES, PIPELINE, ROOT, SIDEWAYS, inner_room, module_name, own_imports, room

MAX_LINES = 300
MAX_MODULES = 12
"""Of a room, without those of the rooms inside."""
LONG: set[str] = set()
"""Modules that are still to be divided; a module that fits must leave this list."""
HEAVY = ("torch", "transformers", "librosa", "soundfile")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    """A codec that imports the pipeline, or any module that imports the command line: a knot."""
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own in ("__init__", "__main__", "models"):
        return
    for name in own_imports(path):
        if room(name) not in (own, ""):
            allowed = LEVEL[room(name)] < LEVEL[own] or (own, room(name)) in SIDEWAYS
            assert allowed, f"{own} may not import {name}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pipeline").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_inside_the_pipeline_imports_point_downwards(path):
    """The same on the floors of the pipeline. Rooms of one floor do not import each other."""
    own = inner_room(module_name(path))
    for name in own_imports(path):
        if room(name) == "pipeline" and inner_room(name) != own:
            assert PIPELINE[inner_room(name)] < PIPELINE[own], f"pipeline/{own} may not import {name}"


def test_no_module_imports_a_child():
    """They run as processes; whoever imported one would import torch with it."""
    for path in MODULES:
        assert not [name for name in own_imports(path) if name.startswith("dacse_cli.pipeline.children.")]


def test_no_circles():
    """Two modules that import each other are one module in two files."""
    graph = {name: own_imports(path, at_import=True) for name, path in NAMES.items()}
    packages = {name for name, path in NAMES.items() if path.name == "__init__.py"}
    while leaves := {name for name, below in graph.items() if not below - packages}:
        graph = {name: below - leaves for name, below in graph.items() if name not in leaves}
    assert not graph, f"in a circle, or above one: {sorted(graph)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_short(path):
    lines = len(path.read_text().splitlines())
    assert (lines > MAX_LINES) == (path.relative_to(ROOT).as_posix() in LONG), f"{lines} lines"


def test_rooms_are_small():
    """More than a dozen files in a row are read by nobody: such a room wants rooms inside."""
    folders = Counter(path.parent for path in MODULES if path.name != "__init__.py" and path.parent != ROOT)
    wide = {str(folder.relative_to(ROOT)): many for folder, many in folders.items() if many > MAX_MODULES}
    assert not wide, f"more than {MAX_MODULES} modules: {wide}"


PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py" and path.parent != ROOT)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_docstring_of_a_package_lists_its_modules(folder):
    """All of them, and none that is not there. Metrics are one module each and need no list."""
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    inside = modules | {path.parent.name for path in folder.glob("*/*.py")}
    listed = re.findall(r"^ *([a-z_]+(?:, [a-z_]+)*)/? {2,}\S", text, flags=re.MULTILINE)
    listed += re.findall(r"; {2,}([a-z_]+(?:, [a-z_]+)*)/?:? ", text)
    assert {name for names in listed for name in names.split(", ")} <= inside
    if folder.relative_to(ROOT).as_posix() != "evaluation/metrics":
        assert {name for name in inside if not re.search(rf"\b{name}\b", text)} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_rooms_without_a_name_and_no_pickles(path):
    assert path.stem not in ("utils", "helpers", "common", "misc")
    source = path.read_text()
    assert "torch.load(" not in source
    assert not re.search(r"\bpickle\.(load|loads|Unpickler|_Unpickler)\b", source)
    assert "trust_remote_code=True" not in source
    assert not re.search(r"np\.load\([^)]*allow_pickle=True", source)


@pytest.mark.parametrize(
    "statement",
    [
        "import dacse_cli",
        "import dacse_cli.cli.app",
        "import dacse_cli.pipeline.run.run, dacse_cli.cli.batch.launch",
    ],
)
def test_the_supervisor_loads_no_heavy_library(statement):
    """A parent that holds torch dies with it, and makes `--help` take seconds."""
    code = f"{statement}; import sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)


def test_public_names():
    """Three names are public; more is a decision, not an accident."""
    import dacse_cli

    assert dacse_cli.__all__ == ["DacseError", "Enhanced", "Enhancer"]
    assert all(hasattr(dacse_cli, name) for name in dacse_cli.__all__)
    assert (ROOT / "py.typed").exists()
