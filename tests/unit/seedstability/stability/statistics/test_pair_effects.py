"""Outlying seeds and pairs: detected if planted, and at the nominal rate otherwise."""

import numpy as np
import pytest

from seedstability.stability.statistics.pair_effects import pair_effects


def matrix(rng, seeds, seed_sd=0.0, pair_sd=0.01, odd=0.0):
    """Similarities around 0.3; the pair of seeds 1 and 2 is `odd` higher."""
    effect = rng.normal(size=seeds) * seed_sd
    noise = np.triu(rng.normal(size=(seeds, seeds)) * pair_sd, 1)
    noise[1, 2] += odd
    values = 0.3 + effect[:, None] + effect + noise + noise.T
    np.fill_diagonal(values, np.nan)
    return values


def found(seeds=8, times=60, **planted):
    rng = np.random.default_rng(0)
    return [pair_effects(matrix(rng, seeds, **planted), rng, draws=199) for _ in range(times)]


def test_pair_effects_have_nominal_level_under_the_null():
    results = found()
    assert np.mean([each.p_pair <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)
    assert np.mean([each.p_seed <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)


def test_an_outlying_pair_is_detected():
    results = found(odd=0.08)
    assert np.mean([each.p_pair <= 0.05 for each in results]) > 0.9


def test_an_outlying_seed_is_detected_without_outlying_pairs():
    results = found(seed_sd=0.05)
    assert np.mean([each.p_seed <= 0.05 for each in results]) > 0.9
    assert np.mean([each.p_pair <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)
    assert np.median([each.pair_sd for each in results]) == pytest.approx(0.01, rel=0.1)
    assert np.median([each.seed_sd for each in results]) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("seeds", [5, 8, 20])
def test_minimum_detectable_pair_effect_has_80_percent_power(seeds):
    rng = np.random.default_rng(1)
    smallest = pair_effects(matrix(rng, seeds), rng, draws=999)
    odd = smallest.smallest_pair / smallest.pair_sd * 0.01
    share = np.mean([each.p_pair <= 0.05 for each in found(seeds, 100, odd=odd)])
    assert share == pytest.approx(0.8, abs=0.12)


def test_highest_and_lowest_are_differences_from_the_mean():
    values = np.full((4, 4), 0.3)
    values[0, 1] = values[1, 0] = 0.36
    effects = pair_effects(values, np.random.default_rng(0), draws=99)
    assert (effects.highest, effects.lowest) == pytest.approx((0.05, -0.01))


def test_too_few_seeds_and_missing_pairs_are_refused():
    rng = np.random.default_rng(0)
    for values in (np.full((3, 3), 0.3), np.full((5, 5), np.nan)):
        with pytest.raises(ValueError, match="at least 4"):
            pair_effects(values, rng)
