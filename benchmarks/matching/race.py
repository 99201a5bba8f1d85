"""Time and memory of exact matching beside SciPy's dense solver, in the same run.

    python benchmarks/matching/race.py --json data/measured/matching.json

Each matching is a process of its own, with data made there. Up to 8,192 latents the two solvers
take turns for three rounds and the median counts; beyond, where SciPy would take minutes to hours,
ours runs once, on the day's machine as it is. `--check` looks at every pair again afterwards, by
plain float32 products, and stops where one breaks the prices.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KINDS = ("random", "hubs", "shared")
SCIPY_UP_TO = 8192
ROUNDING = 2e-4
"""What float32 products and prices may be off by in 768 dimensions, at the very worst."""


def solve(solver: str, kind: str, n: int, given: argparse.Namespace) -> dict:
    command = [sys.executable, str(HERE / "solve.py"), solver, kind, str(n)]
    command += ["--cores", str(given.cores)] + (["--check"] if given.check else [])
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(ran.stdout)
    if found.get("violation", -1.0) > ROUNDING:
        raise SystemExit(f"{kind} at {n}: a pair breaks its prices by {found['violation']:.2g}")
    return found


def races(kind: str, n: int, given: argparse.Namespace):
    """A row for each solver."""
    solvers = ("ours", "scipy") if n <= SCIPY_UP_TO else ("ours",)
    rounds = given.rounds if n <= SCIPY_UP_TO else 1
    tries = [{solver: solve(solver, kind, n, given) for solver in solvers} for _ in range(rounds)]
    for solver in solvers:
        each = [one[solver] for one in tries]
        yield {
            "solver": solver,
            "kind": kind,
            "n": n,
            "seconds": median(one["seconds"] for one in each),
            "peak_gb": max(one["peak_gb"] for one in each),
            "rounds": rounds,
            "total": each[0]["total"],
            "mean_cosine": each[0]["total"] / n,
            **{name: each[0].get(name) for name in ("bound", "passes", "product")},
        }


def machine(cores: int) -> dict:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "processor": name,
        "cores": cores,
        "memory_gb": round(memory, 1),
        "torch": metadata.version("torch"),
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        "commit": commit,
    }


def main(given: argparse.Namespace) -> None:
    runs = []
    for n in given.sizes:
        for kind in given.kinds:
            for row in races(kind, n, given):
                runs.append(row)
                proof = f"passes {row['passes']}, within {row['bound']:.1e}" if row["bound"] else ""
                print(
                    f"{n:>7} {kind:<7} {row['solver']:<6} {row['seconds']:8.2f} s"
                    f" {row['peak_gb']:6.2f} GB  total {row['total']:.6f}  {proof}",
                    flush=True,
                )
    if given.json:
        kept = {"machine": machine(given.cores), "d": 768, "runs": runs}
        given.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    doubling = [1024 * 2**k for k in range(8)]
    parser.add_argument("--sizes", type=int, nargs="+", default=doubling)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    main(parser.parse_args())
