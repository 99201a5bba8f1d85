"""Tests for few seeds: worked examples, level and power."""

import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from seedstability.stability import statistics
from seedstability.stability.statistics.significance import (
    disjoint_pairs,
    flip_signs,
    holm,
    minimum_detectable_effect,
    p_value_against_chance,
    permute_seeds,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_p_against_chance_counts_the_observation_itself():
    draws = np.array([0.1, 0.2, 0.3])
    assert p_value_against_chance(0.4, draws) == 0.25
    assert p_value_against_chance(0.3, draws) == 0.5
    assert p_value_against_chance(0.0, draws) == 1.0
    with pytest.raises(ValueError, match="at least one"):
        p_value_against_chance(0.1, np.array([]))


def test_five_pairs_have_a_minimum_p_of_a_sixteenth():
    assert flip_signs(np.array([0.1, 0.2, 0.3, 0.1, 0.7]), rng()) == 0.0625
    assert flip_signs(-np.array([0.1, 0.2, 0.3, 0.1, 0.7]), rng()) == 0.0625


def test_sign_flips_by_hand():
    # |mean| ≥ ⅓·2 for the signs of (3, −1, 0): 3 and 1 apart or alike, 0 either way.
    assert flip_signs(np.array([3.0, -1.0, 0.0]), rng()) == 1.0
    assert flip_signs(np.array([3.0, 1.0, 0.0]), rng()) == 0.5
    assert flip_signs(np.zeros(4), rng()) == 1.0
    for bad in (np.array([]), np.ones((2, 2))):
        with pytest.raises(ValueError, match="one for each pair"):
            flip_signs(bad, rng())


def test_sampled_sign_flips_agree_with_enumeration():
    differences = rng(1).normal(0.4, size=10)
    exact = flip_signs(differences, rng(), n_draws=2000)
    drawn = flip_signs(differences, rng(), n_draws=1000)
    assert drawn == pytest.approx(exact, abs=0.04)
    assert flip_signs(np.ones(40), rng(), n_draws=99) == 0.01


def test_permuting_values_by_hand():
    # Of the 6 ways to choose two of four, {1,2} and {3,4} differ most.
    values, first = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False])
    assert permute_seeds(values, first, rng()) == pytest.approx(2 / 6)
    assert permute_seeds(values[[0, 2, 1, 3]], first, rng()) == pytest.approx(4 / 6)


def test_permuting_values_agrees_with_scipy():
    values, first = rng(2).normal(size=9), np.arange(9) < 4
    values[first] += 1.0
    theirs = stats.permutation_test(
        (values[first], values[~first]),
        lambda a, b: abs(a.mean() - b.mean()),
        alternative="greater",
        n_resamples=np.inf,
    )
    assert permute_seeds(values, first, rng()) == pytest.approx(theirs.pvalue)


def test_permuting_seeds_permutes_rows_and_columns():
    # Seeds are similar within arm one, but not within arm two or across arms.
    matrix, first = np.full((10, 10), 0.1), np.arange(10) < 5
    matrix[:5, :5] = 0.9
    np.fill_diagonal(matrix, np.nan)
    assert permute_seeds(matrix, first, rng()) == pytest.approx(2 / 252)
    assert permute_seeds(matrix, first, rng(), n_draws=200) < 0.05
    assert permute_seeds(np.full((10, 10), 0.3), first, rng()) == 1.0


def test_permutation_test_has_nominal_level_under_the_null():
    generator, first = rng(4), np.arange(10) < 5
    p = []
    for _ in range(150):
        noise = generator.normal(size=(10, 10))
        p.append(permute_seeds(noise + noise.T, first, generator, n_draws=99))
    assert 0.0 < np.mean(np.array(p) <= 0.1) < 0.18
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_small_arms_and_wrong_shapes_are_refused():
    first = np.array([True, False, False])
    with pytest.raises(ValueError, match="too small"):
        permute_seeds(np.ones((3, 3)), first, rng())
    with pytest.raises(ValueError, match="need \\[3\\] or \\[3, 3\\]"):
        permute_seeds(np.ones(4), first, rng())
    assert permute_seeds(np.ones(3), first, rng()) == 1.0


def test_non_finite_values_are_refused():
    matrix, first = np.ones((4, 4)), np.arange(4) < 2
    matrix[0, 3] = np.nan
    for attempt in (
        lambda: p_value_against_chance(np.nan, np.ones(9)),
        lambda: p_value_against_chance(1.0, np.array([0.1, np.nan])),
        lambda: flip_signs(np.array([1.0, np.nan]), rng()),
        lambda: permute_seeds(np.array([1.0, 2.0, np.inf, 3.0]), first, rng()),
        lambda: permute_seeds(matrix, first, rng()),
    ):
        with pytest.raises(ValueError, match="not finite"):
            attempt()


def test_disjoint_pairs_share_no_seed():
    matrix = np.arange(25.0).reshape(5, 5)
    assert disjoint_pairs(matrix).tolist() == [1.0, 13.0]
    assert disjoint_pairs(matrix[:4, :4]).tolist() == [1.0, 13.0]


def test_holm_by_hand():
    # 0.005·4, 0.01·3, 0.03·2, and 0.04·1 raised to the one before it.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.04])) == pytest.approx([0.04])
    assert holm(np.array([])).tolist() == []
    for bad in ([-0.1], [1.1], [np.nan]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm(np.array(bad))


def test_minimum_detectable_effects_of_five_and_twenty_seeds():
    # definitions.md §3: 1.7 and 2.0 sd, 0.67 and 0.91 (paired at twenty: 0.660 by noncentral t).
    assert minimum_detectable_effect(1.0, 5, paired=True) == pytest.approx(1.7, abs=0.03)
    assert minimum_detectable_effect(1.0, 5, paired=False) == pytest.approx(2.0, abs=0.03)
    assert minimum_detectable_effect(1.0, 20, paired=True) == pytest.approx(0.67, abs=0.011)
    assert minimum_detectable_effect(1.0, 20, paired=False) == pytest.approx(0.91, abs=0.005)
    assert minimum_detectable_effect(0.01, 5, paired=True) == pytest.approx(0.0168, abs=0.0001)
    assert minimum_detectable_effect(0.0, 5, paired=True) == 0.0


@pytest.mark.parametrize("paired", [True, False])
def test_minimum_detectable_effect_has_80_percent_power(paired):
    generator, seeds = rng(5), 6
    difference = minimum_detectable_effect(1.0, seeds, paired)
    first = generator.normal(difference, size=(4000, seeds))
    second = np.zeros((4000, seeds)) if paired else generator.normal(size=(4000, seeds))
    test = stats.ttest_rel if paired else stats.ttest_ind
    seen = np.mean(test(first, second, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.02)


def test_invalid_designs_are_refused():
    for bad in ({"seeds": 1}, {"power": 0.01}, {"power": 1.0}, {"alpha": 0.0}, {"sd": -1.0}):
        settings = {"sd": 1.0, "seeds": 5, "paired": True} | bad
        with pytest.raises(ValueError, match="at least 2 seeds"):
            minimum_detectable_effect(**settings)


def test_statistics_need_no_torch():
    names = [module.name for module in pkgutil.iter_modules(statistics.__path__)]
    assert len(names) > 5
    modules = ", ".join(f"{statistics.__name__}.{name}" for name in names)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
