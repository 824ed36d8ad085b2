"""Descript's container: what numpy writes is read, what runs code is refused before it runs."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pickle
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.codec.descript.container import DacFile, read_dac, write_dac
from dacse_cli.errors import InputError


def dac_file(**changes):
    codes = np.random.default_rng(0).integers(0, 1024, (2, 9, 30)).astype(np.int16)
    values = {"codes": codes, "input_db": (-21.5, -30.0), "original_length": 15_000, "sample_rate": 48_000}
    return DacFile(**values | {"chunk_length": 30, "padding": True} | changes)


def numpy_saved(content):
    """As `DACFile.save` does it."""
    stream = io.BytesIO()
    np.save(stream, content)
    return stream.getvalue()


def content(**metadata):
    facts = {"input_db": np.zeros(1, np.float32), "original_length": 100, "sample_rate": 16000}
    facts |= {"chunk_length": 5, "channels": 1, "padding": True, "dac_version": "1.0.0"}
    return {"codes": np.zeros((1, 2, 5), np.uint16), "metadata": facts | metadata}


def with_pickle(payload):
    """A numpy header announcing one object, followed by any pickle."""
    data = numpy_saved({})
    return data[: 10 + int.from_bytes(data[8:10], "little")] + payload


def refused(data):
    with pytest.raises(InputError) as caught:
        read_dac(data)
    assert caught.value.reason == "not-tokens"
    return caught.value.message


def test_round_trip():
    """A field forgotten in either direction."""
    file = dac_file()
    again = read_dac(write_dac(file))
    np.testing.assert_array_equal(again.codes, file.codes)
    assert again.codes.dtype == np.int16
    for name in ("input_db", "original_length", "sample_rate", "chunk_length", "padding"):
        assert getattr(again, name) == getattr(file, name)


def test_numpy_reads_what_is_written():
    """Descript's package reads with `numpy.load`; the types must be the ones it writes itself."""
    loaded = np.load(io.BytesIO(write_dac(dac_file())), allow_pickle=True)[()]
    assert loaded["codes"].dtype == np.uint16
    assert loaded["metadata"]["input_db"].dtype == np.float32
    assert loaded["metadata"]["channels"] == 2
    assert loaded["metadata"]["dac_version"] == "1.0.0"


@pytest.mark.parametrize(
    "codes", [np.arange(12, dtype=">u2").reshape(1, 3, 4), np.arange(24).reshape(2, 3, 4).T]
)
def test_byte_order_and_memory_order(codes):
    """Files of another machine, or of codes that were transposed before saving."""
    np.testing.assert_array_equal(read_dac(numpy_saved(content() | {"codes": codes})).codes, codes)


def test_numpy_scalars_and_older_pickles():
    """Metadata may hold numpy integers; numpy 1 wrote protocol 3 and other module names."""
    assert read_dac(numpy_saved(content(original_length=np.int64(77)))).original_length == 77
    array = np.empty((), dtype=object)
    array[()] = content()
    payload = pickle.dumps(array, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert read_dac(with_pickle(payload)).codes.shape == (1, 2, 5)


def nested(levels):
    """A list that holds a list twice, `levels` deep: 2 ** levels values to whoever walks or prints it."""
    value = []
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize("place", ["original_length", "sample_rate", "input_db", "padding", "dac_version"])
def test_a_value_that_unfolds_without_end_is_never_printed(place):
    """540 bytes took 204 s and 1.1 GB: the refusal held the value's text."""
    started = time.process_time()
    message = refused(numpy_saved(content(**{place: nested(40)}))) if place != "padding" else ""
    refused(numpy_saved(content() | {"codes": nested(40)}))
    assert time.process_time() - started < 1
    assert len(message) < 300


@pytest.mark.parametrize(
    ("shape", "data"), [((1, 2, 5), None), ((1, 2, 5), b"\0" * 19), ((1, 2, 1 << 40), b"\0" * 20)]
)
def test_an_array_without_its_bytes_is_refused(shape, data):
    """numpy gives memory that is not cleared for data None: codes were what the process had freed."""
    array = np.zeros((1, 2, 5), np.uint16)
    reconstruct, arguments, state = array.__reduce__()

    class Pickled:
        def __reduce__(self):
            return reconstruct, arguments, (state[0], shape, state[2], state[3], data)

    content_array = np.empty((), object)
    content_array[()] = content() | {"codes": Pickled()}
    payload = pickle.dumps(content_array, 4)
    assert "do not fit its shape" in refused(with_pickle(payload))


def test_chunked_files_are_not_on_the_grid():
    """Codes of overlapping windows, fed to a token model, give rubbish of the wrong length."""
    with pytest.raises(InputError) as caught:
        dac_file(padding=False).on_grid()
    assert caught.value.reason == "off-grid"
    assert dac_file().on_grid().shape == (2, 9, 30)


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "function", [os.system, builtins.eval, builtins.getattr, np.load, np.frombuffer, np.save]
)
def test_code_is_refused_before_it_runs(function, protocol):
    """`numpy.load(allow_pickle=True)` on a file from elsewhere runs whatever it says."""
    for place in (lambda evil: evil, lambda evil: content(x=evil), lambda evil: content() | {"codes": evil}):
        evil = place(Calls(function, "exit 7"))
        assert "it names" in refused(numpy_saved(evil))
        # protocols 0 and 1 have opcodes of their own, which numpy never wrote into such a file
        assert ("it names" if protocol > 1 else "it ") in refused(with_pickle(pickle.dumps(evil, protocol)))


