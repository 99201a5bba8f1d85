"""N-gram models by interpolated Kneser–Ney: what a language model has to beat.

Of order n, with context h of n − 1 tokens, its shorter form h′ without the first, and c the counts,

    p(w | h) = max(c(hw) − D, 0) / c(h·) + D N(h·) / c(h·) · p(w | h′)

where N(h·) is how many different tokens follow h, and D = n₁ / (n₁ + 2 n₂) from how many
n-grams were seen once and twice (Ney, Essen and Kneser, 1994), one half where none was seen once.
Below the highest order c counts how many different tokens come before. The last resort is even over
the vocabulary. A context shorter than n − 1 tokens, at the beginning, is completed on the left
with separators.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from audit.subjects.language_model.text import Contexts
from seedstability.errors import UserError


class _Order(NamedTuple):
    """Counts of one order. An n-gram is one number: its tokens are the digits, highest first."""

    grams: Int64[np.ndarray, " g"]
    """Ascending."""
    counts: Int64[np.ndarray, " g"]
    """How often each was seen, or after how many tokens."""
    heads: Int64[np.ndarray, " h"]
    """What they begin with, all but the last token; ascending."""
    totals: Int64[np.ndarray, " h"]
    """Summed counts of each head."""
    kinds: Int64[np.ndarray, " h"]
    """Different tokens after each head."""
    discount: float
    """D."""


def heldout_loss(train: Contexts, heldout: Contexts, order: int, n_tokens: int) -> float:
    """Mean negative log-probability of each held-out token after the first, in nats.

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
        probability = _refined(counted, _grams(heldout, n, n_tokens), probability, n_tokens)
    return float(-np.log(probability).mean())


def _count(train: Contexts, order: int, n_tokens: int) -> list[_Order]:
    """Orders 1 … n, the highest by how often, the others by how many tokens come before."""
    grams, counts = np.unique(_grams(train, order, n_tokens), return_counts=True)
    found = [_with_heads(grams, counts, n_tokens)]
    for n in range(order - 1, 0, -1):
        # Each kind of (n + 1)-gram is one more token before its last n.
        grams, counts = np.unique(grams % n_tokens**n, return_counts=True)
        found.insert(0, _with_heads(grams, counts, n_tokens))
    return found


def _with_heads(grams: np.ndarray, counts: np.ndarray, n_tokens: int) -> _Order:
    heads, first, kinds = np.unique(grams // n_tokens, return_index=True, return_counts=True)
    once, twice = (int((counts == n).sum()) for n in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    return _Order(grams, counts, heads, np.add.reduceat(counts, first), kinds, discount)


def _refined(
    counted: _Order,
    grams: Int64[np.ndarray, " m"],
    shorter: Float64[np.ndarray, " m"],
    n_tokens: int,
) -> Float64[np.ndarray, " m"]:
    """Probabilities by this order from those by the next lower one."""
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
    """The n-gram that ends at each token after the first, context after context."""
    separators = np.repeat(contexts[:, :1], order - 1, axis=1)
    padded = np.concatenate([separators, contexts], axis=1).astype(np.int64)
    length = contexts.shape[1] - 1
    grams = np.zeros((len(contexts), length), np.int64)
    for back in range(order - 1, -1, -1):
        first = order - back
        grams = grams * n_tokens + padded[:, first : first + length]
    return grams.ravel()
