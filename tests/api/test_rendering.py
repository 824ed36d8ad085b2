"""Another strength or loudness of a recording that has been enhanced already equals enhancing it that way."""

import numpy as np
import pytest
import soundfile

from dacse_cli import Enhancer
from dacse_cli.api.rendering import render, render_file
from dacse_cli.config import SoundOptions
from dacse_cli.errors import UsageError

RATE = 16_000


@pytest.fixture(scope="module")
def made(tiny_model):
    """A stereo recording, fully enhanced; and the models that did it."""
    rng = np.random.default_rng(3)
    original = (0.1 * rng.standard_normal((2, RATE // 2))).astype(np.float32)
    original[:, 3000:4000] *= 0.001
    enhancer = Enhancer(str(tiny_model), device="cpu")
    return enhancer, original, enhancer.enhance(original, RATE, guard="off").samples


@pytest.mark.parametrize(
    "sound",
    [
        {"profile": "gentle"},
        {"profile": "strong"},
        {"mix": 0.3},
        {"loudness": "match"},
        {"loudness": -20.0, "mix": 0.5},
    ],
    ids=str,
)
def test_rendering_again_equals_enhancing_again(made, sound):
    enhancer, original, enhanced = made
    said = {"strength" if name in ("mix", "profile") else name: value for name, value in sound.items()}
    direct = enhancer.enhance(original, RATE, guard="off", **said).samples
    np.testing.assert_array_equal(render(original, enhanced, RATE, SoundOptions(**sound)), direct)


def test_a_file_is_rendered_from_memory_mapped_samples(made, tmp_path):
    _, original, enhanced = made
    soundfile.write(tmp_path / "talk.wav", original.T, RATE, "FLOAT")
    np.ascontiguousarray(enhanced.T).tofile(tmp_path / "kept")
    kept = np.memmap(tmp_path / "kept", np.float32, "r", shape=enhanced.T.shape).T
    render_file(tmp_path / "talk.wav", kept, tmp_path / "half.wav", SoundOptions(mix=0.5))
    found = soundfile.read(tmp_path / "half.wav", dtype="float32", always_2d=True)[0].T
    np.testing.assert_array_equal(found, np.float32(0.5) * enhanced + np.float32(0.5) * original)


def test_a_rendering_does_not_replace_the_original(made, tmp_path):
    """`render_file` took the original itself as its target, and wrote over it."""
    _, original, enhanced = made
    soundfile.write(tmp_path / "talk.wav", original.T, RATE, "FLOAT")
    (tmp_path / "link.wav").symlink_to(tmp_path / "talk.wav")
    for name in ("talk.wav", "link.wav"):
        with pytest.raises(UsageError, match="is the input; inputs are never written to"):
            render_file(tmp_path / "talk.wav", enhanced, tmp_path / name, SoundOptions())


@pytest.mark.parametrize("bad", ["length", "channels"])
def test_recordings_of_different_shapes_are_refused(made, bad):
    _, original, enhanced = made
    sound = SoundOptions(channels="mono") if bad == "channels" else SoundOptions()
    with pytest.raises(UsageError):
        render(original, enhanced[:, : -5 if bad == "length" else None], RATE, sound)


def test_pieces_of_a_stream_may_be_larger_and_the_last_one_carries_the_guard(made):
    enhancer, original, _ = made
    mono = np.tile(original[:1], 3)
    small = list(enhancer.stream(mono, RATE, guard="off"))
    large = list(enhancer.stream(mono, RATE, batch_size=8, guard="off"))
    assert len(large) < len(small)
    ways = [np.concatenate([piece.samples for piece in pieces], axis=1) for pieces in (small, large)]
    np.testing.assert_allclose(*ways, atol=1e-5)
    *rest, last = enhancer.stream(mono, RATE, guard="normal")
    assert last.guard is not None and all(piece.guard is None for piece in rest)
