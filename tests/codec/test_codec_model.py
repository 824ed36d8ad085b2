"""Codes and sound in windows, in pieces and in batches, against one pass of the untouched `DacModel`."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.codec.dac.codec import DacCodec
from dacse_cli.codec.stream import DecodeStream, EncodeStream
from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.errors import InputError
from dacse_cli.interfaces import CodecSpec, Codes

SHAPES = [
    ((2, 4, 8, 8), 9, 1024),
    ((2, 4, 5, 8), 12, 256),
    ((20, 16), 2, 16),
    ((8, 8, 5), 4, 64),
    ((3, 7), 1, 2),
    ((5, 2, 2), 6, 512),
]


@pytest.fixture(scope="module")
def models(tiny_dac):
    return [tiny_dac(strides, K=K, size=size, seed=7, double=True) for strides, K, size in SHAPES]


def frames_as_seconds(codec, frames):
    return float(frames / codec.spec.frame_rate) + 1e-9


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_windows_leave_no_trace(models, make_noise, data):
    """Codes that depend on the window size, or seams in the sound: the fault of Descript's `compress`."""
    tiny = data.draw(st.sampled_from(models))
    spec = tiny.codec.spec
    length = data.draw(st.integers(1, 50 * spec.hop_length))
    channels = data.draw(st.integers(1, 3))
    samples = make_noise(channels, length, seed=length)
    window = frames_as_seconds(tiny.codec, data.draw(st.integers(1, 60)))

    codes = tiny.codec.encode(samples, window)
    whole = tiny.encode(samples)
    np.testing.assert_array_equal(codes, whole)

    sound = tiny.codec.decode(codes, window)
    assert sound.shape == (channels, spec.samples(spec.frames(length)))
    made = sound.shape[1] - spec.decode_tail
    np.testing.assert_allclose(sound[:, :made], tiny.decode(whole), rtol=0, atol=1e-6)
    assert not sound[:, made:].any()


