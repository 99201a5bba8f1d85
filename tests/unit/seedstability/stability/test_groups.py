"""Stable and unstable latents are told apart, and laws with two ends from laws with one."""

import numpy as np
import pytest

from seedstability.errors import UserError
from seedstability.stability.groups import fit_beta_law, recurrence_rates, two_groups, u_shape
from seedstability.stability.groups_config import GroupsConfig

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
    """These latents are found in some seeds and not in others."""
    best[:, ::2, latents] = 0.9
    best[range(SEEDS), range(SEEDS)] = np.nan
    return best


def test_camps_are_the_latents_that_nearly_always_and_nearly_never_come_back():
    best = half_found(table(CAMPS), slice(24, N))
    groups = two_groups(best, ALIVE, GroupsConfig(fewest=10))
    assert groups.kind == "camps"
    for seed in range(SEEDS):
        assert groups.stable[seed].tolist() == list(range(12))
        assert groups.unstable[seed].tolist() == list(range(12, 24))
    assert groups.smallest == 12


def test_the_share_of_seeds_is_over_the_others():
    best = half_found(table(np.zeros(N)), slice(0, 1))
    # seeds 0, 2, 4 have it: three of five others find latents of the odd seeds, two of the even
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


def test_one_seed_with_a_small_camp_makes_quarters_of_all():
    alive = ALIVE.copy()
    alive[3, :9] = False
    groups = two_groups(half_found(table(CAMPS), slice(24, N)), alive, GroupsConfig(fewest=4))
    assert groups.kind == "quarters"
    assert [len(each) for each in groups.unstable] == [10, 10, 10, 7, 10, 10]
    assert set(groups.stable[0]) <= set(range(12))
    assert set(groups.unstable[0]) <= set(range(12, 24))


def test_a_dictionary_without_quarters_is_refused_in_one_line():
    with pytest.raises(UserError, match="dictionary 0 has fewer than 4 live"):
        two_groups(table(CAMPS), np.arange(N) < 3 * np.ones((SEEDS, 1)), GroupsConfig())


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0.3, 0.5, 0.5), (3.0, 1.5, -1.0), (0.5, 1.4, -0.4)]
)
def test_the_shape_of_a_law_is_found_in_its_votes(a, b, expected):
    generator = np.random.default_rng(0)
    counts = generator.binomial(19, generator.beta(a, b, 20_000))
    assert u_shape(fit_beta_law(counts, 19), counts) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("count", [0, 19])
def test_votes_that_are_all_the_same_are_one_camp(count):
    counts = np.full(500, count)
    assert u_shape(fit_beta_law(counts, 19), counts) == -1.0
