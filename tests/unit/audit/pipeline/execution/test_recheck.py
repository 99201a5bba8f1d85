"""A stored result that its stage does not give again is found, whatever its own hash says."""

from pathlib import Path

import pytest

from audit.pipeline.execution.recheck import draw, recheck
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.store.store import Store
from helpers.pipeline_bench import Bench, counting
from seedstability.errors import UserError
from seedstability.numerics.abi import numeric_abi


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def rechecked(bench: Bench, stages, place: str = "scratch") -> dict[str, bool]:
    scratch = Store(bench.folder / place / "store", numeric_abi())
    return recheck(stages, bench.store, scratch, jobs=2, sources=bench.sources)


def test_what_comes_out_again_is_said_to_and_only_the_drawn_stages_run(bench):
    stages = counting(bench, 0.0)
    bench.run(stages)
    before = len(bench.journal)
    drawn = draw(stages, bench.store, 99, seed=0, sources=bench.sources)
    assert len(drawn) == 3
    for number, stage in enumerate(drawn):
        assert rechecked(bench, [stage], str(number)) == {stage.name: True}
    # Two of the three write into the journal, when they begin and when they end.
    assert len(bench.journal) == before + 4


def test_another_result_that_is_whole_by_its_own_hash_is_found(bench):
    stages = counting(bench, 0.0)
    bench.run(stages)
    [wrong] = [stage for stage in draw(stages, bench.store, 3, 0, bench.sources) if stage.inputs]
    key = portable_keys([wrong], bench.sources)[wrong.name]
    entry = bench.store.entry(key.digest)
    bench.store.write(key, {"total": 1}, entry.provenance)
    assert not bench.store.damaged({key.digest})
    assert rechecked(bench, [wrong]) == {wrong.name: False}


def test_the_draw_depends_on_the_seed_alone(bench):
    stages = counting(bench, 0.0)
    bench.run(stages)

    def names(seed: int) -> list[str]:
        return [stage.name for stage in draw(stages, bench.store, 2, seed, bench.sources)]

    assert names(1) == names(1)
    assert len({tuple(names(seed)) for seed in range(20)}) > 1


def test_an_empty_store_is_told_in_one_line(bench):
    with pytest.raises(UserError, match="invoke experiments first"):
        draw(counting(bench, 0.0), bench.store, 1, 0, bench.sources)
