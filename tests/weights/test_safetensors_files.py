"""Headers before tensors: what does not belong in a file is refused before it is read."""

from __future__ import annotations

import json
import os
import resource
import time

import pytest
import torch
from safetensors.torch import save_file

from dacse_cli.errors import CheckpointError, CodecError
from dacse_cli.weights.folder import find_weight_files, no_safetensors
from dacse_cli.weights.loading import load_folder
from dacse_cli.weights.safetensors_file import find_tensors, read_tensors

EXPECTED = {"a.weight": (3, 4), "a.bias": (3,)}


def tensors():
    return {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3)}


def sparse_file(path, entries):
    """A safetensors file of `entries` name -> (dtype, shape, bytes), whose data takes no space on disk."""
    header, at = {}, 0
    for name, (dtype, shape, size) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)


def test_an_unexpected_tensor_is_never_read(tmp_path):
    """4 KB on disk took 148 s and 10.9 GB: tensors were read before their names were looked at."""
    entries = {name: ("F32", list(shape), 4 * torch.Size(shape).numel()) for name, shape in EXPECTED.items()}
    entries["more"] = ("F32", [1 << 30], 4 << 30)
    sparse_file(tmp_path / "model.safetensors", entries)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(CodecError, match="unexpected more"):
        load_folder(tmp_path, EXPECTED, CodecError)
    assert time.monotonic() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_header_of_many_tensors_is_not_parsed(tmp_path):
    """100 MB of names become gigabytes of Python objects."""
    sparse_file(tmp_path / "model.safetensors", {f"t{n}": ("F32", [0], 0) for n in range(100_000)})
    with pytest.raises(CodecError, match="header of"):
        find_tensors(tmp_path, CodecError)


def test_tensors_come_back_as_float32(tmp_path):
    stored = tensors()
    save_file({name: tensor.bfloat16() for name, tensor in stored.items()}, tmp_path / "model.safetensors")
    loaded = load_folder(tmp_path, EXPECTED, CodecError)
    for name, tensor in stored.items():
        assert torch.equal(loaded[name], tensor.bfloat16().float())


def test_tensors_are_copies(tmp_path):
    """A mapped file that is cut short later ends the process by a signal."""
    path = tmp_path / "model.safetensors"
    stored = tensors()
    save_file(stored, path)
    read = read_tensors(find_tensors(tmp_path, CodecError), EXPECTED, CodecError)
    os.truncate(path, 0)
    assert torch.equal(read["a.weight"], stored["a.weight"])


def shard(folder, placement):
    stored = tensors()
    for file in set(placement.values()):
        own = {name: stored[name] for name, where in placement.items() if where == file and name in stored}
        save_file(own, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placement}))


def test_shards_must_contain_the_tensors_of_the_index(tmp_path):
    """A tensor placed in another shard, or in none, is a checkpoint put together from two."""
    shard(tmp_path, {"a.weight": "x.safetensors", "a.bias": "y.safetensors"})
    assert find_tensors(tmp_path, CodecError).keys() == EXPECTED.keys()
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "y.safetensors").read_bytes())
    with pytest.raises(CodecError, match=r"x.safetensors holds a\.bias, which .* places in y.safetensors"):
        find_tensors(tmp_path, CodecError)
    shard(tmp_path, {"a.weight": "x.safetensors", "a.bias": "x.safetensors", "c": "x.safetensors"})
    with pytest.raises(CodecError, match="no file holds c"):
        find_tensors(tmp_path, CodecError)


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{",
        "[" * 100_000,
        '{"weight_map": {}}',
        '{"weight_map": {"a": ["x"]}}',
        '{"weight_map": {"a": "../x.safetensors"}}',
        '{"weight_map": {"a": "x\\u0000.safetensors"}}',
        '{"weight_map": {"a": "..safetensors/x.safetensors"}}',
    ],
)
def test_invalid_indexes_are_refused(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match=r"index\.json"):
        find_weight_files(tmp_path, CheckpointError)


def test_pipes_and_pickles_are_not_read(tmp_path):
    """Opening a FIFO waits for ever; a pickle is named, never opened."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CodecError, match=r"only pytorch_model\.bin"):
        find_weight_files(tmp_path, CodecError)
    os.mkfifo(tmp_path / "model.safetensors.index.json")
    with pytest.raises(CodecError, match="not a regular file"):
        find_weight_files(tmp_path, CodecError)
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CodecError, match="not a regular file"):
        find_weight_files(tmp_path, CodecError)
    assert no_safetensors("x", []) == "x has no model.safetensors"
