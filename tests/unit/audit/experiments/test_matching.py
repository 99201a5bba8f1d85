"""Section "Matching exactly": files read, growth fitted, answers compared."""

import json
from dataclasses import replace

import pytest

from audit.experiments.matching import experiment as matching
from audit.experiments.matching import measurements as measurements
from audit.experiments.matching.experiment import benchmark_results, reported_cost
from audit.ledger.loading import load_claims
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.locking.values import Values
from seedstability.errors import UserError

MACHINE = {
    "processor": "a processor", "cores": 2, "memory_gb": 7.6, "torch": "2", "python": "3.11",
    "date": "2026-01-31", "commit": "0123abc",
}  # fmt: skip


def run(solver: str, kind: str, n: int) -> dict:
    """A run whose time is quadratic for ours and cubic for SciPy, from one second at 1,024."""
    ours = solver == "ours"
    slow = 1.5 if kind == "hubs" else 1.0
    return {
        "solver": solver,
        "kind": kind,
        "n": n,
        "seconds": slow * (n / 1024) ** (2 if ours else 3),
        "peak_gb": n / 65536,
        "rounds": 3,
        "total": n / 2,
        "mean_cosine": 0.5,
        "bound": 4e-13 * n if ours else None,
        "passes": 2.25 if ours else None,
        "product": "float32" if ours else None,
    }


def document() -> dict:
    ours = [run("ours", kind, 1024 * 2**k) for k in range(8) for kind in matching.KINDS]
    scipy = [run("scipy", kind, 1024 * 2**k) for k in range(4) for kind in matching.KINDS]
    return {"machine": MACHINE, "d": 768, "runs": ours + scipy}


@pytest.fixture
def written(tmp_path):
    def write(content) -> matching.BenchmarkResults:
        file = tmp_path / "matching.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return benchmark_results(file)

    return write


@pytest.fixture
def values(written) -> Values:
    return Values.from_tree(measurements.measured(written(document())))


def test_growth_is_the_fitted_exponent(values):
    for kind in matching.KINDS:
        assert values.scalar(f"ours.{kind}.growth").value == 2.0
        assert values.scalar(f"scipy.{kind}.growth").value == 3.0


def test_small_sizes_do_not_change_our_growth(written):
    changed = document()
    for one in changed["runs"]:
        if one["n"] < 16384 and one["solver"] == "ours":
            one["seconds"] += 50.0
    assert measurements.measured(written(changed))["ours"]["random"]["growth"].value == (
        pytest.approx(2.0)
    )


def test_solvers_are_compared_at_the_largest_size_that_both_solved(values):
    assert values.scalar("common").value == 8192
    assert values.scalar("faster.random").value == 8.0
    assert values.scalar("least_faster").value == values.scalar("most_faster").value == 8.0


def test_largest_problem_reports_its_slowest_kind(values):
    assert values.scalar("largest").value == 131072
    assert values.scalar("largest_scipy").value == 8192
    assert values.text("slowest_kind") == "hubs"
    assert values.scalar("slowest_seconds").value == 1.5 * 128**2
    assert values.scalar("most_gb").value == 2.0
    assert values.scalar("matrix_gb").value == 128.0


def test_a_bound_is_printed_in_billionths_and_scipy_has_none(values):
    assert values.scalar("ours.random.n131072.bound").value == 52.4
    assert "bound" not in values.subtree("scipy.random.n1024")
    assert "passes" not in values.subtree("scipy.random.n1024")


def test_benchmark_file_in_the_repository_is_complete():
    measured = benchmark_results()
    for kind in matching.KINDS:
        assert {1024, 8192, 32768, 131072} <= set(matching.sizes(measured, "ours", kind))
        assert max(matching.sizes(measured, "scipy", kind)) == 8192


def test_changed_measurement_makes_only_its_part_stale():
    def keys(measured) -> dict[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "benchmark_results", lambda: measured)
            stages = matching.parts(matching.paper)
        found = portable_keys(stages.values())
        return {part: found[stage.name].digest for part, stage in stages.items()}

    measured = benchmark_results()
    first = replace(measured.runs[0], seconds=measured.runs[0].seconds + 1)
    before, after = keys(measured), keys(replace(measured, runs=(first, *measured.runs[1:])))
    assert {part for part in before if before[part] != after[part]} == {"measured"}


def without(kind: str, solver: str, least: int = 0) -> dict:
    whole = document()
    gone = {"kind": kind, "solver": solver}
    kept = [r for r in whole["runs"] if r["n"] < least or not gone.items() <= r.items()]
    return whole | {"runs": kept}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"machine": ', "Expecting value"),
        ("[1]", "cannot"),
        ({}, "runs"),
        (document() | {"runs": [{"solver": "ours"}]}, "missing"),
        (document() | {"runs": [run("ours", "randm", 64)]}, "'randm'"),
        (document() | {"runs": [run("theirs", "random", 64)]}, "'theirs'"),
        (document() | {"runs": [run("ours", "random", 64) | {"seconds": 0}]}, "above 0"),
        (document() | {"runs": [run("ours", "random", 64) | {"bound": None}]}, "bound"),
        (without("hubs", "scipy"), "hubs needs two sizes"),
        (without("hubs", "scipy", least=2048), "hubs needs two sizes"),
        (without("shared", "ours", least=16384), "shared needs two sizes"),
    ],
)
def test_damaged_measurement_error_is_one_line_with_the_file(written, content, said):
    with pytest.raises(UserError, match=r"data/measured/matching\.json cannot be read") as refused:
        written(content)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["latents = [1", "latents = 1", "surprise = 1"])
def test_damaged_report_error_is_one_line_with_the_file(tmp_path, content):
    file = tmp_path / "matching.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=r"data/reported/matching\.toml cannot be read"):
        reported_cost(file)


def test_reported_cost_equals_the_ledgers_claim():
    reported = reported_cost()
    (claim,) = [claim for claim in load_claims() if claim.id == "C47"]
    time, memory = claim.check
    assert time.theirs == f"{reported.hours} h"
    assert memory.theirs == f"{reported.gigabytes}+ GB"
    assert f"{reported.latents:,}" in claim.says


def found(**changes) -> dict:
    ours = {"total": 100.0, "bound": 2e-9, "passes": 2.1, "same_partner": 1.0, "violations": 0}
    return {"total": 100.0, "float32": ours, "bfloat16": ours | changes}


def exact(**changes) -> Values:
    tree = measurements.exact(matching.paper, {"random": found(), "hubs": found(**changes)})
    return Values.from_tree(tree)


def test_equal_totals_have_their_gap():
    values = exact(total=100.0 + 5e-8)
    assert values.text("equal") == "yes"
    assert values.scalar("worst_gap").value == 0.5


@pytest.mark.parametrize("gap", [2e-7, -2e-7])
def test_one_unequal_total_makes_the_summary_unequal(gap):
    values = exact(total=100.0 + gap)
    assert values.text("equal") == "no"
    assert values.text("hubs.float32.equal") == "yes"
    assert values.scalar("worst_gap").value == 2.0


def test_summary_has_the_worst_of_all_checks():
    values = exact(bound=5e-9, passes=3.5, same_partner=0.75, violations=4)
    assert values.scalar("worst_bound").value == 5.0
    assert values.scalar("worst_passes").value == 3.5
    assert values.scalar("worst_same_partner").value == 75.0
    assert values.scalar("violations").value == 4
