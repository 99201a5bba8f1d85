"""Clusters of latents, and the overlap of their spans across seeds."""

import numpy as np
import pytest
import torch

from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.clusters import (
    best_overlaps,
    make_cluster,
    random_spans_like,
    select_clusters,
    stacked_bases,
    ward_labels,
)

D, BLOCKS, RANK = 60, 5, 3


def planted(seed: int, each: int = 14, noise: float = 0.0) -> tuple[torch.Tensor, np.ndarray]:
    """Latents in blocks of three coordinates, different in each seed, around one direction each."""
    generator = torch.Generator().manual_seed(seed)
    W, block = torch.zeros(BLOCKS * each, D), np.repeat(np.arange(BLOCKS), each)
    for place, number in enumerate(block):
        within = torch.randn(RANK, generator=generator)
        within[0] = within[0].abs() + 1.0
        W[place, RANK * number : RANK * (number + 1)] = within
    W += noise * torch.randn(W.shape, generator=generator)
    return normalize_rows(W), block


def clusters(W, labels):
    return select_clusters(W, np.arange(len(W)) % 4, labels, min_members=6, min_seeds=2)


def test_ward_recovers_planted_blocks():
    W, block = planted(0)
    labels = ward_labels((W @ W.T).double().numpy(), BLOCKS)
    assert len(np.unique(labels)) == BLOCKS
    assert all(len(np.unique(labels[block == b])) == 1 for b in range(BLOCKS))


def test_ward_distances_equal_those_of_the_rows():
    from scipy.cluster.hierarchy import fcluster, linkage

    rows = np.random.default_rng(0).normal(size=(50, 8))
    plain = fcluster(linkage(rows, "ward"), 7, "maxclust") - 1
    assert np.array_equal(ward_labels(rows @ rows.T, 7), plain)


def test_different_bases_of_the_same_blocks_have_overlap_one():
    (A, a), (B, b) = planted(0), planted(1)
    ours, theirs = clusters(A, a), clusters(B, b)
    assert all(cluster.basis.shape[0] == RANK or cluster.dimension <= RANK for cluster in ours)
    found, which = best_overlaps(ours, stacked_bases(theirs, RANK))
    whole = [c._replace(dimension=RANK) for c in ours]
    at_rank, _ = best_overlaps(whole, stacked_bases(theirs, RANK))
    assert which.tolist() == list(range(BLOCKS))
    assert at_rank == pytest.approx(np.ones(BLOCKS), abs=1e-6)
    assert found.min() > 0.5


def test_spans_of_other_coordinates_have_no_overlap():
    (A, a), (B, b) = planted(0), planted(1)
    elsewhere = stacked_bases(clusters(B, b), RANK).roll(BLOCKS * RANK, dims=2)
    found, _ = best_overlaps(clusters(A, a), elsewhere)
    assert found.max() < 1e-9


def test_small_clusters_and_clusters_of_few_seeds_are_dropped():
    W, block = planted(0, each=8)
    seeds = np.where(block == 1, 0, np.arange(len(W)) % 4)
    labels = np.where((block == 2) & (np.arange(len(W)) % 2 == 0), 9, block)
    kept = select_clusters(W, seeds, labels, min_members=6, min_seeds=3)
    assert [int(block[c.members[0]]) for c in kept] == [0, 3, 4]


def test_dimension_is_the_participation_ratio_of_the_members():
    W = torch.eye(D)[:4].repeat(3, 1)
    cluster = make_cluster(W, np.arange(12))
    assert cluster.participation == pytest.approx(4.0)
    assert cluster.dimension == 4
    # nine rows along one direction and one along another: 10² / (9² + 1²)
    uneven = make_cluster(torch.eye(D)[[0] * 9 + [1]], np.arange(10))
    assert uneven.participation == pytest.approx(100 / 82)


def test_random_spans_are_orthonormal_and_within_the_data():
    W, block = planted(0, noise=0.1)
    bases = stacked_bases(clusters(W, block), 8)
    covariance = torch.zeros(D, D)
    covariance[:20, :20] = torch.eye(20)
    drawn = random_spans_like(bases, covariance, torch.Generator().manual_seed(0))
    assert drawn.shape == bases.shape
    for one, other in zip(drawn, bases, strict=True):
        assert torch.allclose(one @ one.T, other @ other.T, atol=1e-6)
    assert drawn[:, :, 20:].abs().max() < 1e-6


def test_small_bases_are_padded_with_zeros():
    W, block = planted(0, each=6)
    [first, *_] = clusters(W, block)
    padded = stacked_bases([first], 20)
    rank = len(first.basis)
    assert torch.equal(padded[0, :rank], first.basis)
    assert padded[0, rank:].abs().max() == 0.0
