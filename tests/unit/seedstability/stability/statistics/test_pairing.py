"""Pairs that are alike in one number: as many as there can be, and the nearest of them."""

from itertools import permutations

import numpy as np

from seedstability.stability.statistics.pairing import nearest_pairs


def by_trying(first, second, caliper):
    """Most pairs within the caliper, and the least sum of differences among so many."""
    best = (0, 0.0)
    for order in permutations(range(len(second)), len(first)):
        near = [abs(first[i] - second[j]) for i, j in enumerate(order)]
        near = [each for each in near if each <= caliper]
        best = max(best, (len(near), -sum(near)))
    return best[0], -best[1]


def test_pairs_are_as_many_and_as_near_as_trying_all_gives():
    generator = np.random.default_rng(0)
    for _ in range(30):
        first, second = generator.random(4), generator.random(6)
        rows, columns = nearest_pairs(first, second, 0.15)
        many, total = by_trying(first, second, 0.15)
        assert len(rows) == many
        assert np.isclose(np.abs(first[rows] - second[columns]).sum(), total)


def test_nobody_is_in_two_pairs_and_no_pair_is_wider_than_the_caliper():
    generator = np.random.default_rng(1)
    first, second = generator.normal(size=60), generator.normal(1.0, 1.0, size=40)
    rows, columns = nearest_pairs(first, second, 0.1)
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)
    assert np.abs(first[rows] - second[columns]).max() <= 0.1


def test_a_chain_is_paired_whole_where_the_nearest_first_would_lose_a_pair():
    # 1.0 is nearest to 1.1, but then 1.2 has nobody within the caliper
    rows, columns = nearest_pairs(np.array([1.0, 1.2]), np.array([0.86, 1.1]), 0.15)
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [0, 1]


def test_one_more_pair_is_worth_any_distance_within_the_caliper():
    # two pairs could be nine times as near, but then the third latent has nobody
    first, second = np.array([1.0, 2.0, 3.0]), np.array([0.1, 1.1, 2.1])
    rows, columns = nearest_pairs(first, second, 1.0)
    assert rows.tolist() == [0, 1, 2]
    assert columns.tolist() == [0, 1, 2]


def test_groups_without_anybody_near_have_no_pairs():
    assert len(nearest_pairs(np.array([0.0]), np.array([1.0]), 0.5)[0]) == 0
    assert len(nearest_pairs(np.empty(0), np.array([1.0]), 0.5)[0]) == 0
