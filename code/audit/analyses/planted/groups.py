"""Planted groups, and the assignment of latents to them."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from audit.subjects.synthetic.planted import Truth
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import top_subspace

UNASSIGNED = -1
"""Owner of a latent that no group holds enough of, or that never fires."""


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


def shares_of_groups(rows: Float[Tensor, "n d"], truth: Truth) -> Float[Tensor, "n groups"]:
    """Compute the share of each row's squared length in each group's subspace."""
    squares = (rows @ truth.directions.T).square()
    return torch.zeros(len(rows), truth.n).index_add_(1, truth.group, squares)


def assign_to_truth(
    decoder: Float[Tensor, "n d"],
    live: Bool[Tensor, " n"],
    shares: Float[Tensor, "n groups"],
    truth: Truth,
    owned_from: float,
) -> AssignedDictionary:
    """Assign each live latent to the group with the largest share of its row, or to none."""
    rows = normalize_rows(decoder)
    share, owner = shares.max(1)
    owner = torch.where(live & (share >= owned_from), owner, UNASSIGNED)
    spans = {}
    for block in truth.blocks:
        mine = rows[owner == block]
        if len(mine):
            spans[block] = top_subspace(mine, min(len(mine), int(truth.rank[block]))).to(rows)
    return AssignedDictionary(rows, live, owner, spans)


def recovered(each: AssignedDictionary, truth: Truth) -> Float[Tensor, " singles"]:
    """Compute the best cosine of each single with a live latent; 0 if no latent is live."""
    there = each.rows[each.live]
    if not len(there):
        return torch.zeros(truth.singles)
    return (truth.directions[: truth.singles] @ there.T).amax(1)


def spanned(each: AssignedDictionary, truth: Truth) -> Float[Tensor, " blocks"]:
    """Compute Σ cos² of the angles between block and span over its rank; 0 without latents."""
    shares = torch.zeros(len(truth.blocks))
    for place, block in enumerate(truth.blocks):
        if block in each.spans:
            within = (truth.basis(block) @ each.spans[block].T).square().sum()
            shares[place] = within / truth.rank[block]
    return shares
