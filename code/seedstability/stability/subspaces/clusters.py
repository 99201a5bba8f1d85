"""Clusters of latents of several seeds, and whether other seeds have clusters with the same span.

Clusters are Ward's on a matrix of similarities that is a Gram matrix, so that distances are real
ones (Ward 1963). Two sets of clusters, found apart from each other, are compared by spans at the
dimension of the first: each cluster takes the best partner of the other set. A null has the other
set's clusters with another span each, and the same search for the best.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Generator, Tensor

from seedstability.stability.chance.null_models import data_directions


class Cluster(NamedTuple):
    """Latents that belong together."""

    members: Int[ndarray, " members"]
    """Places of its latents, ascending."""
    basis: Float[Tensor, "rank d"]
    """Orthonormal directions, the first holding most of the latents; double precision."""
    dimension: int
    """Participation of the latents' second moments, rounded: what its span is compared at."""
    participation: float
    """The same, not rounded."""


def ward_labels(gram: Float[ndarray, "n n"], clusters: int) -> Int[ndarray, " n"]:
    """Label of each row, 0 … at most `clusters` − 1, by Ward's method.

    Args:
        gram: positive semidefinite similarities, such as a mean of cosines and correlations.
        clusters: as many as are cut, fewer only where rows coincide.
    """
    if len(gram) < 2:
        return np.zeros(len(gram), int)
    squares = np.diag(gram)[:, None] + np.diag(gram) - 2.0 * gram
    distances = np.sqrt(np.clip(0.5 * (squares + squares.T), 0.0, None))
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="ward")
    return fcluster(tree, clusters, criterion="maxclust") - 1


def select_clusters(
    W: Float[Tensor, "n d"],
    seeds: Int[ndarray, " n"],
    labels: Int[ndarray, " n"],
    fewest: int,
    fewest_seeds: int,
) -> list[Cluster]:
    """Clusters with enough latents, of enough seeds, in the order of their labels.

    Args:
        W: directions of the latents, at length one.
        seeds: whose latent each is.
        labels: which cluster each is in.
        fewest: members that a cluster must have.
        fewest_seeds: seeds from which these must come.
    """
    found = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= fewest and len(np.unique(seeds[members])) >= fewest_seeds:
            found.append(make_cluster(W, members))
    return found


def make_cluster(W: Float[Tensor, "n d"], members: Int[ndarray, " members"]) -> Cluster:
    """What these rows span."""
    _, values, basis = torch.linalg.svd(W[torch.from_numpy(members)].double(), full_matrices=False)
    squares = values.square()
    participation = (squares.sum().square() / squares.square().sum()).item()
    return Cluster(members, basis, max(1, round(participation)), participation)


def best_overlaps(
    ours: list[Cluster], bases: Float[Tensor, "c rank d"]
) -> tuple[Float[ndarray, " ours"], Int[ndarray, " ours"]]:
    """Overlap of each of our clusters with the best of other spans, and which that is.

    Args:
        ours: clusters, each compared at its own dimension r.
        bases: of the others, the first r directions of each counting; rows of zeros beyond the
            rank of what is too small.

    Returns:
        ‖A Bᵀ‖² / r with A and B of r directions each.
    """
    best, which = np.empty(len(ours)), np.empty(len(ours), int)
    for place, cluster in enumerate(ours):
        r = cluster.dimension
        across = bases[:, :r] @ cluster.basis[:r].T
        overlaps = across.square().sum(dim=(1, 2)) / r
        which[place] = int(overlaps.argmax())
        best[place] = overlaps[which[place]].item()
    return best, which


def stacked_bases(clusters: list[Cluster], rank: int) -> Float[Tensor, "c rank d"]:
    """First `rank` directions of each cluster; zeros where it has fewer."""
    d = clusters[0].basis.shape[1]
    bases = torch.zeros(len(clusters), rank, d, dtype=torch.float64)
    for into, cluster in zip(bases, clusters, strict=True):
        some = cluster.basis[:rank]
        into[: len(some)] = some
    return bases


def random_spans_like(
    bases: Float[Tensor, "c rank d"], covariance: Float[Tensor, "d d"], generator: Generator
) -> Float[Tensor, "c rank d"]:
    """Spans of clusters of the same size and spread whose directions follow a covariance.

    A cluster W = U diag(s) V keeps U and s, and with them all cosines among its members; V is drawn
    from N(0, covariance) and made orthonormal, the first direction, which holds most, first.
    """
    ranks = (bases.square().sum(dim=2) > 0.5).sum(dim=1).tolist()
    # All rows at once: each call takes the covariance's root.
    rows = data_directions(sum(ranks), covariance, generator).double().split(ranks)
    drawn = torch.zeros_like(bases)
    for into, some in zip(drawn, rows, strict=True):
        into[: len(some)] = torch.linalg.qr(some.T).Q.T
    return drawn
