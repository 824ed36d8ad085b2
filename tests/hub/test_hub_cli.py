"""From an empty cache to an enhanced file: `download` from the stand-in, then `enhance` off the network."""

import json
import os
import subprocess
import sys

import numpy as np
import soundfile
from fake_hub import REPO, FakeHub, Refusal, serve


def dacse(*args, env):
    command = [sys.executable, "-m", "dacse_cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=100)


def repository(folder):
    """A model repository with its codec in a sub-folder, as `--model org/name` finds it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".json", ".safetensors")
    }


def test_download_then_enhance_offline(tmp_path, cache, tiny_model):
    with serve(FakeHub(repository(tiny_model))) as hub:
        env = {**os.environ, "HF_ENDPOINT": hub.endpoint}
        fetched = dacse("download", REPO, "--json", env=env)
        assert fetched.returncode == 0, fetched.stderr
        kinds = {line["type"]: line for line in map(json.loads, fetched.stdout.splitlines())}
        assert set(kinds) == {"model", "codec"}
        assert "fetched model.safetensors" in fetched.stderr
        requests = len(hub.requests)

        soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(4000), 16000)
        run = dacse("enhance", tmp_path / "a.wav", tmp_path / "out", "--model", REPO, "--offline", env=env)
        assert run.returncode == 0, run.stderr
        assert soundfile.info(tmp_path / "out/a.wav").frames == 4000
        assert len(hub.requests) == requests

    checked = dacse("download", REPO, "--verify", "--offline", env=env)  # the Hub is gone by now
    assert checked.returncode == 0, checked.stderr
    codec = next(cache.rglob("codec/model.safetensors")).resolve()
    data = bytearray(codec.read_bytes())
    data[-5] ^= 1
    codec.chmod(0o644)
    codec.write_bytes(data)
    damaged = dacse("download", REPO, "--verify", "--offline", env=env)
    assert damaged.returncode == 5
    assert "Traceback" not in damaged.stderr


def test_what_the_hub_refuses_is_said_in_words(cache, tiny_model):
    hub = FakeHub(repository(tiny_model), refuse_listing=Refusal(403, "GatedRepo"))
    with serve(hub) as running:
        env = {**os.environ, "HF_ENDPOINT": running.endpoint}
        result = dacse("download", REPO, env=env)
    assert result.returncode == 5
    assert REPO in result.stderr
    assert "Traceback" not in result.stderr
    assert os.environ["HF_TOKEN"] not in result.stderr + result.stdout
