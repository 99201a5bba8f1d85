"""A stage that cannot fit into memory is said before anything runs."""

import pytest

from audit.pipeline.execution.memory import check_memory, memory_limit
from audit.pipeline.graph.stage import Stage
from seedstability.errors import UserError

STAGES = [Stage("small", "a:b", None), Stage("large", "a:b", None), Stage("unknown", "a:b", None)]
KNOWN = {"small": 1e9, "large": 5.2e9}


def test_the_smallest_limit_counts_and_what_is_no_number_is_none(tmp_path):
    meminfo, limit, unlimited = (tmp_path / name for name in ("meminfo", "max", "unlimited"))
    meminfo.write_text("MemTotal:       4000000 kB\nMemFree:  1 kB\n")
    limit.write_text("3000000000\n")
    unlimited.write_text("max\n")
    absent = tmp_path / "absent"
    assert memory_limit(meminfo, [unlimited, absent]) == 4_096_000_000
    assert memory_limit(meminfo, [unlimited, limit]) == 3_000_000_000
    assert memory_limit(absent, [absent, unlimited]) is None


def test_this_machine_has_a_limit():
    assert memory_limit() > 1e8


def test_the_stage_that_needs_most_is_named_in_one_line():
    with pytest.raises(UserError, match=r"large took 5\.2 GB .* locked, and 5\.0 GB"):
        check_memory(STAGES, KNOWN, 5_000_000_000)


@pytest.mark.parametrize("limit", [5_200_000_000, None])
def test_what_fits_or_is_not_known_runs(limit):
    check_memory(STAGES, KNOWN, limit)
    check_memory([], KNOWN, 1)
    check_memory(STAGES[2:], KNOWN, 1)
