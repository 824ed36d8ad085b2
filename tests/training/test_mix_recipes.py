"""Recipes are reproducible, aligned and do what their record says."""

import numpy as np
import pytest

from dacse_cli.training.mix import recipes, signals
from dacse_cli.training.mix.disturbances import Sources, disturbed
from dacse_cli.training.sound.level import power

RATE = 16000


def noise_of(rng):
    return lambda samples: signals.coloured_noise(samples, 0.3, rng)


@pytest.mark.parametrize("make", [recipes.mixture, recipes.nano_mixture])
def test_one_seed_one_signal(make):
    clean = signals.coloured_noise(RATE, 0.5, np.random.default_rng(0)) * np.float32(0.05)
    runs = []
    for _ in range(2):
        rng, drawn = np.random.default_rng(11), {}
        runs.append((make(clean, RATE, noise_of(rng), rng, drawn), drawn))
    assert np.array_equal(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


@pytest.mark.parametrize("make", [recipes.mixture, recipes.nano_mixture])
def test_pairs_keep_length_and_stay_inside_full_scale(make):
    rng = np.random.default_rng(5)
    for _ in range(40):
        clean = signals.coloured_noise(RATE // 2, 0.5, rng) * np.float32(0.2)
        noisy, target = signals.fit_both(make(clean, RATE, noise_of(rng), rng, {}), clean)
        assert noisy.shape == target.shape == clean.shape
        assert noisy.dtype == np.float32
        assert max(np.abs(noisy).max(), np.abs(target).max()) <= signals.FULL_SCALE + 1e-6


def test_an_empty_record_means_a_clean_pair():
    rng = np.random.default_rng(2)
    clean = signals.coloured_noise(RATE // 4, 0.5, rng) * np.float32(0.05)
    recipe = recipes.NanoRecipe(clean=0.5)
    for _ in range(20):
        drawn = {}
        noisy = recipes.nano_mixture(clean, RATE, noise_of(rng), rng, drawn, recipe)
        assert np.array_equal(noisy, clean) == (not drawn)


def test_the_recorded_ratio_is_the_measured_one():
    rng = np.random.default_rng(4)
    clean = signals.coloured_noise(RATE, 0.5, rng) * np.float32(0.02)
    recipe = recipes.NanoRecipe(clean=0.0, reverb=0.0, band=0.0)
    for _ in range(10):
        drawn = {}
        noisy = recipes.nano_mixture(clean, RATE, noise_of(rng), rng, drawn, recipe)
        measured = 10 * np.log10(power(clean) / power(noisy - clean))
        assert measured == pytest.approx(drawn["snr_db"], abs=0.05)


def rows_for_a_filter(count, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        clean = signals.coloured_noise(RATE // 2, 0.5, rng) * np.float32(0.05)
        voices = noise_of(np.random.default_rng(1))
        sources = Sources(RATE, noise_of(rng), voices, recipes.decaying_room(RATE, recipes.Range(0.1, 0.4)))
        drawn = {}
        yield clean, *disturbed(clean, sources, rng, drawn), drawn


def test_rows_for_a_filter_are_finite_aligned_and_reproducible():
    for (clean, noisy, target, drawn), again in zip(
        rows_for_a_filter(60), rows_for_a_filter(60), strict=True
    ):
        assert noisy.shape == target.shape == clean.shape
        assert noisy.dtype == target.dtype == np.float32
        assert np.isfinite(noisy).all() and np.isfinite(target).all()
        assert np.array_equal(noisy, again[1])
        if drawn["snr_db"] is None:
            assert not target.any() and power(noisy) > 0


def test_a_row_without_speech_can_be_written_as_a_pair():
    """`mix --recipe filter` writes the gain of a pair into its manifest: of a silent target there is none."""
    noisy, target = signals.fit_both(np.full(4, 2.0, np.float32), np.zeros(4, np.float32))
    assert np.abs(noisy).max() <= signals.FULL_SCALE + 1e-6
    assert not target.any()
