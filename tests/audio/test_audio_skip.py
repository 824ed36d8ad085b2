"""Passing over samples: the same sound as reading and throwing away."""

import numpy as np
import pytest
import soundfile as sf

from dacse_cli.audio.read import AudioReader

FORMATS = [
    ("a.wav", "PCM_24"), ("a.wav", "IMA_ADPCM"), ("a.flac", "PCM_16"), ("a.aiff", "PCM_16"),
    ("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "subtype"), FORMATS)
@pytest.mark.parametrize("count", [0, 1, 70_001])
def test_skip_equals_reading(tmp_path, name, subtype, count):
    """A seek that is a few samples off shifts a noise or a clean part against what the manifest says."""
    rng = np.random.default_rng(0)
    sf.write(tmp_path / name, 0.1 * rng.standard_normal((90_000, 2)), 16_000, subtype=subtype)
    with AudioReader(tmp_path / name) as whole, AudioReader(tmp_path / name) as part:
        expected = whole.read(100_000)[:, count : count + 500]
        part.skip(count)
        np.testing.assert_array_equal(part.read(500), expected)


def test_skip_past_the_end_stops_at_the_end(tmp_path):
    """A skip past the end must not raise, nor start again at the beginning."""
    sf.write(tmp_path / "a.flac", np.zeros(1000), 16_000)
    with AudioReader(tmp_path / "a.flac") as reader:
        reader.skip(5000)
        assert reader.read(10).shape == (1, 0)


def test_a_cut_flac_ends_where_it_is_cut(tmp_path):
    """Seeking behind the cut of a FLAC fails inside libsndfile: no error, no samples of elsewhere."""
    path = tmp_path / "a.flac"
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(160_000), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with AudioReader(path) as reader:
        reader.skip(150_000)
        assert reader.read(10).shape == (1, 0)
