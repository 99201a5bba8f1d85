"""Clusters of latents of several seeds, and the overlap of their spans with other seeds' clusters.

Ward's method (Ward 1963) clusters a similarity matrix that is a Gram matrix, so that distances are
Euclidean. Two sets of clusters, computed independently, are compared by their spans at the
dimension of the first: each cluster is matched with the best of the other set. The null replaces
the span of each of the other clusters and repeats the search for the best.
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
    """A group of similar latents and its span."""

    members: Int[ndarray, " members"]
    """Indices of its latents, ascending."""
    basis: Float[Tensor, "rank d"]
    """Orthonormal directions, strongest first, in double precision."""
    dimension: int
    """Participation ratio, rounded: the dimension at which its span is compared."""
    participation: float
    """Participation ratio of the latents' second moments."""


def ward_labels(gram: Float[ndarray, "n n"], clusters: int) -> Int[ndarray, " n"]:
    """Label of each row, 0 … at most `clusters` − 1, by Ward's method.

    Args:
        gram: positive semidefinite similarities, such as a mean of cosines and correlations.
        clusters: number of clusters; there are fewer only if rows coincide.
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
    min_members: int,
    min_seeds: int,
) -> list[Cluster]:
    """Clusters with enough latents, of enough seeds, in the order of their labels.

    Args:
        W: directions of the latents, of length 1.
        seeds: seed of each latent.
        labels: cluster of each latent.
        min_members: minimum number of members.
        min_seeds: minimum number of seeds among the members.
    """
    found = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= min_members and len(np.unique(seeds[members])) >= min_seeds:
            found.append(make_cluster(W, members))
    return found


def make_cluster(W: Float[Tensor, "n d"], members: Int[ndarray, " members"]) -> Cluster:
    """Cluster of the rows `members` of `W`."""
    _, values, basis = torch.linalg.svd(W[torch.from_numpy(members)].double(), full_matrices=False)
    squares = values.square()
    participation = (squares.sum().square() / squares.square().sum()).item()
    return Cluster(members, basis, max(1, round(participation)), participation)


def best_overlaps(
    ours: list[Cluster], bases: Float[Tensor, "c rank d"]
) -> tuple[Float[ndarray, " ours"], Int[ndarray, " ours"]]:
    """Largest overlap of each of our clusters with the other spans, and the index of that span.

    Args:
        ours: clusters, each compared at its own dimension r.
        bases: the other spans, of which the first r directions count; a basis of lower rank is
            padded with rows of zeros.

    Returns:
        ‖A Bᵀ‖² / r with A and B of r directions each, and indices into `bases`.
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
    """First `rank` directions of each cluster, padded with rows of zeros."""
    d = clusters[0].basis.shape[1]
    bases = torch.zeros(len(clusters), rank, d, dtype=torch.float64)
    for into, cluster in zip(bases, clusters, strict=True):
        some = cluster.basis[:rank]
        into[: len(some)] = some
    return bases


def random_spans_like(
    bases: Float[Tensor, "c rank d"], covariance: Float[Tensor, "d d"], generator: Generator
) -> Float[Tensor, "c rank d"]:
    """Random spans for clusters of the same size and spread, with directions from a covariance.

    A cluster W = U diag(s) V keeps U and s, and thus all cosines among its members. V is drawn from
    N(0, covariance) and orthonormalized, starting with the first, strongest direction.
    """
    ranks = (bases.square().sum(dim=2) > 0.5).sum(dim=1).tolist()
    # All rows at once: each call computes the covariance's root.
    rows = data_directions(sum(ranks), covariance, generator).double().split(ranks)
    drawn = torch.zeros_like(bases)
    for into, some in zip(drawn, rows, strict=True):
        into[: len(some)] = torch.linalg.qr(some.T).Q.T
    return drawn
