"""How frequent tokens are, and how many different ones there are among a few."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def log_ranks(counts: Int[ndarray, " vocabulary"]) -> Float[ndarray, " vocabulary"]:
    """log10 of each token's rank by frequency, 0 for the most frequent.

    Tokens of one frequency share the mean of their ranks: the order of the vocabulary, which a
    tokenizer makes by frequency, must not tell them apart.
    """
    _, place, sizes = np.unique(-counts, return_inverse=True, return_counts=True)
    return np.log10((sizes.cumsum() - 0.5 * (sizes - 1))[place])


def entropy(tokens: Int[ndarray, " firings"]) -> float:
    """Entropy in bits of the distribution of these tokens, as they are."""
    _, counts = np.unique(tokens, return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def subsampled_entropy(
    tokens: Int[ndarray, " firings"], firings: int, draws: int, draw: np.random.Generator
) -> float:
    """Mean entropy of so many of the tokens, drawn without replacement; NaN if there are fewer.

    Entropy of a sample is too small by an amount that hangs on its size (Miller 1955), so that rare
    latents would look purer. With one size for all the bias is the same function of the law.
    """
    if len(tokens) < firings:
        return float("nan")
    each = [entropy(draw.choice(tokens, firings, replace=False)) for _ in range(draws)]
    return float(np.mean(each))