@pytest.mark.parametrize("which", range(len(SHAPES)))
def test_single_precision_too(tiny_dac, make_noise, which):
    """The same in the precision that runs, on fixed sounds."""
    strides, K, size = SHAPES[which]
    tiny = tiny_dac(strides, K=K, size=size)
    samples = make_noise(1, 80 * tiny.shape.hop_length)
    codes = tiny.encode(samples)
    for frames in (10, 37):
        window = frames_as_seconds(tiny.codec, frames)
        np.testing.assert_array_equal(tiny.codec.encode(samples, window), codes)
        made = samples.shape[1] - tiny.codec.spec.decode_tail
        sound = tiny.codec.decode(codes, window)[:, :made]
        np.testing.assert_allclose(sound, tiny.decode(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("which", range(len(SHAPES)))
def test_models_give_many_codes(models, make_noise, which):
    """With one code for everything the tests above could not fail."""
    tiny = models[which]
    codes = tiny.encode(make_noise(1, 200 * tiny.codec.spec.hop_length))
    assert all(len(np.unique(codes[:, k])) >= min(6, SHAPES[which][2]) for k in range(codes.shape[1]))


@pytest.mark.parametrize("margin", ["encode_margin", "decode_margin"])
def test_a_smaller_margin_leaves_one(tiny_dac, make_noise, margin):
    """If these passed with a third of the margin, they would not test the margin."""
    from dataclasses import replace

    tiny = tiny_dac((2, 4, 8, 8), K=9, size=1024)
    spec = replace(tiny.codec.spec, **{margin: getattr(tiny.codec.spec, margin) // 3})
    codec = DacCodec(tiny.network, spec)
    samples = make_noise(1, 60 * spec.hop_length)
    window = frames_as_seconds(codec, 5)
    codes = tiny.encode(samples)
    if margin == "encode_margin":
        assert (codec.encode(samples, window) != codes).any()
    else:
        assert np.abs(codec.decode(codes, window) - tiny.decode(codes)).max() > 1e-5


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_stream_is_the_one_shot_bit_for_bit(models, make_noise, data):
    """A stream that decides too early, or loses samples between pushes."""
    tiny = data.draw(st.sampled_from(models))
    spec, frames = tiny.codec.spec, data.draw(st.integers(1, 20))
    length = data.draw(st.integers(0, 60 * spec.hop_length))
    samples = make_noise(2, length, seed=length)
    cuts = sorted(data.draw(st.lists(st.integers(0, length), max_size=6)))
    window = frames_as_seconds(tiny.codec, frames)

    stream = EncodeStream(tiny.codec, 2, frames)
    pieces = [stream.push(piece) for piece in np.split(samples, cuts, axis=1)]
    codes = np.concatenate([*pieces, stream.finish()], axis=2)
    np.testing.assert_array_equal(codes, tiny.codec.encode(samples, window))
    assert codes.shape == (2, spec.units.books, spec.frames(length))

    cuts = sorted(data.draw(st.lists(st.integers(0, codes.shape[2]), max_size=6)))
    decoding = DecodeStream(tiny.codec, 2, frames)
    heard = [decoding.push(piece) for piece in np.split(codes, cuts, axis=2)]
    sound = np.concatenate([*heard, decoding.finish()], axis=1)
    np.testing.assert_array_equal(sound, tiny.codec.decode(codes, window))


def test_channels_do_not_mix(models, make_noise):
    """Channels folded into the batch in the wrong order."""
    for tiny in models:
        samples = make_noise(3, 30 * tiny.codec.spec.hop_length)
        together = tiny.codec.encode(samples)
        for c in range(3):
            np.testing.assert_array_equal(tiny.codec.encode(samples[c : c + 1])[0], together[c])


def test_rows_in_groups(models, make_noise):
    """The accelerator's path (several channels a pass) keeps all channels and their order."""
    tiny = models[0]
    codec = DacCodec(tiny.network, tiny.codec.spec)
    codec.rows = 2
    samples = make_noise(5, 20 * codec.spec.hop_length)
    codes = codec.encode(samples)
    np.testing.assert_array_equal(codes, tiny.codec.encode(samples))
    np.testing.assert_allclose(codec.decode(codes), tiny.codec.decode(codes), rtol=0, atol=1e-5)


class RepeatingCodec(WindowedCodec):
    """A codec without a network: a frame's code is its first sample, a code sounds as itself."""

    def __init__(self):
        super().__init__(CodecSpec("fake", 1000, 10, Codes(1, 1024), 3, 3))

    def encode_rows(self, samples):
        return samples[:, None, ::10].astype(np.int16)

    def decode_rows(self, codes, kept):
        return np.repeat(codes[:, 0, kept], 10, axis=1).astype(np.float32)


def test_memory_does_not_grow_with_length():
    """A stream that keeps what it has given out runs out of memory on an hour of sound."""

    def peak(pushes):
        stream = EncodeStream(RepeatingCodec(), 1, 50)
        piece = np.ones((1, 10_000), np.float32)
        tracemalloc.start()
        for _ in range(pushes):
            stream.push(piece)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(2)
    assert peak(500) <= 2 * peak(5)


def test_the_callers_array_is_let_go():
    """Holding a view of a large array would hold all of it."""
    stream = EncodeStream(RepeatingCodec(), 1, 50)
    stream.push(np.ones((1, 100_000), np.float32))
    assert stream._buffer._held.base is None
    assert stream._buffer._held.shape[1] < 2000


def test_input_is_not_changed(models, make_noise):
    """The layers work in place; they must not reach the caller's samples. Read-only arrays are fine."""
    tiny = models[0]
    samples = make_noise(1, 20 * tiny.codec.spec.hop_length)
    before = samples.copy()
    samples.flags.writeable = False
    codes = tiny.codec.encode(samples)
    codes.flags.writeable = False
    tiny.codec.decode(codes)
    np.testing.assert_array_equal(samples, before)


def test_codes_of_another_codec_are_refused(models):
    """An index out of range would end a GPU's context for all files that follow."""
    codec = models[1].codec
    K, size = codec.spec.units.books, codec.spec.units.size
    for codes in (
        np.full((1, K, 4), size, np.int16),
        np.full((1, K, 4), -1, np.int16),
        np.zeros((1, K + 1, 4), np.int16),
        np.zeros((1, 0, 4), np.int16),
    ):
        with pytest.raises(InputError) as caught:
            codec.decode(codes)
        assert caught.value.reason == "bad-codes"


def test_fewer_codebooks_decode(models):
    """Files made with n_quantizers hold the first codebooks only."""
    tiny = models[0]
    codes = np.random.default_rng(0).integers(0, 1024, (1, 3, 12)).astype(np.int16)
    np.testing.assert_allclose(tiny.codec.decode(codes), tiny.decode(codes), rtol=0, atol=1e-5)
