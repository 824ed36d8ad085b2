"""Shared by all tests: no network beyond this machine, caches of their own, a small real model."""

import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path

# Small models on shared cores: a second thread mostly waits. Before torch is imported, and for children.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Most tests run a model that was never trained: a guard would let the input through everywhere, and nothing
# of the model's way would be tested. Tests of the guard ask for it.
os.environ.setdefault("DACSE_GUARD", "off")
# Without a GPU, kernels run in Triton's interpreter. Triton reads this once, when it is first imported,
# which any test module may do.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")))
)

import hypothesis
import pytest
from safetensors.numpy import load_file, save_file

# The clock of a busy machine proves nothing about a function. A gate must say the same of the same code
# twice: `--hypothesis-profile=default` searches anew.
hypothesis.settings.register_profile("dacse", deadline=None, derandomize=True)
hypothesis.settings.load_profile("dacse")

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
    """A real LLaMA of one small layer and a real DAC of small width at 44.1 kHz; untrained."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    folder.mkdir()
    config = json.loads((GOLDEN / "llama" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    weights = load_file(GOLDEN / "llama" / "model.safetensors")
    first = {name: weight for name, weight in weights.items() if not re.search(r"layers\.[^0]", name)}
    save_file(first, folder / "model.safetensors", {"format": "pt"})
    shutil.copytree(GOLDEN / "dac", folder / "codec")
    (folder / "dacse.json").write_text(json.dumps({"codec": "codec", "chunk_seconds": 0.25}))
    return folder


@pytest.fixture(scope="session")
def _s3_server():
    """A real S3 server on this machine; its port."""
    server_of = pytest.importorskip("moto.server", reason="needs moto[server]").ThreadedMotoServer
    pytest.importorskip("s3fs", reason="needs dacse[cloud]")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def s3(_s3_server, monkeypatch, request):
    """The URL of an empty bucket; this process and its children know the way to it."""
    import fsspec

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{_s3_server}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"b{abs(hash(request.node.nodeid)) % 10**12}"
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(name)
    return f"s3://{name}"
