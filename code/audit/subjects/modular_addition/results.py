"""What the stages of modular addition hand on."""

from typing import TypedDict

import numpy as np
from jaxtyping import Float, Int64

from audit.subjects.results import Activations


class PairActivations(Activations):
    """Activations at one position, and the pairs (a, b) that they belong to.

    With p = 113 there are 10,215 training and 2,554 held-out pairs.
    """

    train_pairs: Int64[np.ndarray, "samples 2"]
    heldout_pairs: Int64[np.ndarray, "heldout 2"]


class Logits(TypedDict):
    """Logits of the answers 0 … p − 1, rows as in `PairActivations`."""

    train_logits: Float[np.ndarray, "samples p"]
    heldout_logits: Float[np.ndarray, "heldout p"]


def over_all_pairs(
    activations: PairActivations,
) -> tuple[Float[np.ndarray, "all d"], Int64[np.ndarray, "all 2"]]:
    """Training and held-out activations together, and their pairs."""
    return (
        np.concatenate([activations["train"], activations["heldout"]]),
        np.concatenate([activations["train_pairs"], activations["heldout_pairs"]]),
    )
