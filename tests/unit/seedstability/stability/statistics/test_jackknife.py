"""Jackknife intervals over seeds: worked examples and coverage."""

import numpy as np
import pytest
from scipy import stats

from seedstability.stability.statistics.jackknife import (
    jackknife,
    jackknife_difference,
    jackknife_kappa,
    jackknife_statistic,
)


def pairs(rng, seeds, seed_sd, pair_sd, mean=0.3):
    """Similarities with a mean, additive effects of both seeds, and noise of the pair."""
    effect = rng.normal(size=seeds) * seed_sd
    noise = np.triu(rng.normal(size=(seeds, seeds)) * pair_sd, 1)
    matrix = mean + (effect[:, None] + effect) / 2 + noise + noise.T
    np.fill_diagonal(matrix, np.nan)
    return matrix


def covered(interval, truth):
    return interval.low <= truth <= interval.high


def test_one_value_per_seed_gives_the_t_interval():
    values = np.array([0.30, 0.31, 0.29, 0.33, 0.32, 0.28])
    interval = jackknife(values)
    low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    low90, high90 = stats.t.interval(0.90, 5, values.mean(), stats.sem(values))
    assert interval.mean == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert (interval.low90, interval.high90) == pytest.approx((low90, high90))
    assert interval.standard_error == pytest.approx(stats.sem(values))
    assert interval.label == "95% jackknife over 6 seeds"


def test_the_mean_over_pairs_ignores_the_diagonal():
    matrix = pairs(np.random.default_rng(0), 6, 1.0, 1.0)
    expected = matrix[np.triu_indices(6, 1)].mean()
    for diagonal in (np.nan, 1.0, 1e9):
        np.fill_diagonal(matrix, diagonal)
        assert jackknife(matrix).mean == pytest.approx(expected)
        assert jackknife(matrix).high - jackknife(matrix).low < 10


def test_an_interval_over_pairs_by_hand():
    matrix = pairs(np.random.default_rng(1), 5, 1.0, 1.0)
    left_out = []
    for s in range(5):
        rest = np.delete(np.delete(matrix, s, 0), s, 1)
        left_out.append(rest[np.triu_indices(4, 1)].mean())
    error = np.sqrt(4 / 5 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert jackknife(matrix).standard_error == pytest.approx(error)


def test_below_five_seeds_the_interval_is_the_range():
    matrix = np.array([[np.nan, 0.1, 0.2], [0.1, np.nan, 0.6], [0.2, 0.6, np.nan]])
    interval = jackknife(matrix)
    assert (interval.low, interval.high) == (0.1, 0.6)
    assert interval.mean == pytest.approx(0.3)
    assert interval.label == "range of 3 seeds"
    assert np.isnan([interval.low90, interval.high90, interval.standard_error]).all()
    vector = jackknife(np.array([1.0, 4.0, 2.0, 3.0]))
    assert (vector.low, vector.mean, vector.high) == (1.0, 2.5, 4.0)


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_coverage_over_pairs_is_nominal_with_seed_effects(seeds):
    rng = np.random.default_rng(seeds)
    hits = np.mean([covered(jackknife(pairs(rng, seeds, 1.0, 0.3)), 0.3) for _ in range(600)])
    assert 0.925 <= hits <= 0.985


def test_coverage_over_pairs_is_conservative_without_seed_effects():
    rng = np.random.default_rng(0)
    hits = np.mean([covered(jackknife(pairs(rng, 10, 0.0, 1.0)), 0.3) for _ in range(400)])
    assert hits >= 0.96


def test_kappa_is_a_ratio_of_means_and_not_a_mean_of_ratios():
    values, chance = np.array([0.2, 0.4, 0.3, 0.5, 0.6]), np.array([0.1, 0.3, 0.1, 0.4, 0.3])
    x, c = values.mean(), chance.mean()
    assert jackknife_kappa(values, chance).mean == pytest.approx((x - c) / (1 - c))
    assert jackknife_kappa(values, 0.25).mean == pytest.approx((x - 0.25) / 0.75)


def test_kappa_near_a_chance_of_one_is_a_difference():
    values = np.array([0.95, 0.96, 0.97, 0.96, 0.95])
    assert jackknife_kappa(values, 0.9).mean == pytest.approx(values.mean() - 0.9)
    assert jackknife_kappa(values, 0.89).mean == pytest.approx((values.mean() - 0.89) / 0.11)
    # Without some seeds, the mean chance exceeds 0.9: the formula must stay the same.
    chance = np.array([0.88, 0.91, 0.90, 0.92, 0.88])
    assert jackknife_kappa(values, chance).standard_error < 0.2


def test_sampled_chance_widens_the_interval():
    rng = np.random.default_rng(0)
    values, chance = pairs(rng, 8, 0.01, 0.0), pairs(rng, 8, 0.05, 0.0)
    known = jackknife_kappa(values, float(np.nanmean(chance)))
    assert jackknife_kappa(values, chance).standard_error > 2 * known.standard_error


def test_coverage_of_kappa_with_sampled_chance():
    rng = np.random.default_rng(3)
    truth = (0.5 - 0.3) / 0.7

    def interval():
        return jackknife_kappa(pairs(rng, 10, 0.1, 0.02, 0.5), pairs(rng, 10, 0.1, 0.02, 0.3))

    assert 0.92 <= np.mean([covered(interval(), truth) for _ in range(400)]) <= 0.985


def test_paired_arms_leave_out_the_same_seed():
    rng = np.random.default_rng(0)
    first = pairs(rng, 10, 1.0, 0.01)
    second = first - 0.1
    paired = jackknife_difference(first, second, paired=True)
    assert paired.mean == pytest.approx(0.1)
    assert paired.standard_error < 1e-12
    assert jackknife_difference(first, second, paired=False).standard_error > 0.1
    with pytest.raises(ValueError, match="not the same"):
        jackknife_difference(first, second[:9, :9], paired=True)


def test_unpaired_arms_give_welchs_interval():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=6), 3 * rng.normal(size=9)
    interval = jackknife_difference(first, second, paired=False)
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((welch.low, welch.high))
    assert interval.label == "95% jackknife over 6 and 9 seeds"


