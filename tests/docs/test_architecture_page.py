"""What the architecture page says of the code is so: its names, its counts, and the way of a file."""

import ast
import os
import re
import shutil
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dacse_cli"
TEXT = (ROOT / "examples" / "docs" / "pages" / "architecture.md").read_text()
NAME = re.compile(r"`([a-z_.]+):([A-Za-z_.]+)`")
HOP = re.compile(rf"^\| (supervisor|decoder|model) \| {NAME.pattern} \|", re.MULTILINE)
FILTERED, GENERATED = (HOP.findall(part) for part in TEXT.split("With a model that generates"))
"""Process, module, function: of a file through a filter; and what a model that generates does instead."""


def source_of(module):
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("name", sorted(set(NAME.findall(TEXT))), ids=":".join)
def test_every_function_on_the_page_exists(name):
    module, function = name
    body = ast.parse(source_of(module).read_text()).body
    for part in function.split("."):
        kinds = ast.FunctionDef | ast.ClassDef
        found = [node for node in body if isinstance(node, kinds) and node.name == part]
        assert found, f"{module} has no {function}"
        body = found[0].body


@pytest.mark.parametrize("row", [row for row in TEXT.splitlines() if row.startswith("| a")])
def test_files_and_names_in_the_table_of_additions_exist(row):
    """A name in capitals stands in one of the files of its row."""
    spans = re.findall(r"`([^`]+)`", row)
    files = [PACKAGE / span for span in spans if re.fullmatch(r"[a-z_/]+(\.py|/)", span)]
    files = [file for file in files if file.parts[len(PACKAGE.parts)] != "examples"]
    assert all(file.exists() for file in files), [str(file) for file in files if not file.exists()]
    code = "".join(file.read_text() for file in files if file.suffix)
    for name in (span for span in spans if re.fullmatch(r"_?[A-Z][A-Za-z_]+", span)):
        assert name in code or name == "METRIC", name


def test_the_counts_are_those_of_the_table():
    processes = [process for process, _, _ in FILTERED]
    hops, modules = len(FILTERED), len({module for _, module, _ in FILTERED})
    crossings = sum(one != other for one, other in pairwise(processes))
    places = f"in {len(set(processes))} processes, with {crossings} crossings"
    said = f"{hops} hops through {modules} modules, {places}"
    assert said in " ".join(TEXT.split())


TRACER = """
import os, sys, threading
if pipe := os.environ.get("TRACE_TO"):
    out, root, seen = os.open(pipe, os.O_WRONLY), os.environ["TRACE_BELOW"], set()
    def note(frame, event, arg):
        code = frame.f_code
        if event == "call" and code not in seen and code.co_filename.startswith(root):
            seen.add(code)
            line = f"{os.getpid()} {code.co_filename[len(root):]} {code.co_qualname} {code.co_name}"
            os.write(out, line.encode() + b"\\n")
    sys.setprofile(note)
    threading.setprofile(note)
"""
"""Tells of every function of dacse when it is first called, through a pipe: a decoder may write no file."""


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 11), reason="older code objects do not know their class")
@pytest.mark.parametrize("method", ["mask", "generate"])
def test_the_path_of_a_file_is_the_one_on_the_page(tmp_path, method):
    """Every hop is called in the process where the page has it; nothing else decodes the input."""
    (tmp_path / "in").mkdir()
    shutil.copy(ROOT / "examples" / "noisy" / "telephone.wav", tmp_path / "in" / "talk.wav")
    (tmp_path / "sitecustomize.py").write_text(TRACER)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = []

    def listen():
        with pipe.open() as file:
            lines.extend(line.split() for line in file)

    listener = threading.Thread(target=listen)
    listener.start()
    command = [
        sys.executable,
        "-m",
        "dacse_cli",
        "enhance",
        "in/",
        "out/",
        "--model",
        "nano",
        "--method",
        method,
    ]
    tracing = {
        "TRACE_TO": str(pipe),
        "TRACE_BELOW": f"{PACKAGE}/",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]),
        "DACSE_GUARD": "normal",
    }
    subprocess.run(command, cwd=tmp_path, env=os.environ | tracing, check=True, capture_output=True)
    listener.join()
    called = {}
    for process, file, name, short in lines:
        module = file.removesuffix(".py").replace("/", ".")
        called.setdefault(process, set()).update({(module, name), (module, name.removesuffix(f".{short}"))})
    assert len(called) == 3
    starts = {
        "supervisor": ("cli.app", "main"),
        "decoder": ("pipeline.children.decoder", "handle"),
        "model": ("pipeline.children.model", "handle"),
    }
    who = {name: next(c for c in called.values() if start in c) for name, start in starts.items()}
    filters = ("FilterAudio.chunks", "MaskStream.push")
    others = [hop for hop in FILTERED if hop[2] not in filters]
    hops = FILTERED if method == "mask" else others + GENERATED
    missing = [hop for hop in hops if (hop[1], hop[2]) not in who[hop[0]]]
    assert missing == []
    decoding = {process for process, names in who.items() if ("audio.read", "AudioReader.read") in names}
    assert decoding == {"decoder", "model"}
