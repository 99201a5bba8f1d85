"""Prices that prove an assignment at hand to be the best: the dual solution, found afterwards."""

import numpy as np
from jaxtyping import Float64, Int64

_RISE = 1e-13
"""Rises below this are rounding; in a cycle of ties they would go on for ever."""


def dual_prices(
    S: Float64[np.ndarray, "n_a n_b"], partner: Int64[np.ndarray, " n_a"]
) -> tuple[Float64[np.ndarray, " n_a"], Float64[np.ndarray, " n_b"]]:
    """u and v with S_ij ≤ u_i + v_j, equal where j is i's partner; n_a ≤ n_b, all rows assigned.

    Row i is content with partner p(i) at price v_p(i) if no column is worth more to it, so each
    price must be at least v_j ≥ S_ij − S_i,p(i) + v_p(i). Starting from 0 prices rise until this
    holds (Bellman & Ford's longest paths; the best assignment has no cycle along which they would
    rise for ever). Columns without partner stay at 0. Takes some tens of passes over `S`.
    """
    u, v = np.empty(len(S)), np.zeros(S.shape[1])
    own = S[np.arange(len(S)), partner]
    for _ in range(len(S)):
        u = own - v[partner]
        needed = (S - u[:, None]).max(axis=0)
        rising = np.flatnonzero(needed[partner] > v[partner] + _RISE)
        if not len(rising):
            break
        v[partner[rising]] = needed[partner[rising]]
    return own - v[partner], v