def test_unpaired_arms_with_few_seeds_give_the_range():
    interval = jackknife_difference(np.array([1.0, 2.0, 3.0]), np.arange(6.0), paired=False)
    assert (interval.low, interval.mean, interval.high) == (-4.0, -0.5, 3.0)
    assert interval.label == "range of 3 and 6 seeds"


def test_arms_without_variance():
    interval = jackknife_difference(np.full(5, 0.3), np.full(7, 0.2), paired=False)
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


def test_differences_of_kappa():
    rng = np.random.default_rng(0)
    first, second = pairs(rng, 6, 0.1, 0.01, 0.5), pairs(rng, 6, 0.1, 0.01, 0.4)
    for paired in (True, False):
        interval = jackknife_difference(first, second, paired, 0.3, 0.2)
        apart = jackknife_kappa(first, 0.3).mean - jackknife_kappa(second, 0.2).mean
        assert interval.mean == pytest.approx(apart)
    with pytest.raises(ValueError, match="one arm only"):
        jackknife_difference(first, second, True, chance_first=0.3)


def test_coverage_of_differences():
    rng = np.random.default_rng(1)
    for paired in (True, False):
        hits = [
            covered(
                jackknife_difference(
                    pairs(rng, 7, 1.0, 0.3, 0.5), pairs(rng, 7, 0.5, 0.3, 0.2), paired
                ),
                0.3,
            )
            for _ in range(300)
        ]
        assert 0.92 <= np.mean(hits) <= 0.99


def test_missing_pairs_are_left_out():
    matrix = pairs(np.random.default_rng(0), 6, 1.0, 0.3)
    matrix[0, 1] = matrix[1, 0] = matrix[2, 5] = matrix[5, 2] = np.nan
    interval = jackknife(matrix)
    assert interval.mean == pytest.approx(np.nanmean(matrix))
    assert np.isfinite([interval.low, interval.high]).all()
    three = jackknife(matrix[:3, :3])
    assert (three.low, three.high) == (np.nanmin(matrix[:3, :3]), np.nanmax(matrix[:3, :3]))


def test_seeds_without_pairs_and_pairs_of_one_seed_are_refused():
    alone, star = np.full((6, 6), 0.3), np.full((6, 6), np.nan)
    alone[2, :] = alone[:, 2] = np.nan
    star[4, :] = star[:, 4] = 0.3
    with pytest.raises(ValueError, match="in no pair"):
        jackknife(alone)
    with pytest.raises(ValueError, match="without seed 4 no pair is left"):
        jackknife(star)


def test_any_statistic_of_seeds():
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    interval = jackknife_statistic(lambda seeds: np.log(values[seeds].mean()), 5)
    assert interval.mean == pytest.approx(np.log(6.2))
    with pytest.raises(ValueError, match="at least 2"):
        jackknife(np.ones((1, 1)))


def test_invalid_values_are_refused():
    for bad in (np.ones((2, 3)), np.ones((2, 2, 2)), np.ones(0)):
        with pytest.raises(ValueError, match="shape"):
            jackknife(bad)
    for bad in (np.array([1.0, np.nan]), np.array([[1.0, np.inf], [np.inf, 1.0]])):
        with pytest.raises(ValueError, match="not finite"):
            jackknife(bad)
    with pytest.raises(ValueError, match="chance has shape"):
        jackknife_kappa(np.ones(5), np.ones(4))


def test_a_range_holds_the_estimate_of_a_statistic_that_is_no_mean():
    found = jackknife_statistic(lambda seeds: float(len(seeds)), 3, group=2)
    assert (found.low, found.mean, found.high) == (2.0, 3.0, 3.0)


def test_pairs_whose_level_was_not_drawn_have_that_of_the_others():
    values = np.array([[np.nan, 0.8, 0.6], [0.8, np.nan, 0.4], [0.6, 0.4, np.nan]])
    chance = np.full((3, 3), np.nan)
    chance[0, 1] = chance[1, 0] = 0.1
    chance[0, 2] = chance[2, 0] = 0.3
    filled = np.where(np.isnan(chance) & ~np.isnan(values), 0.2, chance)
    found, expected = (jackknife_kappa(values, each) for each in (chance, filled))
    for end in ("mean", "low", "high"):
        assert getattr(found, end) == pytest.approx(getattr(expected, end))
    # The third pair, with the smallest value, is part of the range.
    assert found.low == pytest.approx((0.4 - 0.2) / 0.8)
    assert found.low < found.mean < found.high
