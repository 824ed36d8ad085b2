"""Descript's own package against the `DacModel` of the same weights, and its weights files."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from dacse_cli.codec.checkpoint import fold_weight_norm
from dacse_cli.codec.descript import DacFile, read_dac, write_dac
from dacse_cli.codec.descript_network import DescriptCodec, descript_shape
from dacse_cli.codec.model import Codec
from dacse_cli.codec.network import DacNetwork
from dacse_cli.errors import CodecError


@pytest.fixture(scope="module")
def dac():
    """Descript's package, or a skip that says why it cannot be had."""
    try:
        import dac
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"Descript's package (pip install dacse[descript]) cannot be imported: {error}")
    return dac


KWARGS = {"encoder_dim": 4, "decoder_dim": 32, "codebook_dim": 4, "n_codebooks": 3, "codebook_size": 64}


def build(dac, rates, **more):
    model = dac.DAC(encoder_rates=rates, decoder_rates=rates[::-1], sample_rate=16000, **KWARGS | more)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight_g"):
                parameter.fill_(0.7)
            elif parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            elif name.endswith("bias"):  # zero biases make silence a zero latent: all codes are as near
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
            if name.endswith("alpha"):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return model.eval()


def port_names(weights, strides):
    """Descript's names -> the port's: positions in `Sequential`s become words."""
    last, unit = len(strides) + 1, ("snake1", "conv1", "snake2", "conv2")

    def rename(name):
        if found := re.match(r"encoder\.block\.(\d+)\.block\.(\d)\.block\.(\d)\.(.*)", name):
            i, j, k, rest = found.groups()
            return f"encoder.block.{int(i) - 1}.res_unit{int(j) + 1}.{unit[int(k)]}.{rest}"
        if found := re.match(r"encoder\.block\.(\d+)\.block\.([34])\.(.*)", name):
            i, j, rest = found.groups()
            return f"encoder.block.{int(i) - 1}.{'snake1' if j == '3' else 'conv1'}.{rest}"
        if found := re.match(r"decoder\.model\.(\d+)\.block\.(\d)\.block\.(\d)\.(.*)", name):
            i, j, k, rest = found.groups()
            return f"decoder.block.{int(i) - 1}.res_unit{int(j) - 1}.{unit[int(k)]}.{rest}"
        if found := re.match(r"decoder\.model\.(\d+)\.block\.([01])\.(.*)", name):
            i, j, rest = found.groups()
            return f"decoder.block.{int(i) - 1}.{'snake1' if j == '0' else 'conv_t1'}.{rest}"
        if found := re.match(r"(encoder)\.block\.(\d+)\.(.*)|(decoder)\.model\.(\d+)\.(.*)", name):
            side, i, rest = (part for part in found.groups() if part is not None)
            word = {0: "conv1", last: "snake1", last + 1: "conv2"}[int(i)]
            return f"{side}.{word}.{rest}"
        return name

    return {rename(name): tensor for name, tensor in weights.items()}


@pytest.mark.parametrize("rates", [[2, 4], [2, 4, 5]])
def test_package_and_port_agree(dac, tmp_path, make_noise, rates):
    """The same weights must give the same codes either way, or token files are not exchangeable."""
    model = build(dac, rates)
    path = tmp_path / "weights.pth"
    model.save(path, package=False)
    codec = DescriptCodec.load(path)
    shape = descript_shape(model.metadata["kwargs"])
    weights = fold_weight_norm(port_names(model.state_dict(), rates))
    port = Codec(DacNetwork(shape, weights), shape.spec("port"))
    samples = make_noise(2, 7 * 999)

    codes = codec.encode(samples, 0.05)
    np.testing.assert_array_equal(codes, port.encode(samples))
    assert len(np.unique(codes[:, 0])) > 5
    np.testing.assert_allclose(codec.decode(codes, 0.05), port.decode(codes), rtol=0, atol=1e-5)
    with torch.no_grad():
        plain = model.encode(model.preprocess(torch.from_numpy(samples)[:, None], 16000))[1].numpy()
    np.testing.assert_array_equal(codes, plain)


def test_container_is_exchanged_with_the_package(dac, tmp_path):
    """Descript reads what is written here, and the other way round."""
    codes = np.random.default_rng(0).integers(0, 64, (1, 3, 40)).astype(np.int16)
    file = DacFile(codes, (-20.0,), 300, 16000, 40, True)
    path = tmp_path / "x.dac"
    path.write_bytes(write_dac(file))
    theirs = dac.DACFile.load(path)
    np.testing.assert_array_equal(theirs.codes.numpy(), codes)
    assert (theirs.original_length, theirs.sample_rate, theirs.padding, theirs.channels) == (
        300,
        16000,
        True,
        1,
    )
    theirs.input_db = torch.from_numpy(theirs.input_db)
    again = read_dac(theirs.save(tmp_path / "y.dac").read_bytes())
    np.testing.assert_array_equal(again.codes, codes)
    assert again.input_db == (-20.0,)


def test_weights_of_another_shape_are_refused(dac, tmp_path):
    """Descript's own loader takes missing weights as random ones (`strict=False`)."""
    model = build(dac, [2, 4])
    path = tmp_path / "weights.pth"
    model.save(path, package=False)
    stored = torch.load(path, weights_only=True)
    del stored["state_dict"]["encoder.block.0.bias"]
    torch.save(stored, path)
    with pytest.raises(CodecError, match=r"lacks encoder\.block\.0\.bias"):
        DescriptCodec.load(path)


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_weights_files_run_no_code(monkeypatch, tmp_path):
    """`dac.DAC.load` opens the file as a `torch.package` first, which imports what lies in it."""
    monkeypatch.setattr("dacse_cli.codec.descript_network._package", lambda: None)
    path = tmp_path / "weights.pth"
    for stored in (Evil(), {"state_dict": Evil(), "metadata": {}}, {"state_dict": {}}, [1]):
        torch.save(stored, path)
        with pytest.raises(CodecError):
            DescriptCodec.load(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(CodecError):
        DescriptCodec.load(path)


def test_absent_package_says_what_to_install(tmp_path, monkeypatch):
    """The extra is optional; without it there must be a next step instead of a traceback."""
    monkeypatch.setitem(__import__("sys").modules, "dac", None)
    with pytest.raises(CodecError) as caught:
        DescriptCodec.load(tmp_path / "weights.pth")
    assert "dacse[descript]" in caught.value.hint


@pytest.mark.parametrize(
    "kwargs", [{}, {"encoder_rates": 3}, {"encoder_rates": [2, 4], "decoder_rates": [2, 4]}]
)
def test_strange_arguments_are_refused(kwargs):
    """The file's own arguments build the network; they are checked like a config."""
    with pytest.raises(CodecError):
        descript_shape(kwargs)
