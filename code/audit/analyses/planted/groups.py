"""Planted units, and which of them each latent of a dictionary stands for."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seedstability.stability.cosine import normalize_rows
from seedstability.stability.subspaces.principal import top_subspace

NOBODY = -1
"""Owner of a latent that no unit holds enough of, or that never fires."""


class Units(NamedTuple):
    """The planted units."""

    directions: Float[Tensor, "features d"]
    """Unit rows, orthonormal within a unit."""
    unit: Int[Tensor, " features"]
    """The unit of each row."""
    rank: Int[Tensor, " units"]
    """Rows of each unit."""
    singles: int
    """The first so many units are single directions, the others blocks."""

    @property
    def n(self) -> int:
        """Units."""
        return len(self.rank)

    @property
    def blocks(self) -> range:
        """Those that are blocks."""
        return range(self.singles, self.n)


class Dictionary(NamedTuple):
    """One trained dictionary, held against the truth."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    live: Bool[Tensor, " n"]
    """Latents that fire on held-out samples."""
    owner: Int[Tensor, " n"]
    """The unit of each latent, or `NOBODY`."""
    spans: dict[int, Float[Tensor, "k d"]]
    """For each block that owns latents, their leading directions, as many as its rank at most."""

    def latents(self, unit: int) -> Int[Tensor, " m"]:
        """Latents of a unit."""
        return (self.owner == unit).nonzero()[:, 0]


def shares_of_units(rows: Float[Tensor, "n d"], units: Units) -> Float[Tensor, "n units"]:
    """Share of each unit row's squared length in each unit's subspace."""
    squares = (rows @ units.directions.T).square()
    return torch.zeros(len(rows), units.n).index_add_(1, units.unit, squares)


def held_against(
    decoder: Float[Tensor, "n d"],
    live: Bool[Tensor, " n"],
    shares: Float[Tensor, "n units"],
    units: Units,
    owned_from: float,
) -> Dictionary:
    """A dictionary whose live latents belong to the unit with most of their row, or to nobody."""
    rows = normalize_rows(decoder)
    share, owner = shares.max(1)
    owner = torch.where(live & (share >= owned_from), owner, NOBODY)
    spans = {}
    for block in units.blocks:
        mine = rows[owner == block]
        if len(mine):
            spans[block] = top_subspace(mine, min(len(mine), int(units.rank[block]))).to(rows)
    return Dictionary(rows, live, owner, spans)


def recovered(each: Dictionary, units: Units) -> Float[Tensor, " singles"]:
    """Best cosine of each single with a live latent; 0 where none lives."""
    there = each.rows[each.live]
    if not len(there):
        return torch.zeros(units.singles)
    return (units.directions[: units.singles] @ there.T).amax(1)


def spanned(each: Dictionary, units: Units) -> Float[Tensor, " blocks"]:
    """Σ cos² of the angles between block and span over the block's rank; 0 where nobody is."""
    shares = torch.zeros(len(units.blocks))
    for place, block in enumerate(units.blocks):
        if block in each.spans:
            directions = units.directions[units.unit == block]
            within = (directions @ each.spans[block].T).square().sum()
            shares[place] = within / units.rank[block]
    return shares
