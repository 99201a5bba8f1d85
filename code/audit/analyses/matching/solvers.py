"""Two solvers of one assignment side by side, as a stage: ours without the matrix, SciPy's with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from scipy.optimize import linear_sum_assignment

from audit.analyses.matching.config import SolverConfig
from audit.analyses.matching.planted_pairs import planted_pair
from seedstability.stability.matching.blocks import Method
from seedstability.stability.matching.certified import Solution, assign

METHODS: tuple[Method, ...] = ("float32", "bfloat16")
_ROUNDING = 1e-12
"""More than double precision loses in one product of unit rows and the sum of two prices."""


def side_by_side(config: SolverConfig) -> Mapping[str, Any]:
    """The largest total by both solvers, and whether the prices prove ours.

    Ours is taken by name and not through `match`, which would hand a small problem to SciPy, and
    with each way to multiply in turn: which one `match` takes is a matter of speed.

    Returns:
        `total`, SciPy's. Under each of `METHODS` ours: `total`, `bound`, `passes`; `same_partner`,
        share of rows with SciPy's partner; `violations`, pairs whose cosine exceeds their prices.
    """
    generator = torch.Generator().manual_seed(config.seed)
    A, B = planted_pair(config.kind, config.n_latents, config.width, generator)
    S = (A.double() @ B.double().T).numpy()
    rows, columns = linear_sum_assignment(S, maximize=True)
    return {
        "total": float(S[rows, columns].sum()),
        **{m: _held_against(assign(A, B, method=m), S, columns) for m in METHODS},
    }


def _held_against(
    solution: Solution, S: Float64[np.ndarray, "n n"], columns: np.ndarray
) -> dict[str, Any]:
    excess = S - solution.row_prices[:, None]
    excess -= solution.column_prices
    return {
        "total": float(solution.scores.sum()),
        "bound": solution.bound,
        "passes": solution.passes,
        "same_partner": float((solution.columns == columns).mean()),
        "violations": int((excess > _ROUNDING).sum()),
    }