def test_nothing_is_imported_or_called():
    """An audit hook sees any global that is looked up, and any process that is started."""
    seen = []
    watching = True
    sys.addaudithook(
        lambda event, args: (
            seen.append(event)
            if watching and event in ("os.system", "subprocess.Popen", "import", "exec")
            else None
        )
    )
    refused(with_pickle(pickle.dumps(Calls(os.system, "true"))))
    refused(with_pickle(b"cantigravity\nfly\n."))
    watching = False
    assert not seen


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize(
    "payload",
    [
        b"cnumpy\nndarray\n(I100000000000\nt(tR.",  # an array of 100 GB
        b"I1\nr\xff\xff\xff\x7f.",  # memo index 2**31
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes of 2**63
        b"(" * 100_000,
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
        b"cnumpy.core.multiarray\n_reconstruct\n}(X\x08\x00\x00\x00__code__NuhNb.",
        b"\x80\x04\x97.",  # out-of-band buffer
        b"\x80\x04" + b"]\x94" + b"h\x00" * 50,  # no end
        b"\x80\x04\x8a\xa6" + b"\x7f" * 166 + b".",  # a number of 400 digits
        b"P1\n.",  # persistent id
        b"\x82\x01.",  # extension registry
        b"",
    ],
)
def test_hostile_pickles(payload):
    """Bombs and odd opcodes end as a refusal, not as memory gone or another exception."""
    assert refused(with_pickle(payload)).startswith("not a Descript .dac file: ")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"codes": np.zeros((2, 5), np.uint16)}, "whole numbers"),
        ({"codes": np.zeros((1, 2, 5), np.float32)}, "whole numbers"),
        ({"codes": np.full((1, 2, 5), 40000, np.uint16)}, "from 40000 to 40000"),
        ({"codes": np.zeros((1, 2, 5), object)}, "values of type"),
        ({"codes": [[1, 2]]}, "whole numbers"),
        ({"metadata": None}, "dict"),
        (content(dac_version="2.0.0"), "dac_version"),
        (content(original_length=-1), "original_length"),
        (content(sample_rate=0), "sample_rate"),
        (content(sample_rate="44100"), "sample_rate"),
        (content(input_db="loud"), "input_db"),
    ],
)
def test_content_that_is_not_codes(broken, why):
    """Well-formed files of something else."""
    assert why in refused(numpy_saved(content() | broken))


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"\x93NUMPY", b"\x93NUMPY\x01\x00\xff\xff", b"\x93NUMPY\x02\x00"]
)
def test_no_numpy_file(data):
    """Other files with the suffix, or cut ones."""
    assert "numpy header" in refused(data)
    assert "one object" in refused(numpy_saved(np.zeros(3)))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_flipped_bytes_give_a_file_or_a_refusal(data):
    """No damage may leak another exception: the batch would stop at it."""
    whole = bytearray(write_dac(dac_file(codes=np.zeros((1, 2, 3), np.int16), input_db=(1.0,))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        with contextlib.suppress(InputError):
            assert read_dac(damaged).codes.dtype == np.int16
