"""A victim to be broken, the disk that breaks it, and a small tree of inputs."""

import shutil
import subprocess
import sys

import pytest
from breaking import HERE, Disk, Victim, tree


@pytest.fixture
def victim():
    victim = Victim()
    yield victim
    victim.close()


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The compiled shim."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux to make a disk that fails")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = [compiler, "-O1", "-fPIC", "-shared", "-o", library, HERE / "shim.c", "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return library


@pytest.fixture
def disk(shim, tmp_path):
    disk = Disk(shim, tmp_path / "out", tmp_path / "state")
    yield disk
    disk.victim.close()


@pytest.fixture
def inputs(tmp_path):
    """Two recordings and a token file, in two folders."""
    return tree(tmp_path / "in", 2)
