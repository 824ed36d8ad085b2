"""Token files go round, and hostile ones end in one kind of error."""

import contextlib
import io
import json
import pickle
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from dacse_cli.errors import InputError
from dacse_cli.interfaces import Codes, Latents
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.formats import dump, load
from dacse_cli.tokens.names import (
    TOKEN_FORMATS,
    has_token_suffix,
    is_token_name,
    token_form,
    token_name,
    token_stem,
)

CODES = np.random.default_rng(0).integers(0, 1024, (2, 9, 40)).astype(np.int16)
TOKENS = TokenFile(CODES, "descript/dac_44khz", 44100, 512, 1024, 48000, 22280, "speech.wav")
VALUES = np.random.default_rng(1).standard_normal((2, 80, 13)).astype(np.float32)
LATENTS = TokenFile(VALUES, "KdaiP/DC-Speech-VAE", 22050, 4096, 0, 48000, 115000, "speech.wav")


@pytest.mark.parametrize("form", ["safetensors", "npz"])
def test_all_fields_come_back(form):
    back = load(dump(TOKENS, form), form)
    assert (back.codes == CODES).all()
    assert back.codes.dtype == np.int16
    assert back.metadata() == TOKENS.metadata()


@pytest.mark.parametrize("form", ["safetensors", "npz"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_latents_come_back(form, dtype):
    """As they are: half precision stays half precision."""
    tokens = LATENTS.with_units(VALUES.astype(dtype))
    back = load(dump(tokens, form), form)
    assert back.units.dtype == dtype
    assert (back.units == tokens.units).all()
    assert back.metadata() == tokens.metadata()
    assert back.metadata()["units"] == "latents"
    assert "codebook_size" not in back.metadata()
    assert back.codebook_size == 0


def test_latents_are_not_taken_for_codes():
    """A task that needs codes must fail with words, not compute with floats."""
    with pytest.raises(InputError) as caught:
        load(dump(LATENTS, "safetensors"), "safetensors").codes  # noqa: B018
    assert caught.value.reason == "other-units"
    with pytest.raises(InputError) as caught:
        dump(LATENTS, "txt")
    assert caught.value.reason == "format"


@pytest.mark.parametrize("form", ["safetensors", "npz"])
def test_version_1_is_read_for_ever(form):
    """Files written by every dacse before: no `units`, `version` 1."""
    metadata = TOKENS.metadata() | {"version": "1"}
    del metadata["units"]
    old = save({"codes": CODES}, metadata=metadata)
    if form == "npz":
        old = npz(codes=CODES, metadata=np.array(json.dumps(metadata)))
    back = load(old, form)
    assert (back.codes == CODES).all()
    assert back.metadata() == TOKENS.metadata()


def test_names():
    """What is written must be found again, and mirrored names must lose both suffixes."""
    for latents, forms in ((False, ("safetensors", "npz", "txt", "dac")), (True, ("safetensors", "npz"))):
        for form in forms:
            name = token_name("a.b", form, latents=latents)
            assert is_token_name(name) and has_token_suffix(name)
            assert token_stem(name) == "a.b"
    assert token_name("a", "safetensors", latents=True) == "a.latents.safetensors"
    assert token_name("a", "safetensors") == "a.tokens.safetensors"
    assert token_form("A.tokens.NPZ") == "npz"
    assert not is_token_name("a.latents.txt")


def test_text_of_any_length_takes_twice_its_size(tmp_path):
    """A valid text of 100 MB took 2.6 GB: one Python object for every token."""
    codes = np.random.default_rng(0).integers(0, 1024, (1, 9, 60_000)).astype(np.int16)
    data = dump(TOKENS.with_units(codes), "txt")
    tracemalloc.start()
    back = load(data, "txt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (back.codes == codes).all()
    assert len(data) + peak < 2 * len(data) + (64 << 20)
    assert peak < 5 * len(data)  # what does not grow with the text is a piece of it


def test_text_holds_one_channel():
    back = load(dump(TOKENS.with_units(CODES[:1]), "txt"), "txt")
    assert (back.codes == CODES[:1]).all()
    # it says nothing else
    assert replace(back, units=CODES) == TokenFile(CODES, "", 0, 0, 0, 0, 0, "")


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


def says(tokens=TOKENS, **changes):
    """An npz whose metadata may hold JSON of any kind."""
    metadata = {**tokens.metadata(), **changes}
    return npz(codes=tokens.units, metadata=np.array(json.dumps(metadata)))


def zeros_of(comment):
    """A well compressed archive of an odd size when unpacked, with a comment of so many bytes; that size."""
    out = io.BytesIO()
    tokens = replace(TOKENS, units=np.zeros((1, 9, 9001), np.int8), original_length=5_016_000)
    np.savez_compressed(out, codes=tokens.units, metadata=np.array(json.dumps(tokens.metadata())))
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"x" * comment
        return out, sum(member.file_size for member in archive.infolist())


def with_units(units, tokens=TOKENS, **changes):
    name = "codes" if units.dtype.kind in "iu" else "latents"
    return save({name: units}, metadata={**tokens.metadata(), **changes})


LIMITS = {
    "a code of the codebook's last": (
        altered(codebook_size=str(CODES.max() + 1)),
        altered(codebook_size=str(CODES.max())),
    ),
    "codes of 15 bits": (
        with_units(np.full((2, 9, 40), 32767, np.uint16), codebook_size="32768"),
        with_units(np.full((2, 9, 40), 32768, np.uint16), codebook_size="32769"),
    ),
    "channels": tuple(with_units(np.zeros((C, 9, 40), np.int16)) for C in (64, 65)),
    "codebooks": tuple(with_units(np.zeros((1, K, 40), np.int16)) for K in (64, 65)),
    "width": tuple(
        with_units(np.zeros((1, W, 13), np.float32), LATENTS, codebook_size="0") for W in (65536, 65537)
    ),
    "slowest original": tuple(
        altered(original_sample_rate=rate, original_length=length)
        for rate, length in (("1000", "464"), ("999", "463"))
    ),
    "fastest original": tuple(
        altered(original_sample_rate=rate, original_length="356480") for rate in ("768000", "768001")
    ),
    "frames without sound": tuple(
        altered(original_sample_rate="44100", original_length=n) for n in ("19457", "19456")
    ),
    "sound without frames": tuple(
        altered(original_sample_rate="44100", original_length=n) for n in ("20524", "20525")
    ),
    "sample rate": tuple(
        altered(sample_rate="1", hop_length=hop, original_sample_rate="1000", original_length="40000")
        for hop in ("1", "0")
    ),
    "digits": tuple(
        altered(sample_rate=rate, hop_length=hop)
        for rate, hop in (("441" + "0" * 12, "512" + "0" * 10), ("441" + "0" * 13, "512" + "0" * 11))
    ),
    "codebook of one": tuple(
        with_units(np.zeros((2, 9, 40), np.int16), codebook_size=size) for size in ("1", "0")
    ),
    "length of a name": (altered(codec="x" * 4096), altered(codec="x" * 4097)),
}
"""What is just taken, and what is just refused."""


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name):
    """A limit that is off by one refuses a good file or lets a bad one in."""
    taken, refused = LIMITS[name]
    load(taken, "safetensors")
    with pytest.raises(InputError):
        load(refused, "safetensors")


def test_an_archive_may_unpack_to_twice_its_size_and_64_kilobytes():
    out, unpacked = zeros_of(0)
    assert unpacked % 2 == 1
    short = (unpacked - 65536) // 2 - len(out.getvalue())
    load(zeros_of(short + 1)[0].getvalue(), "npz")
    with pytest.raises(InputError, match="far more than its size"):
        load(zeros_of(short)[0].getvalue(), "npz")


def test_numbers_may_be_numbers():
    """Of at most 15 digits; in a file of one frame there may be no sound."""
    numbers = {name: int(value) for name, value in TOKENS.metadata().items() if value.isdigit()}
    del numbers["version"]
    assert load(says(**numbers), "npz").metadata() == TOKENS.metadata()
    load(says(codebook_size=10**15 - 1), "npz")
    load(says(TOKENS.with_units(CODES[:, :, :1]), original_length=0), "npz")
    for wrong in (10**15, -1, 512.0):
        with pytest.raises(InputError, match="codebook_size"):
            load(says(codebook_size=wrong), "npz")


def test_the_order_of_an_array_in_memory_is_not_its_content():
    back = load(npz(codes=np.asfortranarray(CODES), metadata=np.array(json.dumps(TOKENS.metadata()))), "npz")
    assert (back.codes == CODES).all()


def test_a_refusal_says_what_is_wrong_where():
    codes = CODES % 100
    codes[0, 4, 7] = codes[1, 2, 3] = 100
    flat, latents = CODES[0], with_units(VALUES[0], LATENTS)
    for data, words in (
        (with_units(codes, codebook_size="100"), "code 100 at frame 7, codebook 5 is not below 100"),
        (altered(version="3"), "version 3; this dacse reads 1 and 2"),
        (with_units(flat), r"codes have shape .*, expected \[channels, codes, frames"),
        (latents, r"latents have shape .*, expected \[channels, latents, frames"),
    ):
        with pytest.raises(InputError, match=words):
            load(data, "safetensors")
    with pytest.raises(InputError, match="the line holds something other"):
        load(b"words", "txt")
    for use in (lambda: dump(TOKENS, "wav"), lambda: load(b"", "wav")):
        with pytest.raises(ValueError, match="unknown token format wav"):
            use()


def test_what_a_file_holds():
    """A codec is matched by this: by codebooks and their size, or by width."""
    assert TOKENS.kind == Codes(9, 1024)
    assert LATENTS.kind == Latents(80)


def test_an_archive_of_three_is_refused():
    with pytest.raises(InputError, match="does not hold units and metadata"):
        load(npz(codes=CODES, more=CODES, metadata=np.array(json.dumps(TOKENS.metadata()))), "npz")
    with pytest.raises(InputError, match="does not hold units and metadata"):
        load(npz(codes=CODES, more=CODES), "npz")


def test_a_name_without_a_suffix_is_no_token_file():
    assert not has_token_suffix("tokens")
    assert has_token_suffix("A.NPZ")


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
    "other format": (altered(format="sounds"), "safetensors"),
    "version as a number": (says(version=2), "npz"),
    "no codec": (says(codec=None), "npz"),
    "no sample rate": (altered(sample_rate="0"), "safetensors"),
    "shape to be guessed": (says().replace(b"(2, 9, 40)", b"(-1, 9,40)"), "npz"),
    "other version": (altered(version="3"), "safetensors"),
    "number missing": (altered(hop_length="many"), "safetensors"),
    "number of 400 digits": (altered(hop_length="7" * 400), "safetensors"),
    "number of 5000 digits": (altered(original_length="7" * 5000), "safetensors"),
    "negative number": (altered(codebook_size="-1024"), "safetensors"),
    "number in other digits": (altered(hop_length="\u0665\u0661\u0662"), "safetensors"),
    "true for a number": (
        npz(codes=CODES, metadata=np.array(json.dumps({**TOKENS.metadata(), "hop_length": True}))),
        "npz",
    ),
    "long name": (altered(codec="x" * 10_000), "safetensors"),
    "long version": (altered(version="9" * 2_000_000), "safetensors"),
    "neither codes nor latents": (altered(units="sounds"), "safetensors"),
    "codes called latents": (save({"codes": CODES}, metadata=LATENTS.metadata()), "safetensors"),
    "whole numbers called latents": (save({"latents": CODES}, metadata=LATENTS.metadata()), "safetensors"),
    "latents called codes": (save({"codes": VALUES}, metadata=TOKENS.metadata()), "safetensors"),
    "latents not finite": (
        save({"latents": np.where(VALUES > 2, np.nan, VALUES)}, metadata=LATENTS.metadata()),
        "safetensors",
    ),
    "double latents": (
        save({"latents": VALUES.astype(np.float64)}, metadata=LATENTS.metadata()),
        "safetensors",
    ),
    "latents of another length": (
        save({"latents": VALUES}, metadata={**LATENTS.metadata(), "original_length": "9000000"}),
        "safetensors",
    ),
    "two tensors": (save({"latents": VALUES, "codes": CODES}, metadata=LATENTS.metadata()), "safetensors"),
    "header of 2 MB": (
        save({"codes": CODES}, metadata={**TOKENS.metadata(), "x": "y" * 2_000_000}),
        "safetensors",
    ),
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
    assert len(caught.value.message) < 300


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TOKEN_FORMATS), st.data())
def test_flipped_bytes_never_raise_anything_else(form, data):
    tokens = data.draw(st.sampled_from([TOKENS, LATENTS] if form != "txt" else [TOKENS]))
    whole = bytearray(
        dump(TOKENS.with_units(CODES[:1, :, :4]), form) if form == "txt" else dump(tokens, form)
    )
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        load(bytes(whole), form)


def test_lossless_integer_types_are_taken():
    wide = save({"codes": CODES.astype(np.int64)}, metadata=TOKENS.metadata())
    assert (load(wide, "safetensors").codes == CODES).all()
