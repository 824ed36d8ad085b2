"""Token files go round, and hostile ones end in one kind of error."""

import contextlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from dacse_cli.errors import InputError
from dacse_cli.tokens.files import TOKEN_FORMATS, TokenFile, dump, load

CODES = np.random.default_rng(0).integers(0, 1024, (2, 9, 40)).astype(np.int16)
TOKENS = TokenFile(CODES, "descript/dac_44khz", 44100, 512, 1024, 48000, 22280, "speech.wav")


@pytest.mark.parametrize("form", ["safetensors", "npz"])
def test_all_fields_come_back(form):
    back = load(dump(TOKENS, form), form)
    assert (back.codes == CODES).all()
    assert back.codes.dtype == np.int16
    assert back.metadata() == TOKENS.metadata()


def test_text_holds_one_channel():
    back = load(dump(TOKENS.with_codes(CODES[:1]), "txt"), "txt")
    assert (back.codes == CODES[:1]).all()
    assert back.codec == ""


def altered(**changes):
    return save({"codes": CODES}, metadata={**TOKENS.metadata(), **changes})


def npz(**members):
    out = io.BytesIO()
    np.savez(out, **members)
    return out.getvalue()


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.npy", b"\0" * 50_000_000)
        archive.writestr("metadata.npy", b"")
    return out.getvalue()


def header_claims_more():
    return npz(codes=CODES, metadata=np.array("{}")).replace(b"(2, 9, 40)", b"(2, 9, 4e9)"[:10])


HOSTILE = {
    "endless": (
        npz(codes=CODES, metadata=np.array(json.dumps({**TOKENS.metadata(), "original_length": np.inf}))),
        "npz",
    ),
    "empty": (b"", "safetensors"),
    "text": (b"hello", "safetensors"),
    "cut": (dump(TOKENS, "safetensors")[:-10], "safetensors"),
    "header of 2**60 bytes": (b"\xff" * 8 + b"{}", "safetensors"),
    "other tensors": (save({"weights": CODES}, metadata=TOKENS.metadata()), "safetensors"),
    "no metadata": (save({"codes": CODES}), "safetensors"),
    "other version": (altered(version="3"), "safetensors"),
    "number missing": (altered(hop_length="many"), "safetensors"),
    "floats": (save({"codes": CODES.astype(np.float32)}, metadata=TOKENS.metadata()), "safetensors"),
    "negative": (save({"codes": -CODES}, metadata=TOKENS.metadata()), "safetensors"),
    "code too high": (altered(codebook_size="100"), "safetensors"),
    "flat": (save({"codes": CODES[0, 0]}, metadata=TOKENS.metadata()), "safetensors"),
    "no frames": (save({"codes": CODES[:, :, :0]}, metadata=TOKENS.metadata()), "safetensors"),
    "absurd length": (altered(original_length="1000000000000"), "safetensors"),
    "absurd rate": (altered(original_sample_rate="1"), "safetensors"),
    "pickle": (pickle.dumps({"codes": CODES}), "npz"),
    "objects inside": (npz(codes=np.array([print], dtype=object), metadata=np.array("{}")), "npz"),
    "bomb": (bomb(), "npz"),
    "header claims more": (header_claims_more(), "npz"),
    "not a zip": (b"PK\x03\x04", "npz"),
    "metadata no JSON": (npz(codes=CODES, metadata=np.array("{")), "npz"),
    "metadata a list": (npz(codes=CODES, metadata=np.array(json.dumps([1]))), "npz"),
    "binary text": (b"\xff\xfe", "txt"),
}


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_way(name):
    data, form = HOSTILE[name]
    with pytest.raises(InputError) as caught:
        load(data, form)
    assert caught.value.reason == "not-tokens"
    assert "\n" not in caught.value.message


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TOKEN_FORMATS), st.data())
def test_flipped_bytes_never_raise_anything_else(form, data):
    whole = bytearray(
        dump(TOKENS.with_codes(CODES[:1, :, :4]), form) if form == "txt" else dump(TOKENS, form)
    )
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        load(bytes(whole), form)


def test_lossless_integer_types_are_taken():
    wide = save({"codes": CODES.astype(np.int64)}, metadata=TOKENS.metadata())
    assert (load(wide, "safetensors").codes == CODES).all()
