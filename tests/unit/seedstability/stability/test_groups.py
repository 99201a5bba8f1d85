"""Groups of stable and unstable latents, and the U shape of beta distributions."""

import numpy as np
import pytest

from seedstability.errors import UserError
from seedstability.stability.config import GroupsConfig
from seedstability.stability.groups import fit_beta_law, recurrence_rates, two_groups, u_shape

SEEDS, N = 6, 40


def table(values: np.ndarray) -> np.ndarray:
    """[S, S, n] with the same best cosines for all pairs, and nothing on the diagonal."""
    best = np.tile(values.astype(np.float32), (SEEDS, SEEDS, 1))
    best[range(SEEDS), range(SEEDS)] = np.nan
    return best


CAMPS = np.where(np.arange(N) < 12, 0.95, np.where(np.arange(N) < 24, 0.1, 0.6))
MIXED = CAMPS.copy()
ALIVE = np.ones((SEEDS, N), bool)


def half_found(best: np.ndarray, latents: slice) -> np.ndarray:
    """Make these latents recur in some seeds and not in others."""
    best[:, ::2, latents] = 0.9
    best[range(SEEDS), range(SEEDS)] = np.nan
    return best


def test_camps_are_stable_and_unstable_latents():
    best = half_found(table(CAMPS), slice(24, N))
    groups = two_groups(best, ALIVE, GroupsConfig(fewest=10))
    assert groups.kind == "camps"
    for seed in range(SEEDS):
        assert groups.stable[seed].tolist() == list(range(12))
        assert groups.unstable[seed].tolist() == list(range(12, 24))
    assert groups.smallest == 12


def test_recurrence_rate_is_over_the_other_seeds():
    best = half_found(table(np.zeros(N)), slice(0, 1))
    # seeds 0, 2, 4 have it: latents of odd seeds recur in three of five others, of even in two
    assert recurrence_rates(best, 0.7)[:, 0] == pytest.approx([0.4, 0.6] * 3)


def test_dead_latents_are_in_no_group():
    alive = ALIVE.copy()
    alive[:, [0, 12]] = False
    groups = two_groups(half_found(table(CAMPS), slice(24, N)), alive, GroupsConfig(fewest=10))
    assert 0 not in groups.stable[0]
    assert 12 not in groups.unstable[0]
    quarters = two_groups(table(CAMPS), alive, GroupsConfig(fewest=12))
    assert quarters.kind == "quarters"
    assert 0 not in quarters.stable[0]
    assert 12 not in quarters.unstable[0]


def test_one_small_camp_switches_all_seeds_to_quarters():
    alive = ALIVE.copy()
    alive[3, :9] = False
    groups = two_groups(half_found(table(CAMPS), slice(24, N)), alive, GroupsConfig(fewest=4))
    assert groups.kind == "quarters"
    assert [len(each) for each in groups.unstable] == [10, 10, 10, 7, 10, 10]
    assert set(groups.stable[0]) <= set(range(12))
    assert set(groups.unstable[0]) <= set(range(12, 24))


def test_fewer_than_four_live_latents_are_refused():
    with pytest.raises(UserError, match="dictionary 0 has fewer than 4 live"):
        two_groups(table(CAMPS), np.arange(N) < 3 * np.ones((SEEDS, 1)), GroupsConfig())


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.3, 0.5, 0.5), (3.0, 1.5, -1.0), (0.5, 1.4, -0.4)]
)
def test_u_shape_is_recovered_from_counts(a, b, expected):
    generator = np.random.default_rng(0)
    counts = generator.binomial(19, generator.beta(a, b, 20_000))
    assert u_shape(fit_beta_law(counts, 19), counts) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("count", [0, 19])
def test_equal_counts_have_the_lowest_u_shape(count):
    counts = np.full(500, count)
    assert u_shape(fit_beta_law(counts, 19), counts) == -1.0
