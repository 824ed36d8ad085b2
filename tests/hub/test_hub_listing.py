"""What `dacse models` says of a cache, without reading weights."""

import json
import subprocess
import sys

import pytest

from dacse_cli.config import DEFAULT_CODEC, DEFAULT_MODEL
from dacse_cli.hub.listing import list_models

COMMIT = "a" * 40


def put(cache, name, config, weights=b"1234", ref="main"):
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True, exist_ok=True)
    (snapshot / "config.json").write_text(config)
    if weights is not None:
        (snapshot / "model.safetensors").write_bytes(weights)
    (folder / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
    (folder / "refs" / ref).write_text(COMMIT)


def test_built_in_cached_incomplete_and_known(tmp_path):
    put(tmp_path, DEFAULT_MODEL, '{"model_type": "llama"}')
    put(tmp_path, "me/other", '{"model_type": "llama"}', ref="pr/1")
    put(tmp_path, "me/half", '{"model_type": "dac"}', weights=None)
    put(tmp_path, "me/bert", '{"model_type": "bert"}')
    put(tmp_path, "me/damaged", "no json")
    found = {entry.name: entry for entry in list_models(tmp_path)}
    assert found["nano"].state == "built-in"
    assert found["nano"].licence == "CC-BY-SA-4.0"
    assert found["nano"].bytes > 20e6
    assert (found[DEFAULT_MODEL].state, found[DEFAULT_MODEL].revision) == ("cached", COMMIT)
    assert found[DEFAULT_MODEL].bytes == len('{"model_type": "llama"}') + 4
    assert found["me/other@pr/1"].state == "cached"
    assert (found["me/half"].kind, found["me/half"].state) == ("codec", "incomplete")
    assert found[DEFAULT_CODEC].state == "known"
    assert not {"me/bert", "me/damaged"} & set(found)


def test_no_cache_at_all(tmp_path):
    assert [entry.state for entry in list_models(tmp_path / "none")] == [
        "built-in",
        "known",
        "known",
        "known",
    ]


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_the_command(tmp_path, monkeypatch, option):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    result = subprocess.run(
        [sys.executable, "-m", "dacse_cli", "models", *option], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0
    assert "nano" in result.stdout
    if option:
        assert json.loads(result.stdout.splitlines()[0])["state"] == "built-in"
