"""Exact optimal assignment of two large dictionaries, without their matrix of cosines.

The assignment problem and its dual: for the rows i of A and j of B, and S_ij their cosine,

    max Σ_i S_i,p(i)  over one-to-one p     =     min Σ_i u_i + Σ_j v_j  with  S_ij ≤ u_i + v_j.

Any dual prices u, v that satisfy the right-hand side bound every assignment from above. The
algorithm is column generation:

1. *Candidates.* One pass over all products keeps the largest of each row and each column.
2. *Solve.* The optimal assignment on this sparse graph and its dual prices are computed exactly.
3. *Price.* A second pass finds all pairs with S_ij > u_i + v_j, in the graph or not. If there are
   none, the prices prove that no assignment is better.
4. Otherwise these pairs, and those that nearly violate, join the graph, and it is solved again
   from the last prices. No v_j falls, so only rows whose u_i fell have to be priced again.

With more columns than rows, v_j ≥ 0 as well, with v_j = 0 for an unmatched column. Old prices would
violate that, so such problems are solved from scratch each time, and all rows are priced again.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32, Int64
from torch import Tensor

from seedstability.stability.matching.blocks import Method, faster_method
from seedstability.stability.matching.passes import Pairs, Passes, Progress
from seedstability.stability.matching.sparse import Assignment, Graph, merge_pairs

_NEAR = 0.02
"""Pairs this close to a violation join the graph too, so that few further rounds are needed."""
_CAPACITY, _MOST = 128, 4096
"""Pairs per row in a pass; four times as many whenever that was too few."""
_PAIRS_AT_ONCE = 1 << 26
"""Pairs of all rows together, 8 bytes each."""
_CROWDED = 1e-5
_VIOLATES = 1e-12
_MOST_PRICINGS = 12


class Solution(NamedTuple):
    """An assignment with the dual prices that certify it."""

    columns: Int32[np.ndarray, " n_a"]
    """Row of B assigned to each row of A; −1 for an unmatched row."""
    scores: Float64[np.ndarray, " n_a"]
    """Products of the assigned pairs, in double precision; NaN for an unmatched row."""
    row_prices: Float64[np.ndarray, " n_a"]
    """u."""
    column_prices: Float64[np.ndarray, " n_b"]
    """v."""
    bound: float
    """No assignment has a total larger by more than this."""
    passes: float
    """Passes over all products; a pass over a share of the rows counts as that share."""


def best_assignment(
    A: Float[Tensor, "n_a d"], B: Float[Tensor, "n_b d"], cores: int, progress: Progress
) -> Solution:
    """Assign all rows of the smaller set of unit rows one-to-one, with the largest total.

    Exact, and fast if latents differ. With hundreds of copies of one latent, ties cost time; with
    thousands, the search may end early with a bound that is not negligible.

    Rows of zeros are all equal and would cost `assign` time with ties. They are set aside and get
    the remaining partners, if the prices prove that no other row would gain by one.
    """
    device = str(A.device)
    A, B = (X.detach().cpu().float().contiguous() for X in (A, B))
    rows, columns = (np.flatnonzero(X.any(dim=1).numpy()) for X in (A, B))
    if (len(A), len(rows)) > (len(B), len(columns)):
        return _turned(best_assignment(B, A, cores, progress), len(A))
    if not len(rows):
        return _padded(None, rows, columns, A, B)
    real = A if len(rows) == len(A) else A[rows]
    if len(rows) <= len(columns) < len(B):
        solution = _not_negative(assign(real, B[columns], cores, device, progress=progress))
        if (solution.row_prices >= 0).all():
            return _padded(solution, rows, columns, A, B)
    solution = assign(real, B, cores, device, progress=progress)
    return _padded(solution, rows, np.arange(len(B)), A, B)


def assign(
    A: Float32[Tensor, "n_a d"],
    B: Float32[Tensor, "n_b d"],
    cores: int = 1,
    device: str = "cpu",
    method: Method | None = None,
    progress: Progress = lambda share: None,
) -> Solution:
    """Assign all rows of `A`, n_a ≤ n_b, with the largest sum of products.

    Args:
        A, B: unit rows, or rows of zeros; many rows of zeros are fast to match only in `B`.
        cores: number of threads; the result does not depend on it.
        device: where products are taken; everything else runs on the CPU.
        method: precision of the products; by default the faster one on this machine.
        progress: receives the share that is done.
    """
    method = method or faster_method(A.shape[1], device)
    passes = Passes(A, B, method, cores, device)
    pairs = passes.candidates(lambda share: progress(0.45 * share))
    assignment = Assignment(len(A), _start_prices(A, B))
    graph = Graph.from_pairs(pairs, len(A))
    assignment.solve(graph)
    row_prices = assignment.share_slack(graph)

    complete_above = np.full(len(A), np.inf)
    rows, capacity = np.arange(len(A)), _CAPACITY
    for pricing in range(_MOST_PRICINGS):
        asked = row_prices[rows] - _NEAR

        def tell(share: float, before: int = pricing) -> None:
            progress(0.45 + 0.5 * (before + share) / (before + 1))

        found = passes.price(rows, asked, assignment.prices, capacity, tell)
        complete_above[rows] = found.complete_above
        slack = _slack(found.pairs, row_prices, assignment.prices)
        crowded = (found.complete_above > asked + _CROWDED).any()
        if pricing == _MOST_PRICINGS - 1 or (crowded and capacity == _MOST):
            break
        if (slack < -_VIOLATES).any():
            pairs = merge_pairs(pairs, found.pairs.kept(slack < _NEAR), len(B))
            graph, before = Graph.from_pairs(pairs, len(A)), assignment.prices.copy()
            assignment.solve(graph)
            if assignment.square:
                row_prices = assignment.raise_row_prices(graph, complete_above, before)
            else:
                row_prices = assignment.share_slack(graph)
                complete_above[:] = np.inf
        rows = np.flatnonzero(row_prices < complete_above - _VIOLATES)
        if not len(rows):
            break
        if crowded:
            capacity = max(_CAPACITY, min(4 * capacity, _MOST, _PAIRS_AT_ONCE // len(rows)))
    # If the search ended early, the pairs a row has found or may have missed raise its price.
    profits = found.pairs.scores - assignment.prices[found.pairs.columns]
    np.maximum.at(row_prices, found.pairs.rows, profits)
    return _certified(assignment, graph, np.maximum(row_prices, complete_above), passes.done)


def _start_prices(A: Tensor, B: Tensor) -> Float64[np.ndarray, " n_b"]:
    """Mean product of each column, so that hubs start with a higher price."""
    return (B @ A.mean(dim=0)).double().numpy()


def _slack(pairs: Pairs, row_prices: np.ndarray, column_prices: np.ndarray) -> np.ndarray:
    return row_prices[pairs.rows] + column_prices[pairs.columns] - pairs.scores


def _certified(
    assignment: Assignment, graph: Graph, row_prices: np.ndarray, passes: float
) -> Solution:
    scores = assignment.cosines(graph)
    dual = row_prices.sum() + assignment.prices.sum()
    # Rounding of double precision in each product and in these sums.
    rounding = 4e-13 * len(scores)
    return Solution(
        assignment.columns,
        scores,
        row_prices,
        assignment.prices,
        max(0.0, float(dual - scores.sum())) + rounding,
        passes,
    )


def _not_negative(solution: Solution) -> Solution:
    """Shift column prices to be ≥ 0, as required for columns that rows of zeros may get.

    With as many rows as columns, all prices may rise on one side and fall on the other; with more
    columns they are not negative anyway.
    """
    rise = max(0.0, -solution.column_prices.min())
    return solution._replace(
        row_prices=solution.row_prices - rise, column_prices=solution.column_prices + rise
    )


def _padded(
    solution: Solution | None,
    rows: Int64[np.ndarray, " r"],
    columns: Int64[np.ndarray, " c"],
    A: Tensor,
    B: Tensor,
) -> Solution:
    """Extend a solution for some rows and columns to all; the others are zero."""
    partner, scores = np.full(len(A), -1, np.int32), np.zeros(len(A))
    row_prices, column_prices = np.zeros(len(A)), np.zeros(len(B))
    if solution:
        partner[rows], scores[rows] = columns[solution.columns], solution.scores
        row_prices[rows], column_prices[columns] = solution.row_prices, solution.column_prices
    left = np.setdiff1d(np.arange(len(B)), partner[rows])
    partner[partner < 0] = left[: len(A) - len(rows)]
    bound, passes = (solution.bound, solution.passes) if solution else (0.0, 0.0)
    return Solution(partner, scores, row_prices, column_prices, bound, passes)


def _turned(solution: Solution, n: int) -> Solution:
    """Exchange rows and columns: the solution for the `n` rows of the other side."""
    columns, scores = np.full(n, -1, np.int32), np.full(n, np.nan)
    columns[solution.columns] = np.arange(len(solution.columns))
    scores[solution.columns] = solution.scores
    return solution._replace(
        columns=columns,
        scores=scores,
        row_prices=solution.column_prices,
        column_prices=solution.row_prices,
    )
