"""Assignments by decoder and by encoder with known agreement."""

import numpy as np


def partners(shared: list[list[bool]], cosine: float = 0.9) -> dict:
    """Partners in pairs (0, 1), (0, 2), … of seeds; `shared` is [pair][latent].

    Decoder partners have equal numbers. Encoder partners of unshared latents are shifted by one, so
    that the assignments disagree.
    """
    n = len(shared[0])
    seeds = next(s for s in range(2, 9) if s * (s - 1) // 2 == len(shared))
    pairs = [(i, j) for i in range(seeds) for j in range(i + 1, seeds)]
    same = np.tile(np.arange(n), (len(pairs), 1))
    return {
        "pair": np.array(pairs),
        "decoder_partner": same,
        "encoder_partner": np.array([_swapped(np.array(row)) for row in shared]),
        "decoder_cosine": np.where(shared, cosine, 0.3),
        "encoder_cosine": np.where(shared, cosine, 0.3),
    }


def _swapped(row: np.ndarray) -> np.ndarray:
    """Partners that are shifted cyclically among unshared latents."""
    partner = np.arange(len(row))
    unshared = np.flatnonzero(~row)
    partner[unshared] = np.roll(unshared, 1)
    return partner


def evaluation(frequency: np.ndarray) -> dict:
    """Result of an evaluation stage for [S, n] firing rates."""
    return {"heldout": {"firing_rate": frequency}, "live": frequency > 0}
