"""An empty cache, a Hub on this machine, and no way to any other."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_hub import TOKEN, FakeHub, serve
from safetensors.numpy import save

from dacse_cli.hub.fetch import client


@pytest.fixture
def weights() -> bytes:
    """A real safetensors file of 400 kB: several network reads, so that cuts and Range mean something."""
    return save({"w": np.random.default_rng(0).normal(size=100_000).astype(np.float32)})


@pytest.fixture
def model_tree(weights: bytes) -> dict[str, bytes]:
    """A model repository with things in it that must not be fetched."""
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": b"# a model",
        "config.json": json.dumps({"model_type": "llama"}).encode(),
        "generation_config.json": b"{}",
        "model.safetensors": weights,
        "modeling_evil.py": b"raise SystemExit",
        "pytorch_model.bin": b"\x80\x04evil pickle",
    }


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anywhere but 127.0.0.1 fails the test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        assert isinstance(address, tuple)
        assert address[0] == "127.0.0.1", f"connects to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub cache, returned, and dacse's own below `tmp_path`; retries follow at once."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("DACSE_CACHE", str(tmp_path / "dacse"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.005)
    return tmp_path / "hf" / "hub"


@pytest.fixture
def hub(model_tree: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A running Hub with one model."""
    with serve(FakeHub(model_tree)) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running
