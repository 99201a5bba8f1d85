"""Planted latents: positive controls that fire on a known token or pair of tokens."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from audit.evaluation.explanation.windows import Activity, packed

_CANDIDATES = 400
"""Number of most frequent tokens or pairs; few rarer ones occur in enough windows."""


def planted(tokens: Int[ndarray, "w 32"], pairs: bool) -> Iterator[Activity]:
    """Yield the occurrences of each of the most frequent tokens, the rarest first.

    Args:
        tokens: tokens of the windows. Position 0 of a context is a separator, which occurs once a
            context and is predicted as easily as any other token.
        pairs: use ordered pairs of neighboring tokens instead of tokens.
    """
    base = int(tokens.max()) + 1
    codes = tokens.astype(np.int64)
    if pairs:
        # A window's first token has no previous one: no pair ends there.
        codes[:, 1:] += codes[:, :-1] * base
        codes[:, 0] = -1
    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")[:_CANDIDATES]]
    for value in frequent[::-1]:
        words = packed(codes == value)
        windows = np.flatnonzero(words)
        strength = np.bitwise_count(words[windows]).astype(np.float32)
        yield Activity(windows, words[windows], strength)
