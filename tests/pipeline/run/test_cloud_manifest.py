"""Listing of very many keys: each once, in waves, in little memory."""

import itertools
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from unittest import mock

import fsspec
import pytest

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request import listing
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.store.store import Store


class EndlessS3(fsspec.AbstractFileSystem):
    """Answers the one request a listing makes, from a number of keys and no store behind it."""

    protocol = "s3"
    keys = 0

    def call_s3(self, method, Bucket, Prefix, ContinuationToken="0"):
        assert (method, Bucket, Prefix) == ("list_objects_v2", "bucket", "in/")
        start = int(ContinuationToken)
        stop = min(start + 1000, self.keys)
        names = (f"{Prefix}speaker {i // 500:05}/take {i:08}.wav" for i in range(start, stop))
        page = {"Contents": [{"Key": name, "Size": 32_044, "ETag": f'"{name[-12:]}"'} for name in names]}
        if stop < self.keys:
            page |= {"IsTruncated": True, "NextContinuationToken": str(stop)}
        return page


def list_keys(keys, folder, shard=None, wave=1000):
    """The plan for so many keys."""
    EndlessS3.keys = keys
    store = object.__new__(Store)
    store.url, store._root, store._fs = "s3://bucket/in", "bucket/in", EndlessS3()
    options = ModelOptions(), ChunkOptions(), SoundOptions()
    request = Request(Form.ENHANCE, ("s3://bucket/in",), "memory://out", *options, shard=shard)
    with (
        mock.patch.object(listing, "_entries", return_value=(store, store.entries())),
        mock.patch.dict(os.environ, {"DACSE_CACHE": str(folder)}),
    ):
        return plan(request, wave)


def names(todo):
    """The outputs below the output folder, wave by wave."""
    return [[job.target.relative_to(todo.folder).as_posix() for job in wave] for wave in todo.waves]


def test_every_key_is_in_one_wave_and_one_part(tmp_path):
    waves = names(list_keys(2500, tmp_path, wave=400))
    assert [len(wave) for wave in waves] == [400] * 6 + [100]
    whole = list(itertools.chain.from_iterable(waves))
    assert whole == [f"speaker {i // 500:05}/take {i:08}.wav" for i in range(2500)]
    parts = [names(list_keys(2500, tmp_path, Shard(i, 3))) for i in (1, 2, 3)]
    assert sorted(name for part in parts for wave in part for name in wave) == whole


def peak(keys, folder):
    """Bytes of Python objects at most while so many keys are listed and handed out."""
    tracemalloc.start()
    count = sum(len(wave) for wave in list_keys(keys, Path(folder)).waves)
    assert count == keys
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


@pytest.mark.slow
def test_memory_does_not_grow_with_the_listing(tmp_path):
    """8 bytes per key, for finding collisions, are what is held; the interpreter's table of names grows in
    steps. An object per key would be 500 bytes.

    In a process of its own, because other tests leave threads behind; and not at first, because of imports.
    """
    sizes = f"[peak(n, {str(tmp_path)!r}) for n in (12_000, 2000, 12_000)]"
    code = f"from {Path(__file__).stem} import peak; print(*{sizes})"
    here = Path(__file__).parent
    run = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    _, small, large = map(int, run.stdout.split())
    assert (large - small) / 10_000 < 240


@pytest.mark.slow
def test_a_million_keys(tmp_path):
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    waves = sum(1 for _ in list_keys(1_000_000, tmp_path, wave=10_000).waves)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\n1,000,000 keys in {time.monotonic() - began:.0f} s, {waves} waves, {grown:.0f} MB more")
    assert waves == 100
    assert grown < 100
