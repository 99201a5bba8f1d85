"""Cosines between the latents of two dictionaries, and the mean of the best ones.

A dictionary is a matrix with one latent's direction a row; lengths of rows play no part.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.errors import UserError


def normalize_rows(W: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows at length 1; a row of zeros has no direction and stays zero (cosine 0 with all).

    Args:
        W: directions, any floating type (half precision is raised to single).

    Raises:
        UserError: for what is no dictionary: not a matrix, empty, or holding NaN or infinity.
    """
    W = _checked(W)
    # The square of a row as short as 1e-25 would vanish in single precision; dividing by the
    # largest entry first keeps short rows' directions.
    largest = W.abs().amax(dim=1, keepdim=True)
    W = W / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(W, dim=1, keepdim=True)
    return W / torch.where(length > 0, length, 1.0)


def cosines(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> Float[Tensor, "n_a n_b"]:
    """Signed cosine of each latent of `A` with each of `B`.

    Raises:
        UserError: when one is no dictionary, or they live in spaces of different width.
    """
    A, B = normalized_pair(A, B)
    return A @ B.T


def normalized_pair(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]
) -> tuple[Float[Tensor, "n_a d"], Float[Tensor, "n_b d"]]:
    """Both with rows at length 1, in one type, as every comparison wants them.

    Raises:
        UserError: when one is no dictionary, or they live in spaces of different width.
    """
    A, B = normalize_rows(A), normalize_rows(B)
    if A.shape[1] != B.shape[1]:
        raise UserError(
            f"cannot compare a dictionary of width {A.shape[1]} with one of width {B.shape[1]}; "
            "both must come from the same activations"
        )
    if A.dtype != B.dtype:
        A, B = A.double(), B.double()
    return A, B


def max_cosine(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> float:
    """Mean over latents of the best signed cosine with the other dictionary, over both ways."""
    return two_way_mean(cosines(A, B))


def max_abs_cosine(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> float:
    """As `max_cosine`, with an opposite direction counting as the same latent."""
    return two_way_mean(cosines(A, B).abs())


def two_way_mean(S: Float[Tensor, "n_a n_b"]) -> float:
    """Mean of the rows' maxima averaged with the mean of the columns' maxima."""
    # amax, not max: the indices are not needed, and looking for them takes 20 times as long.
    rows = S.amax(dim=1).mean(dtype=torch.float64)
    columns = S.amax(dim=0).mean(dtype=torch.float64)
    return 0.5 * (rows + columns).item()


def _checked(W: Tensor) -> Tensor:
    if W.ndim != 2 or 0 in W.shape:
        raise UserError(
            f"a dictionary has shape {tuple(W.shape)}; it must be [latents, width], neither empty"
        )
    if not W.is_floating_point() or W.dtype in (torch.float16, torch.bfloat16):
        W = W.float()
    if not torch.isfinite(W).all():
        row = int((~torch.isfinite(W)).any(dim=1).nonzero()[0])
        raise UserError(f"row {row} of a dictionary is not finite; every entry must be a number")
    return W
