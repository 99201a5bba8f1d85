"""Cosines between the latents of two dictionaries, and the mean max cosine.

A dictionary is a matrix with one latent's direction per row; row lengths do not matter.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.errors import UserError


def normalize_rows(W: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale rows to length 1; a row of zeros stays zero (cosine 0 with all).

    Args:
        W: directions, any floating type (half precision is converted to single).

    Raises:
        UserError: if `W` is not a matrix, is empty, or holds NaN or infinity.
    """
    W = _checked(W)
    # The square of a row as short as 1e-25 would vanish in single precision; dividing by the
    # largest entry first keeps short rows' directions.
    largest = W.abs().amax(dim=1, keepdim=True)
    W = W / torch.where(largest > 0, largest, 1.0)
    length = torch.linalg.vector_norm(W, dim=1, keepdim=True)
    return W / torch.where(length > 0, length, 1.0)


def cosines(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> Float[Tensor, "n_a n_b"]:
    """Signed cosine of each latent of `A` with each latent of `B`.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
    """
    A, B = normalized_pair(A, B)
    return A @ B.T


def normalized_pair(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]
) -> tuple[Float[Tensor, "n_a d"], Float[Tensor, "n_b d"]]:
    """Scale the rows of both to length 1 and give both the same type.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
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
    """Mean max cosine: each latent's best signed cosine with the other dictionary, both ways."""
    return two_way_mean(cosines(A, B))


def max_abs_cosine(A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"]) -> float:
    """As `max_cosine`, with opposite directions counted as the same latent."""
    return two_way_mean(cosines(A, B).abs())


def two_way_mean(S: Float[Tensor, "n_a n_b"]) -> float:
    """Mean of the rows' maxima averaged with the mean of the columns' maxima."""
    # amax, not max: the indices are not needed and take 20 times as long.
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
