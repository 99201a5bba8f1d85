"""A dry run says what would run, in which order, and what it may cost; and runs nothing."""

import pytest

from audit.pipeline.execution.forecast import Expected, forecast
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.graph.schedule import critical_path_lengths, running_order
from helpers.pipeline_bench import Bench, counting


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def told(bench, stages, known=None, rough=lambda stage: None) -> list[str]:
    return forecast(stages, bench.store, known or {}, rough, bench.sources).splitlines()


def test_every_stage_that_is_missing_has_a_line_and_nothing_runs(bench):
    lines = told(bench, counting(bench, 0.0), {"slow": Expected(7200, 2e9)})
    assert lines[0] == "   1  slow: 2 h 0 min, 2.0 GB"
    assert sorted(line.split(": ")[1] for line in lines[1:3]) == ["unknown", "unknown"]
    assert lines[3].endswith("and 2 stages of unknown cost")
    assert not bench.journal


def test_sums_are_those_of_the_lines(bench):
    stages = [bench.stage(f"s{size}", size=size) for size in (1, 2, 3)]
    cost = {"s1": 60.0, "s2": 600.0, "s3": 30.0}

    def rough(stage):
        return Expected(cost[stage.name], 1e9, 2e9, 20)

    lines = told(bench, stages, rough=rough)
    assert [line.split()[1] for line in lines[:3]] == ["s2:", "s1:", "s3:"]
    assert lines[0] == "   1  s2: 10 min, 1.0 GB, 2.0 GB on disk, 20 dictionaries"
    assert lines[3] == (
        "3 stages train 60 dictionaries in about 12 min of one core, with up to 1.0 GB each"
        " and 6 GB on disk"
    )


def test_the_store_knows_better_than_an_estimate(bench):
    stage = bench.stage("s", size=1)
    bench.run([stage])
    bench.store.prune()
    assert "unknown" in told(bench, [stage])[0]
    bench.run([stage])
    other = bench.stage("s", size=2)
    assert "9 h" not in told(bench, [other], rough=lambda stage: Expected(32400, 1e9))[0]


def test_no_stage_comes_before_what_it_needs(bench):
    stages = counting(bench, 0.0)
    keys = portable_keys(stages, bench.sources)
    missing = [*stages[-1].inputs.values(), stages[-1]]
    costs = {stage.name: 1.0 for stage in missing}
    order = running_order(missing, keys, costs)
    assert order[-1].name == "sum"
    ways = critical_path_lengths(missing, keys, costs | {"slow": 5.0})
    assert ways[keys["slow"].digest] == 6.0
    assert ways[keys["sum"].digest] == 1.0
    assert running_order(missing, keys, costs | {"slow": 5.0})[0].name == "slow"
