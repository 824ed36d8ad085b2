"""Descript's weights files: the same codes as its network, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dacse_cli.codec.descript.container import DacFile, read_dac, write_dac
from dacse_cli.codec.descript.weights import descript_shape, load_descript
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CodecError
from tests.codec.descript_model import lively_model


@pytest.fixture(scope="module")
def dac():
    """Descript's package, or a skip that says why it cannot be had."""
    try:
        import dac
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"Descript's package (pip install descript-audio-codec) cannot be imported: {error}")
    return dac


def check_codec(codec, model, samples):
    """Codes equal, sound close, to one pass of Descript's network."""
    with torch.no_grad():
        expected = model.encode(torch.from_numpy(samples)[:, None])
    expected = expected[1] if isinstance(expected, tuple) else expected
    codes = codec.encode(samples, 0.05)
    np.testing.assert_array_equal(codes, expected.numpy())
    assert all(len(np.unique(codes[:, k])) > 5 for k in range(codes.shape[1]))
    return codes


@pytest.mark.parametrize("rates", [[2, 4], [2, 4, 5]])
def test_codes_are_those_of_descripts_network(tmp_path, make_noise, rates):
    """A name mapped to the wrong layer, or weights folded over the wrong axis: files are not exchangeable."""
    model = lively_model(rates)
    path = tmp_path / "weights.pth"
    model.save(path)
    codec = load_codec(path)
    assert (codec.spec.name, codec.spec.sample_rate) == ("weights", 16000)
    codes = check_codec(codec, model, make_noise(2, 160 * codec.spec.hop_length))
    made = codes.shape[2] * codec.spec.hop_length - codec.spec.decode_tail
    sound = model.decode(torch.from_numpy(codes.astype(np.int64))).numpy()
    np.testing.assert_allclose(codec.decode(codes, 0.05)[:, :made], sound, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rates", [[2, 4], [2, 4, 5]])
def test_codes_are_those_of_descripts_package(dac, tmp_path, make_noise, rates):
    """The same with the package itself, where it can be had."""
    ours = lively_model(rates)
    model = dac.DAC(**{key: value for key, value in ours.kwargs.items() if key != "quantizer_dropout"})
    model.load_state_dict(ours.state_dict())
    path = tmp_path / "weights.pth"
    model.eval().save(path, package=False)
    codec = load_descript(path)
    check_codec(codec, model, make_noise(1, 160 * codec.spec.hop_length))


def test_container_is_exchanged_with_the_package(dac, tmp_path):
    """Descript reads what is written here, and the other way round."""
    codes = np.random.default_rng(0).integers(0, 64, (1, 3, 40)).astype(np.int16)
    file = DacFile(codes, (-20.0,), 300, 16000, 40, True)
    path = tmp_path / "x.dac"
    path.write_bytes(write_dac(file))
    theirs = dac.DACFile.load(path)
    np.testing.assert_array_equal(theirs.codes.numpy(), codes)
    facts = (theirs.original_length, theirs.sample_rate, theirs.padding, theirs.channels)
    assert facts == (300, 16000, True, 1)
    theirs.input_db = torch.from_numpy(theirs.input_db)
    again = read_dac(theirs.save(tmp_path / "y.dac").read_bytes())
    np.testing.assert_array_equal(again.codes, codes)
    assert again.input_db == (-20.0,)


def altered(change):
    def write(path):
        model = lively_model([2, 4])
        content = {"state_dict": model.state_dict(), "metadata": {"kwargs": dict(model.kwargs)}}
        change(content)
        torch.save(content, path)

    return write


def lack(content):
    del content["state_dict"]["encoder.block.0.bias"]


def poison(content):
    content["state_dict"]["encoder.block.0.bias"][1] = float("nan")


def scalar_gain(content):
    content["state_dict"]["encoder.block.0.weight_g"] = torch.tensor(1.0)


def integers(content):
    content["state_dict"]["encoder.block.0.bias"] = torch.zeros(4, dtype=torch.int64)


def more(content):
    content["state_dict"]["extra"] = torch.zeros(1)


def text(content):
    content["state_dict"]["encoder.block.0.bias"] = "bias"


def other_model(content):
    content["state_dict"] = torch.nn.Linear(3, 4).state_dict()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lack, r"lacks encoder\.conv1\.bias"),
        (poison, r"encoder\.conv1\.bias holds NaN"),
        (scalar_gain, r"encoder\.conv1\.weight_g of shape \[\] does not fit"),
        (integers, r"encoder\.conv1\.bias is I64"),
        (more, "unexpected extra"),
        (text, "more than tensors"),
        (other_model, "lacks"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, says):
    """Descript's own loader takes missing weights as random ones (`strict=False`)."""
    path = tmp_path / "weights.pth"
    altered(change)(path)
    with pytest.raises(CodecError, match=says):
        load_descript(path)


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_weights_files_run_no_code(tmp_path):
    """`dac.DAC.load` opens the file as a `torch.package` first, which imports what lies in it."""
    path = tmp_path / "weights.pth"
    for stored in (Evil(), {"state_dict": Evil(), "metadata": {}}, {"state_dict": {}}, [1]):
        torch.save(stored, path)
        with pytest.raises(CodecError):
            load_descript(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(CodecError):
        load_descript(path)


@pytest.mark.parametrize(
    "kwargs", [None, {}, {"encoder_rates": 3}, {"encoder_rates": [2, 4], "decoder_rates": [2, 4]}]
)
def test_strange_arguments_are_refused(kwargs):
    """The file's own arguments build the network; they are checked like a config."""
    if kwargs:
        kwargs = lively_model([2, 4]).kwargs | kwargs
    with pytest.raises(CodecError):
        descript_shape(kwargs)
