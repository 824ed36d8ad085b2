"""Recipes are reproducible, aligned and do what their record says."""

import numpy as np
import pytest

from dacse_cli.training.mix import recipes, signals
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
