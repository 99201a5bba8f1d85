"""Section "Matching exactly": a certified assignment without the cosine matrix (C47).

Part `exact` solves problems that SciPy can solve too, and compares the answers. Time and memory are
never results of a stage: part `measured` reads the file that `benchmarks/matching` wrote, and part
`reported` the figures that the fifth report prints.
"""

import json
import tomllib
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import get_args

from audit.analyses.matching.config import Kind, SolverConfig
from audit.experiments.common.declaration import Experiment, Figure
from audit.folders import DATA
from audit.pipeline.graph.stage import Stage
from seedstability.errors import UserError

MEASUREMENTS = "audit.experiments.matching.measurements"
KINDS: tuple[Kind, ...] = get_args(Kind)
SOLVERS = ("ours", "scipy")
_MEASURED = DATA / "measured" / "matching.json"
_REPORTED = DATA / "reported" / "matching.toml"


@dataclass(frozen=True)
class ReportedCost:
    """Cost of SciPy's assignment as the fifth report states it."""

    latents: int
    """Latents of each dictionary."""
    hours: float
    """Wall time."""
    gigabytes: float
    """Memory; the report says that it took more."""
    source: str
    """Place of the figures in the report."""


@dataclass(frozen=True)
class BenchmarkMachine:
    """The machine that ran the benchmark."""

    processor: str
    """Name of the processor."""
    cores: int
    """Cores used."""
    memory_gb: float
    """Memory of the machine in GiB."""
    torch: str
    """Version of torch."""
    python: str
    """Version of Python."""
    date: str
    """Date of the run."""
    commit: str
    """Source commit of the run."""


@dataclass(frozen=True)
class SolverRun:
    """One solver on one pair of dictionaries."""

    solver: str
    """`ours` or `scipy`."""
    kind: str
    """What the two dictionaries have in common; one of `KINDS`."""
    n: int
    """Latents of each dictionary."""
    seconds: float
    """Wall time, median over rounds; SciPy's includes computing the cosine matrix."""
    peak_gb: float
    """Peak resident memory of the process in GiB."""
    rounds: int
    """Number of rounds."""
    total: float
    """The maximized sum of cosines."""
    mean_cosine: float
    """Mean cosine of matched latents."""
    bound: float | None
    """Certificate: no assignment's total is larger by more. `None` for SciPy, which has none."""
    passes: float | None
    """Passes over all products; `None` for SciPy."""
    product: str | None
    """Number format of the products; `None` for SciPy."""


@dataclass(frozen=True)
class BenchmarkResults:
    """Results that `benchmarks/matching` wrote."""

    machine: BenchmarkMachine
    """The machine of the benchmark."""
    d: int
    """Width of the activations."""
    runs: tuple[SolverRun, ...]
    """Each solver on each problem."""
    growth_from: int = 16384
    """Latents from which the growth of our solver is fitted; below, constant costs dominate."""


@dataclass(frozen=True)
class MatchingSettings:
    """Settings of the section on matching."""

    n_latents: int = 4096
    """Latents of each dictionary that both solvers match."""
    width: int = 256
    """Width of the activations."""
    seed: int = 20261121
    """Seed of the draws."""


paper = MatchingSettings()
PROFILES = {
    "paper": paper,
    "smoke": replace(paper, n_latents=600),
    "full": replace(paper, n_latents=8192, width=768),
}


def parts(settings: MatchingSettings) -> dict[str, Stage]:
    """Stages of the three parts; only the first computes."""
    solved: dict[str, Stage] = {
        kind: Stage(
            f"matching/side_by_side/{kind}",
            "audit.analyses.matching.solvers:compare_solvers",
            SolverConfig(kind, settings.n_latents, settings.width, settings.seed),
        )
        for kind in KINDS
    }
    return {
        "exact": Stage("matching/exact", f"{MEASUREMENTS}:exact", settings, {"solved": solved}),
        "measured": Stage("matching/measured", f"{MEASUREMENTS}:measured", benchmark_results()),
        "reported": Stage("matching/reported", f"{MEASUREMENTS}:reported", reported_cost()),
    }


def reported_cost(file: Path = _REPORTED) -> ReportedCost:
    """Read the report's figures from `data/reported`.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return ReportedCost(**tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, TypeError) as problem:
        raise UserError(
            f"data/reported/{file.name} cannot be read ({problem}); restore it from the repository"
        ) from problem


def benchmark_results(file: Path = _MEASURED) -> BenchmarkResults:
    """Read the benchmark's results from `data/measured`.

    Raises:
        UserError: the file is missing, damaged, or lacks a run that the section needs.
    """
    try:
        entries = dict(json.loads(file.read_text(encoding="utf-8")))
        runs = tuple(SolverRun(**entry) for entry in entries.pop("runs"))
        measured = BenchmarkResults(
            BenchmarkMachine(**entries.pop("machine")), runs=runs, **entries
        )
        _require_whole(measured)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise UserError(
            f"data/measured/{file.name} cannot be read ({problem}); restore it from the"
            " repository, or measure again with benchmarks/matching"
        ) from problem
    return measured


def _require_whole(measured: BenchmarkResults) -> None:
    """Raise a `ValueError` if the runs do not suffice to fit and compare growth."""
    for run in measured.runs:
        if run.solver not in SOLVERS or run.kind not in KINDS:
            raise ValueError(f"no run is by {run.solver!r} on {run.kind!r}")
        if not all(isfinite(x) and x > 0 for x in (run.n, run.seconds, run.peak_gb)):
            raise ValueError(f"{run.solver} on {run.kind} at {run.n}: a cost must be above 0")
        if run.solver == "ours" and (run.bound is None or run.product is None):
            raise ValueError(f"ours on {run.kind} at {run.n}: bound or product is missing")
    for kind in KINDS:
        ours, theirs = (sizes(measured, solver, kind) for solver in SOLVERS)
        large = [n for n in ours if n >= measured.growth_from]
        if len(large) < 2 or len(theirs) < 2 or not set(ours) & set(theirs):
            raise ValueError(
                f"{kind} needs two sizes from {measured.growth_from} on by ours, two by scipy, and"
                " one by both"
            )


def sizes(measured: BenchmarkResults, solver: str, kind: str) -> list[int]:
    """Numbers of latents at which a solver ran on a kind, ascending."""
    return sorted(run.n for run in measured.runs if (run.solver, run.kind) == (solver, kind))


EXPERIMENT = Experiment(
    PROFILES,
    parts,
    figures=(Figure("matching", "matching", "chance.matching"),),
    tables=("matching",),
)
