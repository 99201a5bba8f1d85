"""Nearest partner of every latent, many-to-one, without holding all cosines at once."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.stability.cosine import normalized_pair

_COSINES_AT_ONCE = 1 << 24
"""64 MB. Up to 4,096 latents are compared by one product, as in `cosines`."""
_ROWS, _COLUMNS = 512, 4096
"""Otherwise blocks of 8 MB, which stay in the processor's cache while they are reduced."""


class BestCosines(NamedTuple):
    """Cosine of each latent with its nearest partner in the other dictionary."""

    rows: Float[Tensor, " n_a"]
    """Best signed cosine of each latent of A."""
    columns: Float[Tensor, " n_b"]
    """Best signed cosine of each latent of B."""
    abs_rows: Float[Tensor, " n_a"]
    """Best absolute cosine of each latent of A."""
    abs_columns: Float[Tensor, " n_b"]
    """Best absolute cosine of each latent of B."""

    @property
    def max_cosine(self) -> float:
        """Two-way mean of the signed cosines (definitions: `max_cosine`)."""
        return _two_way(self.rows, self.columns)

    @property
    def max_abs_cosine(self) -> float:
        """Two-way mean of the absolute cosines (definitions: `max_abs_cosine`)."""
        return _two_way(self.abs_rows, self.abs_columns)


def best_cosines(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> BestCosines:
    """Best cosine of each latent with the other dictionary, in both directions.

    Needs 64 MB besides normalized copies of `A` and `B`.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
    """
    return best_cosines_of_units(*normalized_pair(A, B))


def best_cosines_of_units(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> BestCosines:
    """As `best_cosines`, for rows that have length 1 already and are not checked again."""
    none = torch.finfo(A.dtype).min
    high_rows, high_columns = A.new_full((len(A),), none), A.new_full((len(B),), none)
    # The minimum as the maximum of the negative: absolute cosines need no second pass.
    low_rows, low_columns = high_rows.clone(), high_columns.clone()
    for rows, columns, S in _blocks(A, B):
        _raise(high_rows[rows], S.amax(dim=1))
        _raise(high_columns[columns], S.amax(dim=0))
        _raise(low_rows[rows], S.amin(dim=1).neg_())
        _raise(low_columns[columns], S.amin(dim=0).neg_())
    return BestCosines(
        high_rows,
        high_columns,
        torch.maximum(high_rows, low_rows),
        torch.maximum(high_columns, low_columns),
    )


def nearest_rows(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"], count: int
) -> tuple[Int[Tensor, "n_a count"], Float[Tensor, "n_a count"]]:
    """Indices of the nearest rows of `B` of each row of `A`, nearest first, and their cosines.

    Fewer than `count` where `B` has fewer.

    Raises:
        UserError: as `best_cosines`.
    """
    A, B = normalized_pair(A, B)
    found = [(rows @ B.T).topk(min(count, len(B)), dim=1) for rows in A.split(_ROWS)]
    indices = torch.cat([each.indices for each in found])
    return indices, torch.cat([each.values for each in found])


def _blocks(A: Tensor, B: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    whole = len(A) * len(B) <= _COSINES_AT_ONCE
    height, width = (len(A), len(B)) if whole else (_ROWS, _COLUMNS)
    for j in range(0, len(B), width):
        columns = slice(j, min(j + width, len(B)))
        for i in range(0, len(A), height):
            rows = slice(i, min(i + height, len(A)))
            yield rows, columns, A[rows] @ B[columns].T


def _raise(best: Tensor, found: Tensor) -> None:
    torch.maximum(best, found, out=best)


def _two_way(rows: Tensor, columns: Tensor) -> float:
    return 0.5 * (rows.mean(dtype=torch.float64) + columns.mean(dtype=torch.float64)).item()
