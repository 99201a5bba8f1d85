"""Reorder the latents of one SAE so that each stands where its partner in another does."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from seedstability.dictionaries.sae import PARTS, SAE
from seedstability.errors import UserError
from seedstability.stability.matching.match import Matching, match


def permutation(matching: Matching, n_b: int) -> Int[Tensor, " n_b"]:
    """Order of the rows of B in which the partner of A's i-th matched row is the i-th.

    Args:
        matching: of A with B.
        n_b: number of rows of B; those without a partner come last, in their order.
    """
    first = matching.partner[matching.partner >= 0]
    left = torch.ones(n_b, dtype=torch.bool)
    left[first] = False
    return torch.cat([first, left.nonzero().flatten()])


def align(A: SAE, B: SAE) -> SAE:
    """B with its latents reordered by their one-to-one partners in A, by decoder.

    The i-th latent is the partner of A's i-th, where both have as many; of a larger A, whose
    latents do not all have partners, the i-th of those that have. What B reconstructs is the same.

    Raises:
        UserError: SAEs of different width.
    """
    if A.decoder.shape[1] != B.decoder.shape[1]:
        raise UserError(
            f"widths differ: {A.decoder.shape[1]} and {B.decoder.shape[1]}; latents of the same"
            " activations can be aligned"
        )
    order = permutation(match(A.decoder, B.decoder, certify=False), len(B.decoder))
    parts: dict[str, Any] = {
        name: part[order] for name, part in B.parts().items() if "n" in PARTS[name]
    }
    return replace(B, **parts)
