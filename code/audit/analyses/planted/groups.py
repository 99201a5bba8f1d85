"""Planted groups, and the assignment of latents to them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import top_subspace

UNASSIGNED = -1
"""Owner of a latent that no group holds enough of, or that never fires."""


class PlantedGroups(NamedTuple):
    """The planted groups: single directions, then blocks."""

    directions: Float[Tensor, "features d"]
    """Rows of length one, orthonormal within a group."""
    group: Int[Tensor, " features"]
    """The group of each row."""
    rank: Int[Tensor, " groups"]
    """Number of rows of each group."""
    singles: int
    """Number of single directions, which are the first groups."""

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.rank)

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(self.singles, self.n)


class AssignedDictionary(NamedTuple):
    """One trained dictionary with its latents assigned to planted groups."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    live: Bool[Tensor, " n"]
    """Latents that fire on held-out samples."""
    owner: Int[Tensor, " n"]
    """The group of each latent, or `UNASSIGNED`."""
    spans: dict[int, Float[Tensor, "k d"]]
    """For each block with latents, their leading directions, at most as many as its rank."""

    def latents(self, group: int) -> Int[Tensor, " m"]:
        """Return the latents assigned to a group."""
        return (self.owner == group).nonzero()[:, 0]


def shares_of_groups(
    rows: Float[Tensor, "n d"], groups: PlantedGroups
) -> Float[Tensor, "n groups"]:
    """Compute the share of each row's squared length in each group's subspace."""
    squares = (rows @ groups.directions.T).square()
    return torch.zeros(len(rows), groups.n).index_add_(1, groups.group, squares)


def assign_to_truth(
    decoder: Float[Tensor, "n d"],
    live: Bool[Tensor, " n"],
    shares: Float[Tensor, "n groups"],
    groups: PlantedGroups,
    owned_from: float,
) -> AssignedDictionary:
    """Assign each live latent to the group with the largest share of its row, or to none."""
    rows = normalize_rows(decoder)
    share, owner = shares.max(1)
    owner = torch.where(live & (share >= owned_from), owner, UNASSIGNED)
    spans = {}
    for block in groups.blocks:
        mine = rows[owner == block]
        if len(mine):
            spans[block] = top_subspace(mine, min(len(mine), int(groups.rank[block]))).to(rows)
    return AssignedDictionary(rows, live, owner, spans)


def recovered(each: AssignedDictionary, groups: PlantedGroups) -> Float[Tensor, " singles"]:
    """Compute the best cosine of each single with a live latent; 0 if no latent is live."""
    there = each.rows[each.live]
    if not len(there):
        return torch.zeros(groups.singles)
    return (groups.directions[: groups.singles] @ there.T).amax(1)


def spanned(each: AssignedDictionary, groups: PlantedGroups) -> Float[Tensor, " blocks"]:
    """Compute Σ cos² of the angles between block and span over its rank; 0 without latents."""
    shares = torch.zeros(len(groups.blocks))
    for place, block in enumerate(groups.blocks):
        if block in each.spans:
            directions = groups.directions[groups.group == block]
            within = (directions @ each.spans[block].T).square().sum()
            shares[place] = within / groups.rank[block]
    return shares
