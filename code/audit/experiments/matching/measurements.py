"""Values of section "Matching exactly": solvers' answers, and benchmark results."""

from collections.abc import Mapping
from math import floor, log10

import numpy as np

from audit.analyses.matching.config import Kind
from audit.analyses.matching.solvers import METHODS, BothAnswers, OurAnswer
from audit.experiments.matching.experiment import BenchmarkResults, MatchingSettings, ReportedCost
from audit.pipeline.results import Array, Scalar

MEMORY = "GiB"
"""Unit of memory in the benchmark."""
BILLIONTH = 1e-9
"""Relative difference up to which two totals are equal, and the unit of printed gaps and bounds."""


def exact(config: MatchingSettings, solved: Mapping[Kind, BothAnswers]) -> dict:
    """Compare our totals, partners and dual prices with SciPy's, for each kind and product."""
    tree: dict = {"latents": config.n_latents, "width": config.width, "pairs": config.n_latents**2}
    checks: list[dict] = []
    for kind, found in solved.items():
        by_product = {method: _check(found[method], found["total"]) for method in METHODS}
        checks += by_product.values()
        mean = Scalar(found["total"] / config.n_latents, 4)
        tree[kind] = {"mean_cosine": mean, **by_product}
    return tree | {
        "equal": all(check["equal"] for check in checks),
        "violations": sum(check["violations"] for check in checks),
        **_worst(checks),
    }


def measured(config: BenchmarkResults) -> dict:
    """Benchmark cost over the number of latents, by solver and kind."""
    curves: dict = {"ours": {}, "scipy": {}}
    for solver, of_kinds in curves.items():
        for kind in dict.fromkeys(run.kind for run in config.runs):
            runs = [run for run in config.runs if (run.solver, run.kind) == (solver, kind)]
            runs.sort(key=lambda run: run.n)
            first = config.growth_from if solver == "ours" else 0
            of_kinds[kind] = _curve(runs, [run for run in runs if run.n >= first])
    return {
        "machine": _machine(config.machine),
        "width": config.d,
        "growth_from": config.growth_from,
        **curves,
        **_speedup(config.runs),
        **_at_the_largest(config.runs),
    }


def reported(config: ReportedCost) -> dict:
    """Cost of SciPy's solver as the report states it."""
    return {
        "latents": config.latents,
        "hours": _exact_scalar(config.hours, 0, "h"),
        "seconds": _exact_scalar(3600 * config.hours, 0, "s"),
        "peak_gb": _exact_scalar(config.gigabytes, 0, "GB"),
    }


def _check(ours: OurAnswer, total: float) -> dict:
    gap = abs(ours["total"] - total) / total
    return {
        "gap": Scalar(gap / BILLIONTH, 3, tolerance=1.0),
        "equal": gap <= BILLIONTH,
        # The bound includes rounding, which depends on the order of sums.
        "bound": Scalar(ours["bound"] / BILLIONTH, 1, tolerance=1.0),
        # The last bit decides between two equally good partners.
        "same_partner": Scalar(100 * ours["same_partner"], 2, "%", tolerance=0.5),
        # The last bit of a cosine may change which rows are scanned again.
        "passes": Scalar(ours["passes"], 2, tolerance=0.3),
        "violations": ours["violations"],
    }


def _worst(checks: list[dict]) -> dict:
    """Worst value over all checks, for each quantity."""
    worst = {"gap": max, "bound": max, "same_partner": min, "passes": max}
    return {
        f"worst_{name}": pick((check[name] for check in checks), key=lambda scalar: scalar.value)
        for name, pick in worst.items()
    }


def _curve(runs: list, fitted: list) -> dict:
    return {
        "latents": Array(np.array([run.n for run in runs]), 0),
        "seconds": Array(np.array([run.seconds for run in runs]), 4),
        "peak_gb": Array(np.array([run.peak_gb for run in runs]), 3),
        "growth": Scalar(_exponent(fitted), 2),
        **{f"n{run.n}": _point(run) for run in runs},
    }


def _point(run) -> dict:
    point = {
        "latents": run.n,
        "seconds": _three_significant_digits(run.seconds),
        "peak_gb": _exact_scalar(run.peak_gb, 1 if run.peak_gb >= 1 else 2),
        "mean_cosine": _exact_scalar(run.mean_cosine, 3),
    }
    if run.passes:
        point["passes"] = _exact_scalar(run.passes, 2)
    if run.bound is not None:
        point["bound"] = _exact_scalar(run.bound / BILLIONTH, 1)
    return point


def _exponent(runs: list) -> float:
    """Slope of log seconds over log latents."""
    slope, _ = np.polyfit(np.log([r.n for r in runs]), np.log([r.seconds for r in runs]), 1)
    return float(slope)


def _speedup(runs) -> dict:
    """Speedup of our solver over SciPy's, at the largest size that both solved."""
    seconds = {(run.solver, run.kind, run.n): run.seconds for run in runs}
    solved = {
        solver: {run.n for run in runs if run.solver == solver} for solver in ("ours", "scipy")
    }
    common = max(solved["ours"] & solved["scipy"])
    factors = {
        kind: seconds["scipy", kind, n] / took
        for (solver, kind, n), took in seconds.items()
        if solver == "ours" and n == common
    }
    return {
        "common": common,
        "faster": {kind: Scalar(factor, 1) for kind, factor in factors.items()},
        "least_faster": Scalar(min(factors.values()), 1),
        "most_faster": Scalar(max(factors.values()), 1),
    }


def _at_the_largest(runs) -> dict:
    """The largest problem that our solver solved: its slowest kind, and the size of its matrix."""
    largest = max(run.n for run in runs)
    there = [run for run in runs if run.n == largest and run.solver == "ours"]
    slowest = max(there, key=lambda run: run.seconds)
    return {
        "largest": largest,
        "largest_scipy": max(run.n for run in runs if run.solver == "scipy"),
        "slowest_kind": slowest.kind,
        "slowest_seconds": _three_significant_digits(slowest.seconds, "s"),
        "most_gb": _exact_scalar(max(run.peak_gb for run in there), 1, MEMORY),
        "worst_bound": _exact_scalar(max(run.bound for run in there) / BILLIONTH, 1),
        "product": slowest.product,
        # Eight bytes per cosine.
        "matrix_gb": _exact_scalar(8 * largest**2 / 2**30, 0, MEMORY),
    }


def _machine(machine) -> dict:
    return {
        "processor": machine.processor,
        "cores": machine.cores,
        "memory_gb": _exact_scalar(machine.memory_gb, 0, MEMORY),
        "torch": machine.torch,
        "python": machine.python,
        "date": machine.date,
        "commit": machine.commit,
    }


def _three_significant_digits(value: float, unit: str = "") -> Scalar:
    return _exact_scalar(value, max(0, 2 - floor(log10(value))), unit)


def _exact_scalar(value: float, digits: int, unit: str = "") -> Scalar:
    """A number from a file, with no platform tolerance."""
    return Scalar(value, digits, unit, tolerance=0.0)
