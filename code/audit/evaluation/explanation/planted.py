"""Planted latents: what fires on a known token, or on a known token after a known one."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from audit.evaluation.explanation.windows import Activity, packed

_TRIED = 400
"""The most frequent tokens or pairs; few beyond stand in enough windows."""


def planted(tokens: Int[ndarray, "w 32"], pairs: bool) -> Iterator[Activity]:
    """Where each of the most frequent tokens stands, from the rarest of these on.

    Args:
        tokens: of the windows. Position 0 of a context is a separator, as frequent as contexts
            are many, and as easily foretold as any other token.
        pairs: ordered pairs of neighbours in the place of tokens.
    """
    unit = int(tokens.max()) + 1
    codes = tokens.astype(np.int64)
    if pairs:
        # What stands before a window's first token is not read: no pair ends there.
        codes[:, 1:] += codes[:, :-1] * unit
        codes[:, 0] = -1
    values, counts = np.unique(codes[codes >= 0], return_counts=True)
    frequent = values[np.argsort(-counts, kind="stable")[:_TRIED]]
    for value in frequent[::-1]:
        words = packed(codes == value)
        windows = np.flatnonzero(words)
        strength = np.bitwise_count(words[windows]).astype(np.float32)
        yield Activity(windows, words[windows], strength)
