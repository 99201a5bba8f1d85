from dataclasses import replace
from pathlib import Path

import pytest

from audit.pipeline.execution.status import StageStatus, changes, status
from audit.pipeline.graph import keys
from audit.pipeline.graph.drawing import as_dot, as_text
from audit.pipeline.graph.keys import Key
from audit.pipeline.store.store import Store
from helpers.pipeline_bench import OTHER_ABI, Bench, counting


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.run(counting(bench, 0.0))
    return bench


def states(bench: Bench, stages, **options) -> dict[str, StageStatus]:
    found = status(stages, bench.store, sources=bench.sources, **options)
    return {entry.stage: entry for entry in found}


def test_after_a_run_all_is_up_to_date(bench):
    found = states(bench, counting(bench, 0.0))
    assert list(found) == ["quick", "slow", "sum"]
    assert {entry.state for entry in found.values()} == {"up to date"}


def test_a_setting_and_what_follows_from_it(bench):
    quick = bench.stage("quick", size=7)
    slow = bench.stage("slow", size=5, tells=False)
    found = states(bench, [bench.stage("sum", "add", {"left": quick, "right": slow})])
    assert found["quick"].state == "stale"
    assert found["quick"].reasons == ("setting size: 2 → 7",)
    assert found["quick"].seconds is not None
    assert found["slow"].state == "up to date"
    assert found["sum"].reasons == ("input quick is stale",)


def test_a_definition(bench):
    bench.edit("np.float64", "np.float32")
    found = states(bench, counting(bench, 0.0))
    assert found["quick"].reasons == ("toys/stages.py:count changed",)


def test_an_edit_of_what_a_stage_does_not_reach(bench):
    bench.edit('KeyError("a bug")', 'KeyError("another")')
    assert states(bench, counting(bench, 0.0))["quick"].state == "up to date"


def test_what_runs_at_import(bench):
    bench.edit("@dataclass", "print(1)\n\n\n@dataclass")
    [reason] = states(bench, counting(bench, 0.0))["quick"].reasons
    assert reason == "toys/stages.py, what runs at import, is used now"


def test_keys_of_whole_files_are_explained_too(bench):
    [entry] = [e for e in bench.store.entries() if e.provenance.stage == "quick"]
    old = entry.key.ingredients()
    old["files"] = {"toys/stages.py": "1"}
    del old["definitions"]
    told = list(changes(Key.from_ingredients(old), entry.key))
    assert "toys/stages.py:count is used now" in told
    assert "toys/stages.py is not used any more" in told


def test_a_package(bench, monkeypatch):
    versions = {**keys.package_versions(), "torch": "9.9.9"}
    old = keys.package_versions()["torch"]
    monkeypatch.setattr(keys, "package_versions", lambda: versions)
    assert states(bench, counting(bench, 0.0))["slow"].reasons == (f"torch: {old} → 9.9.9",)


def test_never_run_with_the_cost_known_from_elsewhere(bench):
    found = states(bench, [bench.stage("fresh", size=9)], known_seconds={"fresh": 12.0})
    assert found["fresh"] == StageStatus("fresh", "stale", ("never run",), 12.0)


def test_a_damaged_file(bench):
    stage = bench.stage("quick", size=2)
    [path] = [e.path for e in bench.store.entries() if e.provenance.stage == "quick"]
    path.write_bytes(path.read_bytes()[:-1])
    [reason] = states(bench, [stage])["quick"].reasons
    assert str(path) in reason


def test_another_machine(bench):
    there = Store(bench.folder / "store", OTHER_ABI)
    [entry] = status([bench.stage("quick", size=2)], there, sources=bench.sources)
    assert entry.state == "stale"
    assert "another machine" in entry.reasons[0]


def test_what_is_gone_and_not_needed(bench):
    [path] = [e.path for e in bench.store.entries() if e.provenance.stage == "quick"]
    path.unlink()
    found = states(bench, counting(bench, 0.0))
    assert found["quick"].state == "not needed"
    assert found["sum"].state == "up to date"


def test_of_two_profiles_the_nearest_result_explains_and_not_the_newest(bench):
    bench.run([bench.stage("arm", size=100)])
    bench.run([bench.stage("arm", size=3, tells=False)])
    found = states(bench, [bench.stage("arm", size=100, seconds=0.01)])
    assert found["arm"].reasons == ("setting seconds: 0.0 → 0.01",)


def test_of_two_equally_near_the_newest_explains(bench):
    for size in (5, 9, 7):
        bench.run([bench.stage("arm", size=size)])
    found = states(bench, [bench.stage("arm", size=100)])
    assert found["arm"].reasons == ("setting size: 7 → 100",)


def test_definitions_come_and_go_by_name(bench):
    [entry] = [e for e in bench.store.entries() if e.provenance.stage == "quick"]
    new = replace(entry.key, definitions={"toys/new.py:work": "1"})
    assert list(changes(entry.key, new)) == [
        "toys/new.py:work is used now",
        "toys/stages.py:Settings is not used any more",
        "toys/stages.py:count is not used any more",
    ]


def test_the_graph_as_text_and_for_graphviz(bench):
    text = as_text(counting(bench, 0.0), {"slow": "stale"})
    assert text.splitlines() == ["sum", "    left = quick", "    right = slow  [stale]"]
    dot = as_dot(counting(bench, 0.0), stale={"slow"})
    assert '"slow" -> "sum" [label="right"];' in dot
    assert dot.count("dashed") == 1
