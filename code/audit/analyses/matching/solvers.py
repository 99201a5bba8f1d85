"""Stage: our assignment solver, which stores no cost matrix, compared with SciPy's."""

from typing import TypedDict

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
"""Bound of the rounding error of one product of unit rows and the sum of two prices."""


class OurAnswer(TypedDict):
    """Our solver's answer, checked."""

    total: float
    bound: float
    passes: float
    same_partner: float
    """Share of rows with the same partner as by SciPy."""
    violations: int
    """Pairs with a cosine above the sum of their prices."""


class BothAnswers(TypedDict):
    """One assignment by both solvers, ours by each of `METHODS`."""

    total: float
    """By SciPy."""
    float32: OurAnswer
    bfloat16: OurAnswer


def compare_solvers(config: SolverConfig) -> BothAnswers:
    """Solve one assignment with both solvers, and check our dual prices.

    Our solver is called directly because `match` gives small problems to SciPy, and with each
    multiplication method because `match` chooses one by speed.
    """
    generator = torch.Generator().manual_seed(config.seed)
    A, B = planted_pair(config.kind, config.n_latents, config.width, generator)
    S = (A.double() @ B.double().T).numpy()
    rows, columns = linear_sum_assignment(S, maximize=True)
    ours = {m: _compare_with_scipy(assign(A, B, method=m), S, columns) for m in METHODS}
    return {
        "total": float(S[rows, columns].sum()),
        "float32": ours["float32"],
        "bfloat16": ours["bfloat16"],
    }


def _compare_with_scipy(
    solution: Solution, S: Float64[np.ndarray, "n n"], columns: np.ndarray
) -> OurAnswer:
    excess = S - solution.row_prices[:, None]
    excess -= solution.column_prices
    return {
        "total": float(solution.scores.sum()),
        "bound": solution.bound,
        "passes": solution.passes,
        "same_partner": float((solution.columns == columns).mean()),
        "violations": int((excess > _ROUNDING).sum()),
    }
