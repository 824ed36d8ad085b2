"""Shared by all tests: no network beyond this machine, caches of their own, a small real model."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

# Small models on shared cores: a second thread mostly waits. Before torch is imported, and for children.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")))
)

import pytest

GOLDEN = Path(__file__).parent / "golden"
CODE_RUNS = {
    "os.exec",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
}
_heard: list[str] = []
sys.addaudithook(lambda event, args: _heard.append(f"{event} {args}") if event in CODE_RUNS else None)


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's caches."""
    monkeypatch.setenv("DACSE_CACHE", str(tmp_path_factory.getbasetemp() / "dacse-cache"))


@pytest.fixture(autouse=True)
def _no_network(request, monkeypatch):
    """Only this machine can be reached, unless a test is marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def local_only(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise OSError(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture
def _nothing_runs():
    """What the interpreter itself reports: no class is unpickled, no program started, no connection made."""
    _heard.clear()
    yield
    assert _heard == []


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A real LLaMA of three small layers and a real DAC of small width at 44.1 kHz; untrained."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    shutil.copytree(GOLDEN / "llama", folder)
    shutil.copytree(GOLDEN / "dac", folder / "codec")
    (folder / "dacse.json").write_text(json.dumps({"codec": "codec", "chunk_seconds": 0.25}))
    return folder
