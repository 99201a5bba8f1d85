"""Interpolated Kneser–Ney n-gram models: the baseline of the language model.

Of order n, with context h of n − 1 tokens, h′ the same without its first token, and counts c,

    p(w | h) = max(c(hw) − D, 0) / c(h·) + D N(h·) / c(h·) · p(w | h′)

where N(h·) is the number of different tokens that follow h, and D = n₁ / (n₁ + 2 n₂) with n₁ and n₂
the numbers of n-grams seen once and twice (Ney, Essen and Kneser, 1994); D is one half if n₁ = 0.
Below the highest order, c counts the different tokens that come before. The lowest order backs off
to the uniform distribution. A context shorter than n − 1 tokens is padded on the left with
separators.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from audit.subjects.language_model.text import Contexts
from seedstability.errors import UserError


class _Order(NamedTuple):
    """Counts of one order. An n-gram is one number: its tokens are the digits, highest first."""

    grams: Int64[np.ndarray, " g"]
    """N-grams, ascending."""
    counts: Int64[np.ndarray, " g"]
    """Occurrences of each, or the number of different tokens before it."""
    heads: Int64[np.ndarray, " h"]
    """Contexts, all tokens except the last; ascending."""
    totals: Int64[np.ndarray, " h"]
    """Sum of the counts of each head."""
    kinds: Int64[np.ndarray, " h"]
    """Different tokens after each head."""
    discount: float
    """The discount D."""


def heldout_loss(train: Contexts, heldout: Contexts, order: int, n_tokens: int) -> float:
    """Compute the mean negative log-probability of held-out tokens after the first, in nats.

    Raises:
        UserError: n-grams of this order do not fit 63 bits.
    """
    if order * np.log2(n_tokens) > 63:
        raise UserError(
            f"order {order} of {n_tokens} tokens does not fit 63 bits; take a lower one"
        )
    orders = _count(train, order, n_tokens)
    probability = np.full(heldout[:, 1:].size, 1.0 / n_tokens)
    for n, counted in enumerate(orders, start=1):
        probability = _interpolated(counted, _grams(heldout, n, n_tokens), probability, n_tokens)
    return float(-np.log(probability).mean())


def _count(train: Contexts, order: int, n_tokens: int) -> list[_Order]:
    """Count orders 1 … n: the highest by occurrences, the others by different tokens before."""
    grams, counts = np.unique(_grams(train, order, n_tokens), return_counts=True)
    found = [_with_heads(grams, counts, n_tokens)]
    for n in range(order - 1, 0, -1):
        # Each distinct (n + 1)-gram adds one token before its last n.
        grams, counts = np.unique(grams % n_tokens**n, return_counts=True)
        found.insert(0, _with_heads(grams, counts, n_tokens))
    return found


def _with_heads(grams: np.ndarray, counts: np.ndarray, n_tokens: int) -> _Order:
    heads, first, kinds = np.unique(grams // n_tokens, return_index=True, return_counts=True)
    once, twice = (int((counts == n).sum()) for n in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    return _Order(grams, counts, heads, np.add.reduceat(counts, first), kinds, discount)


def _interpolated(
    counted: _Order,
    grams: Int64[np.ndarray, " m"],
    shorter: Float64[np.ndarray, " m"],
    n_tokens: int,
) -> Float64[np.ndarray, " m"]:
    """Interpolate probabilities of this order with those of the next lower one."""
    at, seen = _look_up(counted.heads, grams // n_tokens)
    total = np.where(seen, counted.totals[at], 1)
    kinds = np.where(seen, counted.kinds[at], 0)
    gram_at, gram_seen = _look_up(counted.grams, grams)
    count = np.where(gram_seen, counted.counts[gram_at], 0)
    direct = np.maximum(count - counted.discount, 0.0) / total
    rest = np.where(seen, counted.discount * kinds / total, 1.0)
    return direct + rest * shorter


def _look_up(table: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return at, table[at] == wanted


def _grams(contexts: Contexts, order: int, n_tokens: int) -> Int64[np.ndarray, " m"]:
    """Return the n-gram that ends at each token after the first, context after context."""
    separators = np.repeat(contexts[:, :1], order - 1, axis=1)
    padded = np.concatenate([separators, contexts], axis=1).astype(np.int64)
    length = contexts.shape[1] - 1
    grams = np.zeros((len(contexts), length), np.int64)
    for back in range(order - 1, -1, -1):
        first = order - back
        grams = grams * n_tokens + padded[:, first : first + length]
    return grams.ravel()
