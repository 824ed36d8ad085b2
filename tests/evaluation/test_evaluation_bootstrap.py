"""Means and intervals against closed forms."""

import numpy as np
import pytest

from dacse_cli.evaluation import bootstrap
from dacse_cli.evaluation.bootstrap import difference, estimate, resampled_means


def plain(values) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values, float), np.ones(len(values))


def test_interval_of_a_mean_is_the_normal_one():
    """400 normal values: the interval must be close to mean +- 1.96 s / sqrt(N)."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    got = estimate(*plain(values), 4000, 0)
    margin = 1.96 * values.std() / 20
    assert got.mean == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - margin, abs=0.15 * margin)
    assert got.high == pytest.approx(values.mean() + margin, abs=0.15 * margin)


def test_rates_are_corpus_level():
    """One error in 1 word and none in 9 is 10 %, not the mean of 100 % and 0 %."""
    got = estimate(np.array([1.0, 0.0]), np.array([1.0, 9.0]), 100, 0)
    assert got.mean == pytest.approx(0.1)


def test_paired_difference_is_tighter_than_two_intervals():
    """Systems are compared over the same files: what makes a file hard cancels out."""
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 5, 100)
    gain = difference(plain(hard + 1), plain(hard), 500, 0)
    assert (gain.mean, gain.low, gain.high) == pytest.approx((1, 1, 1))


def test_seed_repeats_and_blocks_do_not_matter(monkeypatch):
    """The interval printed twice must be the same, however the draws are cut into blocks."""
    totals, counts = plain(np.random.default_rng(2).random(30))
    whole = resampled_means(totals, counts, 200, 7)
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 90)
    np.testing.assert_array_equal(resampled_means(totals, counts, 200, 7), whole)
    assert not np.array_equal(resampled_means(totals, counts, 200, 8), whole)


def test_few_files_claim_no_certainty():
    """One file has a mean and no interval; no file, or no word at all, has no mean."""
    assert estimate(*plain([2.0]), 100, 0) == bootstrap.Estimate(2.0, None, None, 1)
    assert estimate(*plain([]), 100, 0) is None
    assert estimate(np.array([1.0, 2.0]), np.zeros(2), 100, 0) is None
    assert difference(plain([]), plain([]), 100, 0) is None


def test_draws_without_a_word_do_not_spoil_the_interval():
    """A resample made only of files without words is no number; the others still are."""
    got = estimate(np.array([0.0, 1.0]), np.array([0.0, 2.0]), 200, 0)
    assert got.mean == 0.5
    assert got.low == got.high == pytest.approx(0.5)
