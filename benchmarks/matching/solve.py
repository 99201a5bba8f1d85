"""One matching in a process of its own, so that its memory can be told; the race calls it.

python benchmarks/matching/solve.py SOLVER KIND N [--cores 2] [--check]
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "code"))

WIDTH = 768


def pair(kind: str, n: int):
    from audit.analyses.matching.planted_pairs import planted_pair

    return planted_pair(kind, n, WIDTH, torch.Generator().manual_seed(0))


def ours(A, B, cores: int) -> dict:
    from seedstability.stability.matching.blocks import faster_method
    from seedstability.stability.matching.certified import best_assignment

    # Below some thousand latents `match` asks SciPy; here it is this way at every size.
    found = best_assignment(A, B, cores, lambda share: None)
    return {
        "total": float(found.scores.sum()),
        "bound": found.bound,
        "passes": round(found.passes, 3),
        "product": faster_method(A.shape[1]),
        "_prices": (found.row_prices, found.column_prices),
    }


def scipy(A, B, cores: int) -> dict:
    from scipy.optimize import linear_sum_assignment

    S = (A @ B.T).double().numpy()
    rows, columns = linear_sum_assignment(S, maximize=True)
    return {"total": float(S[rows, columns].sum())}


def largest_violation(A, B, prices) -> float:
    """The largest S − u − v of all pairs, by plain float32 products, apart from the solver."""
    u, v = (torch.from_numpy(price).float() for price in prices)
    worst = -2.0
    for first in range(0, len(A), 1024):
        part = slice(first, first + 1024)
        excess = torch.addmm(-v, A[part], B.T).sub_(u[part, None])
        worst = max(worst, float(excess.max()))
    return worst


def main(given: argparse.Namespace) -> dict:
    torch.set_num_threads(given.cores)
    solver = {"ours": ours, "scipy": scipy}[given.solver]
    solver(*pair("random", 300), given.cores)  # compiles, and loads what it needs
    A, B = pair(given.kind, given.n)
    began = time.perf_counter()
    found = solver(A, B, given.cores)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    prices = found.pop("_prices", None)
    if given.check and prices:
        found["violation"] = largest_violation(A, B, prices)
    return {"seconds": round(seconds, 3), "peak_gb": round(peak, 2), **found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("solver", choices=("ours", "scipy"))
    parser.add_argument("kind", choices=("random", "hubs", "shared"))
    parser.add_argument("n", type=int)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    # As many threads as cores, in SciPy's product too; said before torch is imported.
    os.environ["OMP_NUM_THREADS"] = str(given.cores)
    import torch

    print(json.dumps(main(given)))
