"""What training stages hand on."""

from collections.abc import Collection
from typing import NotRequired, TypedDict

import numpy as np
from jaxtyping import Float, Int


class Trace(TypedDict, total=False):
    """Measurements during training, at T snapshots."""

    step: Int[np.ndarray, " T"]
    epoch: np.ndarray
    """[T]."""
    loss: Float[np.ndarray, "T S"]
    """Mean training loss since the last snapshot."""
    explained_variance: Float[np.ndarray, "T S"]
    explained_variance_scalar_mean: Float[np.ndarray, "T S"]
    mse: Float[np.ndarray, "T S"]
    l0: Float[np.ndarray, "T S"]
    dead_fraction: Float[np.ndarray, "T S"]
    max_cosine: Float[np.ndarray, "T pairs"]
    max_cosine_chance: Float[np.ndarray, " T"]
    decoder: Float[np.ndarray, "T S n d"]
    """Where decoders were traced."""


class Dictionaries(TypedDict):
    """Dictionaries of S seeds."""

    encoder: Float[np.ndarray, "S n d"]
    encoder_bias: Float[np.ndarray, "S n"]
    decoder: Float[np.ndarray, "S n d"]
    decoder_bias: Float[np.ndarray, "S d"]
    threshold: Float[np.ndarray, "S n"]
    initial_decoder: Float[np.ndarray, "S n d"]
    """Before the first step; of control dictionaries, random directions."""
    seeds: NotRequired[Int[np.ndarray, " S"]]
    """Seed of each, where each has one of its own."""
    last_epoch_firings: NotRequired[Int[np.ndarray, "S n"]]
    """Samples of the last epoch on which each latent fires."""
    trace: NotRequired[Trace]


class PairTrace(TypedDict):
    """Measurements of P pairs at T epochs, 0 before the first step."""

    epoch: Int[np.ndarray, " T"]
    max_cosine: Float[np.ndarray, "T P"]
    """Of the decoders of each pair."""
    explained_variance: Float[np.ndarray, "T P 2"]
    explained_variance_scalar_mean: Float[np.ndarray, "T P 2"]
    mse: Float[np.ndarray, "T P 2"]
    l0: Float[np.ndarray, "T P 2"]
    dead_fraction: Float[np.ndarray, "T P 2"]
    decoder: NotRequired[Float[np.ndarray, "T P 2 n d"]]


class PairedDictionaries(TypedDict):
    """P pairs of dictionaries that were trained together."""

    encoder: Float[np.ndarray, "P 2 n d"]
    encoder_bias: Float[np.ndarray, "P 2 n"]
    decoder: Float[np.ndarray, "P 2 n d"]
    decoder_bias: Float[np.ndarray, "P 2 d"]
    threshold: Float[np.ndarray, "P 2 n"]
    initial_decoder: Float[np.ndarray, "P 2 n d"]
    trace: PairTrace


class TracedDecoders(TypedDict):
    """Decoders of S seeds before and during training."""

    initial_decoder: Float[np.ndarray, "S n d"]
    trace: Trace


def positions_of(seeds: Collection[int], there: Int[np.ndarray, " S"]) -> Int[np.ndarray, " seeds"]:
    """Positions of some seeds among those that are there, in the order of the latter.

    Raises:
        ValueError: a seed is not there.
    """
    missing = set(seeds) - set(there.tolist())
    if missing:
        raise ValueError(f"seeds {sorted(missing)} are not among {there.tolist()}")
    return np.flatnonzero(np.isin(there, list(seeds)))
