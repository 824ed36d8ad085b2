"""A recogniser's encoder as a loss: read from a file, and pulling a signal towards another."""

import struct

import numpy as np
import pytest
import torch

from dacse_cli.errors import CheckpointError
from dacse_cli.training.hearing import Hearing

WIDTH, LAYERS = 64, 2


def tensors():
    rng = np.random.default_rng(0)

    def drawn(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float16)

    found = {"conv1/weight": drawn(WIDTH, 80, 3), "conv1/bias": drawn(WIDTH)}
    found |= {"conv2/weight": drawn(WIDTH, WIDTH, 3), "conv2/bias": drawn(WIDTH)}
    found["position_encodings/encodings"] = drawn(1500, WIDTH)
    for n in range(LAYERS):
        at, ff = f"layer_{n}/self_attention/", f"layer_{n}/ffn/"
        sizes = {at + "linear_0": (3 * WIDTH, WIDTH), at + "linear_1": (WIDTH, WIDTH)}
        sizes |= {ff + "linear_0": (128, WIDTH), ff + "linear_1": (WIDTH, 128)}
        for name, (rows, columns) in sizes.items():
            found |= {f"{name}/weight": drawn(rows, columns), f"{name}/bias": drawn(rows)}
        for name in (at, ff):
            found |= {f"{name}layer_norm/gamma": drawn(WIDTH) + 1, f"{name}layer_norm/beta": drawn(WIDTH)}
    return found | {"layer_norm/gamma": drawn(WIDTH) + 1, "layer_norm/beta": drawn(WIDTH)}


def text(name):
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def write(folder, version=6):
    found = tensors()
    body = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(found) + 1)
    body += text("decoder/x") + struct.pack("<BBI", 0, 1, 1) + b"\1"
    for name, array in found.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        body += text("encoder/" + name) + shape + struct.pack("<BI", 4, array.nbytes) + array.tobytes()
    (folder / "model.bin").write_bytes(body)
    return folder


def test_its_gradient_leads_to_what_is_meant(tmp_path):
    hearing = Hearing(write(tmp_path))
    torch.manual_seed(0)
    meant = 0.1 * torch.randn(2, 3200)
    assert hearing.distance(meant, meant) == 0
    heard = (0.1 * torch.randn(2, 3200)).requires_grad_()
    optimizer, first = torch.optim.Adam([heard], 3e-3), float(hearing.distance(heard, meant))
    for _ in range(30):
        optimizer.zero_grad()
        distance = hearing.distance(heard, meant)
        distance.backward()
        optimizer.step()
    assert float(hearing.distance(heard, meant)) < 0.9 * first


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="version 5"):
        Hearing(write(tmp_path, version=5))
    (tmp_path / "model.bin").write_bytes((write(tmp_path) / "model.bin").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="no CTranslate2 model"):
        Hearing(tmp_path)
