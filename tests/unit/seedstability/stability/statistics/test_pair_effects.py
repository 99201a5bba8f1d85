"""Seeds and pairs that stand out: found where planted, and not elsewhere."""

import numpy as np
import pytest

from seedstability.stability.statistics.pair_effects import pair_effects


def matrix(rng, seeds, seed_sd=0.0, pair_sd=0.01, odd=0.0):
    """Similarities around 0.3; the pair of seeds 1 and 2 is `odd` higher."""
    effect = rng.normal(size=seeds) * seed_sd
    luck = np.triu(rng.normal(size=(seeds, seeds)) * pair_sd, 1)
    luck[1, 2] += odd
    values = 0.3 + effect[:, None] + effect + luck + luck.T
    np.fill_diagonal(values, np.nan)
    return values


def found(seeds=8, times=60, **planted):
    rng = np.random.default_rng(0)
    return [pair_effects(matrix(rng, seeds, **planted), rng, draws=199) for _ in range(times)]


def test_luck_alone_stands_out_as_often_as_it_should():
    results = found()
    assert np.mean([each.p_pair <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)
    assert np.mean([each.p_seed <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)


def test_an_odd_pair_is_found_and_is_no_odd_seed():
    results = found(odd=0.08)
    assert np.mean([each.p_pair <= 0.05 for each in results]) > 0.9


def test_an_odd_seed_makes_no_pair_stand_out():
    results = found(seed_sd=0.05)
    assert np.mean([each.p_seed <= 0.05 for each in results]) > 0.9
    assert np.mean([each.p_pair <= 0.2 for each in results]) == pytest.approx(0.2, abs=0.12)
    assert np.median([each.pair_sd for each in results]) == pytest.approx(0.01, rel=0.1)
    assert np.median([each.seed_sd for each in results]) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize("seeds", [5, 8, 20])
def test_the_smallest_effect_seen_is_seen_with_the_power(seeds):
    rng = np.random.default_rng(1)
    smallest = pair_effects(matrix(rng, seeds), rng, draws=999)
    odd = smallest.smallest_pair / smallest.pair_sd * 0.01
    share = np.mean([each.p_pair <= 0.05 for each in found(seeds, 100, odd=odd)])
    assert share == pytest.approx(0.8, abs=0.12)


def test_extremes_are_distances_from_the_mean_of_all_pairs():
    values = np.full((4, 4), 0.3)
    values[0, 1] = values[1, 0] = 0.36
    effects = pair_effects(values, np.random.default_rng(0), draws=99)
    assert (effects.highest, effects.lowest) == pytest.approx((0.05, -0.01))


def test_too_few_seeds_and_gaps_are_refused():
    rng = np.random.default_rng(0)
    for values in (np.full((3, 3), 0.3), np.full((5, 5), np.nan)):
        with pytest.raises(ValueError, match="at least 4"):
            pair_effects(values, rng)
