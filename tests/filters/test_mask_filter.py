"""The mask filter: streams equal one pass, samples stay in their places, levels do not matter."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.filters.mask.analysis import Analysis, Features, Synthesis, hop_length
from dacse_cli.filters.mask.apply import apply_masks
from dacse_cli.filters.mask.config import BINS, MaskConfig
from dacse_cli.filters.mask.network import MaskNetwork, NetworkStream
from dacse_cli.filters.mask.stream import MaskStream

CONFIG = MaskConfig(width=4, dilations=(1, 2))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return MaskNetwork(CONFIG).eval()


def noise(channels: int, samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((channels, samples))).astype(np.float32)


def run(network, samples, rate, cuts=()):
    stream = MaskStream(network, len(samples), rate)
    edges = [0, *sorted(cut for cut in cuts if cut <= samples.shape[1]), samples.shape[1]]
    parts = [stream.push(samples[:, a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*parts, stream.finish()], axis=1)


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 16000, 22050, 44100, 48000, 96000])
def test_a_frame_lasts_16_ms_and_its_length_has_only_small_factors(rate):
    hop = hop_length(rate)
    assert abs(hop / rate - 0.016) < 0.0008
    for prime in (2, 3, 5, 7, 11):
        while hop % prime == 0:
            hop //= prime
    assert hop == 1


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 4000])
def test_analysis_and_synthesis_return_the_recording(samples):
    sound = torch.from_numpy(noise(2, samples))
    analysis, synthesis = Analysis(2, 16000), Synthesis(2, 16000)
    spectra = torch.cat([analysis.push(sound), analysis.finish()], dim=1)
    assert spectra.shape == (2, -(-samples // 256) + 1, 257)
    torch.testing.assert_close(synthesis.push(spectra)[:, :samples], sound, atol=1e-6, rtol=0)


@settings(max_examples=10, deadline=None)
@given(pieces=st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_a_network_stream_computes_what_one_pass_does(network, pieces):
    features = torch.randn(2, sum(pieces) + 1, BINS, CONFIG.features)
    with torch.no_grad():
        whole = network(features)
        stream, at, parts = NetworkStream(network, 2), 0, []
        for piece in [*pieces, 1]:
            parts.append(stream.push(features[:, at : at + piece]))
            at += piece
        parts.append(stream.finish())
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_a_mask_depends_on_no_frame_beyond_its_stated_future(network):
    features = torch.randn(1, 40, BINS, CONFIG.features)
    changed = features.clone()
    changed[:, 20:] = 0
    with torch.no_grad():
        difference = (network(features) - network(changed)).abs().amax(dim=(0, 2, 3, 4))
    assert difference[: 20 - CONFIG.future_frames].max() == 0
    assert difference[20 - CONFIG.future_frames] > 0


def test_features_do_not_depend_on_how_frames_were_pushed():
    spectra = torch.randn(1, 300, 257, dtype=torch.complex64)
    whole = Features(1)
    expected = torch.cat([whole.push(spectra)[0], whole.finish()[0]], dim=1)
    pieces = Features(1)
    parts = [pieces.push(spectra[:, at : at + 7]) for at in range(0, 300, 7)] + [pieces.finish()]
    assert torch.equal(torch.cat([part[0] for part in parts], dim=1), expected)
    assert torch.equal(torch.cat([part[1] for part in parts], dim=1), spectra)


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, 80_000), max_size=5), rate=st.sampled_from([8000, 16000, 44100]))
def test_the_result_does_not_depend_on_the_sizes_of_the_pieces(network, cuts, rate):
    sound = noise(2, 80_001)
    whole = run(network, sound, rate)
    assert whole.shape == sound.shape
    assert np.array_equal(run(network, sound, rate, cuts), whole)


def test_channels_do_not_influence_each_other(network):
    both = noise(2, 40_000)
    alone = run(network, both[1:], 16000)
    np.testing.assert_allclose(run(network, both, 16000)[1:], alone, atol=1e-6)


def test_level_does_not_matter_and_silence_stays_silence(network):
    sound = noise(1, 40_000)
    sound[:, 20_000:30_000] = 0
    loud = run(network, sound, 16000)
    soft = run(network, sound / 64, 16000) * 64
    assert np.abs(loud - soft).max() < 2e-3 * np.abs(loud).max()
    assert np.all(run(network, np.zeros((1, 40_000), np.float32), 16000) == 0)
    assert np.all(loud[:, 21_000:29_000] == 0)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_bin_is_never_louder_than_the_frames_it_is_made_of(rate):
    spectra = torch.randn(1, 12, hop_length(rate) + 1, dtype=torch.complex64)
    masks = 5 * torch.randn(1, 10, BINS, 3, 2)
    filtered = apply_masks(masks, spectra, (-1, 0, 1), 1).abs()
    around = torch.stack([spectra[:, k : k + 10].abs() for k in range(3)]).amax(dim=0)
    assert (filtered <= around * 1.0001).all()


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_recordings_shorter_than_a_frame(network, samples):
    assert run(network, noise(1, samples), 44100).shape == (1, samples)


def test_a_guide_is_read_where_there_is_one(network):
    torch.manual_seed(0)
    guided = MaskNetwork(MaskConfig(width=4, dilations=(1,), guides=1)).eval()
    sound, voice = noise(1, 40_000), noise(1, 40_000, seed=1)

    def result(guide):
        stream = MaskStream(guided, 1, 16000)
        return np.concatenate([stream.push(sound, guide), stream.finish()], axis=1)

    assert not np.array_equal(result(voice[None]), result(None))
    assert np.array_equal(result(None), result(None))


@pytest.mark.parametrize(
    "change",
    [{"width": 10**6}, {"dilations": ()}, {"dilations": (0,)}, {"filter_taps": (99,)}, {"guides": 2}],
)
def test_sizes_out_of_bounds_are_named(change):
    assert MaskConfig().problems() == []
    assert len(MaskConfig(**change).problems()) == 1
