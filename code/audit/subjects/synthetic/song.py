"""Sparse sums of known directions: the synthetic data of Song et al. (2025)."""

from typing import TypedDict

import numpy as np
from jaxtyping import Float

from audit.subjects.synthetic.config import SongSamplesConfig
from seedstability.errors import UserError


class SongSamples(TypedDict):
    """Samples, and the directions that they are sums of."""

    train: Float[np.ndarray, "samples d"]
    heldout: Float[np.ndarray, "heldout d"]
    directions: Float[np.ndarray, "directions d"]


def song_samples(config: SongSamplesConfig) -> SongSamples:
    """Draw samples as sparse sums of directions.

    Random numbers are drawn in the order of the public code: all directions, then for each sample
    the active directions and their coefficients.

    Raises:
        UserError: a size is out of range.
    """
    if min(config.d, config.samples, config.heldout) < 1:
        raise UserError(f"d, samples and heldout must be at least 1; they are {config}")
    if not 1 <= config.active <= config.directions:
        raise UserError(
            f"{config.active} of {config.directions} directions cannot be active; "
            "need at least 1 and at most all"
        )
    stream = np.random.RandomState(config.seed)
    directions = stream.randn(config.directions, config.d)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    total = config.samples + config.heldout
    which = np.empty((total, config.active), np.int64)
    amount = np.empty((total, config.active))
    for row in range(total):
        which[row] = stream.choice(config.directions, config.active, replace=False)
        amount[row] = np.abs(stream.randn(config.active))
    x = np.einsum("sk,skd->sd", amount, directions[which]).astype(np.float32)
    return {
        "train": x[: config.samples],
        "heldout": x[config.samples :],
        "directions": directions.astype(np.float32),
    }
