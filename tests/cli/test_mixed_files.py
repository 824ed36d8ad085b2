"""Forty files of every rate, width, channel count and container: nothing may change but the sound."""

from itertools import cycle

import numpy as np
import pytest
import soundfile
from typed import typed

from dacse_cli import Enhancer

RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
KINDS = (
    (".wav", "PCM_U8"),
    (".wav", "PCM_16"),
    (".wav", "PCM_24"),
    (".wav", "PCM_32"),
    (".wav", "FLOAT"),
    (".wav", "DOUBLE"),
    (".flac", "PCM_16"),
    (".flac", "PCM_24"),
    (".ogg", "VORBIS"),
    (".mp3", "MPEG_LAYER_III"),
)
CHANNELS = cycle((1, 2, 1, 6, 2, 1, 1))
FOLDERS = cycle(("", "talks", "talks/day 1", "archive/1998/tapes"))
FACTS = ("frames", "samplerate", "channels", "format", "subtype")


def make(root):
    """Forty short recordings in nested folders."""
    rng = np.random.default_rng(5)
    made = []
    for i in range(40):
        suffix, subtype = KINDS[i % len(KINDS)]
        rate, channels = RATES[(i * 3 + i // 10) % len(RATES)], next(CHANNELS)
        if suffix == ".mp3":
            rate, channels = min(rate, 48000), min(channels, 2)
        folder = root / next(FOLDERS)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"take {i:02}{suffix}"
        seconds = rng.uniform(0.02, 0.12) if i % 8 else 0.4  # every eighth has several chunks
        samples = 0.2 * rng.standard_normal((int(rate * seconds), channels))
        soundfile.write(path, np.clip(samples, -1, 1), rate, subtype=subtype)
        made.append(path)
    return made


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory, tiny_model):
    root = tmp_path_factory.mktemp("mixed")
    made = make(root / "in")
    result = typed("enhance", root / "in", root / "out", "--model", tiny_model, "--dtype", "float32")
    assert result.returncode == 0, result.stderr
    return root, made


def test_length_rate_channels_and_format_equal_the_inputs(enhanced):
    root, made = enhanced
    for path in made:
        before = soundfile.info(path)
        after = soundfile.info(root / "out" / path.relative_to(root / "in"))
        assert [getattr(before, f) for f in FACTS] == [getattr(after, f) for f in FACTS], path.name


@pytest.mark.ci
def test_a_batch_equals_single_runs(enhanced, tiny_model, tmp_path):
    """Padding or a shared cache that leaked between rows would show as other codes, so as other samples."""
    root, made = enhanced
    with Enhancer(str(tiny_model), device="cpu", dtype="float32", batch_size=1) as enhancer:
        for path in [p for p in made if soundfile.info(p).subtype in ("FLOAT", "DOUBLE", "PCM_32", "PCM_24")]:
            alone = enhancer.enhance_file(path, tmp_path / path.name, guard="off")
            together = root / "out" / path.relative_to(root / "in")
            one, many = soundfile.read(alone)[0], soundfile.read(together)[0]
            np.testing.assert_allclose(one, many, atol=1e-4, err_msg=path.name)
