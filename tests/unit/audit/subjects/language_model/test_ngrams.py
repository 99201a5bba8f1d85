"""The n-gram baselines of the language model, against counting in plain Python."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from audit.subjects.language_model.ngrams import heldout_loss
from seedstability.errors import UserError

TOKENS = 7


def drawn(seed: int, rows: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    # Some tokens are frequent and follow themselves, so that counts differ.
    text = np.minimum(generator.geometric(0.4, (rows, 12)) - 1, TOKENS - 1)
    text[:, 5:9] = text[:, 1:5]
    text[:, 0] = 0
    return text.astype(np.int32)


def grams(contexts: np.ndarray, order: int) -> list[tuple[int, ...]]:
    found = []
    for row in contexts.tolist():
        padded = [row[0]] * (order - 1) + row
        for end in range(order, len(padded)):
            found.append(tuple(padded[end - order + 1 : end + 1]))
    return found


def plain_loss(train: np.ndarray, heldout: np.ndarray, order: int) -> float:
    """Textbook Kneser–Ney, one dictionary for each order."""
    counts = {order: Counter(grams(train, order))}
    for n in range(order - 1, 0, -1):
        counts[n] = Counter(gram[1:] for gram in counts[n + 1])
    followers: dict = {n: defaultdict(dict) for n in counts}
    discounts = {}
    for n, counted in counts.items():
        for gram, count in counted.items():
            followers[n][gram[:-1]][gram[-1]] = count
        once, twice = (sum(c == k for c in counted.values()) for k in (1, 2))
        discounts[n] = once / (once + 2 * twice) if once else 0.5

    def probability(gram: tuple[int, ...]) -> float:
        if not gram:
            return 1 / TOKENS
        seen = followers[len(gram)].get(gram[:-1])
        if seen is None:
            return probability(gram[1:])
        total, d = sum(seen.values()), discounts[len(gram)]
        direct = max(seen.get(gram[-1], 0) - d, 0) / total
        return direct + d * len(seen) / total * probability(gram[1:])

    wanted = grams(heldout, order)
    return -sum(math.log(probability(gram)) for gram in wanted) / len(wanted)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_losses_equal_plain_counting(order):
    train, heldout = drawn(0, 40), drawn(1, 20)
    ours = heldout_loss(train, heldout, order, TOKENS)
    assert ours == pytest.approx(plain_loss(train, heldout, order), rel=1e-12)


def test_an_unseen_token_has_positive_probability():
    nothing_seen_just_once = np.zeros((3, 5), np.int32)
    heldout = np.full((1, 5), 6, np.int32)
    for order in (1, 2):
        assert heldout_loss(nothing_seen_just_once, heldout, order, TOKENS) < 10


def test_an_order_beyond_63_bits_is_refused():
    with pytest.raises(UserError, match="order 6 of 4096 tokens does not fit"):
        heldout_loss(drawn(0, 2), drawn(1, 2), 6, 4096)
