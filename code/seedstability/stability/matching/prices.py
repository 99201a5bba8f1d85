"""Dual prices of a given optimal assignment."""

import numpy as np
from jaxtyping import Float64, Int64

_RISE = 1e-13
"""Rises below this are rounding; in a cycle of ties they would never end."""


def dual_prices(
    S: Float64[np.ndarray, "n_a n_b"], partner: Int64[np.ndarray, " n_a"]
) -> tuple[Float64[np.ndarray, " n_a"], Float64[np.ndarray, " n_b"]]:
    """u and v with S_ij ≤ u_i + v_j, equal for assigned pairs; n_a ≤ n_b, all rows assigned.

    Partner p(i) is optimal for row i at price v_p(i) if no column has a larger profit, so prices
    must satisfy v_j ≥ S_ij − S_i,p(i) + v_p(i). Starting from 0, prices rise until this holds
    (Bellman & Ford's longest paths; an optimal assignment has no cycle along which they would rise
    forever). Unmatched columns stay at 0. Takes a few tens of passes over `S`.
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
