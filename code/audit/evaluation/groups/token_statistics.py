"""Frequency ranks and entropy of tokens."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def log_ranks(counts: Int[ndarray, " vocabulary"]) -> Float[ndarray, " vocabulary"]:
    """Compute log10 of each token's frequency rank, 0 for the most frequent.

    Tokens of equal frequency share the mean of their ranks, so that the order of the vocabulary,
    which is itself by frequency, has no influence.
    """
    _, place, sizes = np.unique(-counts, return_inverse=True, return_counts=True)
    return np.log10((sizes.cumsum() - 0.5 * (sizes - 1))[place])


def entropy(tokens: Int[ndarray, " firings"]) -> float:
    """Compute the plug-in entropy of tokens, in bits."""
    _, counts = np.unique(tokens, return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def subsampled_entropy(
    tokens: Int[ndarray, " firings"], firings: int, draws: int, draw: np.random.Generator
) -> float:
    """Average the entropy of `firings` tokens drawn without replacement; NaN if there are fewer.

    The plug-in entropy is too small by an amount that depends on sample size (Miller 1955), so rare
    latents would seem more selective. With one size for all, the bias does not depend on frequency.
    """
    if len(tokens) < firings:
        return float("nan")
    each = [entropy(draw.choice(tokens, firings, replace=False)) for _ in range(draws)]
    return float(np.mean(each))
