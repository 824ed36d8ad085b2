"""`torch.save` files without unpickling: what torch wrote comes back, all else is refused."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import time
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import parametrizations

from dacse_cli.errors import CodecError
from dacse_cli.weights.loading import load_tensors
from dacse_cli.weights.pickles import MAX_OPCODES, PickleError, read_pickle
from dacse_cli.weights.torch_file import TorchFile, TorchTensor


def saved(path, content, **options):
    torch.save(content, path, **options)
    return TorchFile(path, CodecError)


def refused(path, says):
    with pytest.raises(CodecError, match=says) as caught:
        TorchFile(path, CodecError)
    assert len(caught.value.message) < 300 + len(str(path))


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool],
)
def test_tensors_come_back(tmp_path, dtype):
    """Views, transposed and shared storages, empty tensors, tensors of no axis."""
    base = torch.randn(4, 6, 5).to(dtype)
    content = {
        "a": base,
        "b": base[1:3, :, 2],
        "c": base.transpose(0, 2),
        "d": base[2, 3, 1],
        "e": base[:, :0],
    }
    file = saved(tmp_path / "x.pt", content)
    read = file.read(file.content, file.content)
    for name, tensor in content.items():
        assert read[name].dtype == dtype
        assert torch.equal(read[name], tensor)


def test_a_state_dict_with_its_metadata(tmp_path):
    """A module's state dict is an OrderedDict with an attribute; parameters may be saved as such."""
    conv = parametrizations.weight_norm(torch.nn.Conv1d(3, 4, 5))
    module = torch.nn.ModuleDict({"conv": conv})
    file = saved(
        tmp_path / "x.pt", {"generator": module.state_dict(), "steps": 7, "rates": [2, 4], "x": None}
    )
    assert (file.content["steps"], file.content["rates"], file.content["x"]) == (7, [2, 4], None)
    found = file.content["generator"]
    weights = load_tensors(
        found,
        lambda names: file.read(found, names),
        {"conv.weight": (4, 3, 5), "conv.bias": (4,)},
        CodecError,
    )
    torch.testing.assert_close(weights["conv.weight"], conv.weight.detach())
    parameter = saved(tmp_path / "y.pt", collections.OrderedDict(p=conv.bias)).content["p"]
    assert isinstance(parameter, TorchTensor)


class Evil:
    def __reduce__(self):
        return os.system, ("exit 7",)


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize(
    "content", [Evil(), {"a": Evil()}, [torch.zeros(1), Evil()], print, torch.nn.Linear(1, 1)]
)
def test_code_is_refused(tmp_path, content):
    path = tmp_path / "x.pt"
    torch.save(content, path)
    refused(path, "it names")


def test_other_kinds_of_files_are_refused(tmp_path):
    """Cut short, empty, older than torch 1.6, a zip of something else, a pickle, compressed, a pipe."""
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for data in (whole[:-100], whole[: len(whole) // 2], b"", b"PK\x05\x06", pickle.dumps({})):
        path.write_bytes(data)
        refused(path, "is not a whole torch file")
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    refused(path, "is not a whole torch file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "x")
    refused(path, r"no data\.pkl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * 10_000_000)
    refused(path, "compressed")
    path.unlink()
    refused(path, "missing")
    os.mkfifo(path)
    refused(path, "not a regular file")


def test_a_directory_of_a_million_members_is_not_read(tmp_path):
    """`zipfile` makes an object of every entry before anybody can say stop."""
    path = tmp_path / "x.pt"
    entry = b"PK\x01\x02" + bytes(42)
    size = 300_000 * len(entry)
    end = b"PK\x05\x06" + bytes(8) + size.to_bytes(4, "little") + bytes(6)
    path.write_bytes(entry * 300_000 + end)
    started = time.monotonic()
    refused(path, "its directory has")
    assert time.monotonic() - started < 1


def test_damage_inside_a_storage_is_found(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"a": torch.ones(1000)}, path)
    data = bytearray(path.read_bytes())
    data[data.index(b"\0\0\x80\x3f" * 20) + 2] ^= 1
    path.write_bytes(data)
    file = TorchFile(path, CodecError)
    with pytest.raises(CodecError, match="a cannot be read"):
        file.read(file.content, ["a"])


def rewritten(path, change):
    """The file with its pickle changed."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (b"K\x07K\x0b", b"K\x07K\xff", "reaches beyond its storage"),
        (b"K\x07K\x0b", b"K\x07J\xff\xff\xff\x7f", "reaches beyond its storage"),
        (b"K\x07K\x0b", b"K\x07J\xff\xff\xff\xff", "impossible shape"),
        (b"K\x07K\x0b", b"K\x07N", "impossible shape"),
        (b"K\x0bK\x01", b"K\x00K\x00", "more than once"),
        (b"FloatStorage", b"OddStorage", "names"),
    ],
)
def test_false_shapes_are_refused(tmp_path, before, after, says):
    """A tensor larger than what is stored would show memory of the process, or take all of it."""
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(7, 11)}, path)
    rewritten(path, lambda data: data.replace(before, after))
    refused(path, says)


def test_deeply_nested_values_are_refused(tmp_path):
    """A list that holds a list twice, 60 levels deep, is a few hundred bytes and 2**60 values."""
    value = []
    for _ in range(60):
        value = [value, value]
    path = tmp_path / "x.pt"
    started = time.process_time()
    torch.save({"a": value}, path)
    refused(path, "nests deeper")
    assert time.process_time() - started < 2


def test_pickles_are_bounded():
    """Opcodes, numbers, texts and keys."""
    for data, says in (
        (b"N0" * MAX_OPCODES, "uses POP"),
        (b"\x80\x02" + b"N" * MAX_OPCODES + b".", "opcodes"),
        (pickle.dumps(1 << 100, 2), "8 bytes"),
        (pickle.dumps("x" * 100_000, 4), "text"),
        (pickle.dumps({(1, 2): 3}, 4), "key"),
        (pickle.dumps({1.5: 3}, 4), "key"),
        (pickle.dumps(frozenset([1]), 4), "uses"),
        (pickle.dumps(bytearray(5), 5), "uses"),
        (b"\x80\x02}", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02h\x05.", "damaged"),
    ):
        with pytest.raises(PickleError, match=says):
            read_pickle(data, ())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipped_bytes_give_values_or_a_refusal(data):
    """No damage may leak another exception."""
    whole = bytearray(
        pickle.dumps({"a": [1, 2.5, ("b", None, True)], "c": b"xyz"}, data.draw(st.integers(2, 4)))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PickleError):
        read_pickle(bytes(whole[: data.draw(st.integers(0, len(whole)))]), ())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_of_a_file_give_content_or_a_refusal(tmp_path_factory, data):
    stream = io.BytesIO()
    torch.save({"a": torch.arange(6.0), "b": [1, "x"]}, stream)
    whole = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("flipped") / "x.pt"
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    with contextlib.suppress(CodecError):
        file = TorchFile(path, CodecError)
        if isinstance(file.content, dict):
            tensors = {k: v for k, v in file.content.items() if isinstance(v, TorchTensor)}
            file.read(tensors, tensors)
