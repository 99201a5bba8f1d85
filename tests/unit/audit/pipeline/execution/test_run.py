import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from audit.pipeline.execution import workers
from audit.pipeline.execution.run import StageFailed, plan
from audit.pipeline.graph.keys import portable_keys
from audit.pipeline.store.history import History
from helpers.pipeline_bench import Bench, counting
from seedstability.errors import UserError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def living(folder: Path) -> list[str]:
    """Other processes that carry the folder in their search path, as workers and drivers do."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            settings = (process / "environ").read_bytes().replace(b"\0", b":") + b":"
            if f"{folder}:".encode() in settings:
                found.append(f"{process.name} {(process / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


def none_left(folder: Path) -> None:
    """Within a second or two, which a loaded machine may take to end them."""
    end = time.monotonic() + 2.0
    while living(folder) and time.monotonic() < end:
        time.sleep(0.02)
    assert living(folder) == []


def test_runs_what_is_needed_once_and_then_nothing(bench, monkeypatch):
    twin = bench.stage("twin of quick", size=2)
    results = bench.run([*counting(bench, 0.0), twin])
    assert results["sum"] == {"sum": 11.0}
    np.testing.assert_array_equal(results["twin of quick"]["numbers"], [0, 1])
    assert sorted(results.ran) == ["quick", "slow", "sum"]
    assert bench.journal.count("begin 2") == 1
    assert results.provenance("slow").stage == "slow"
    assert results.provenance("slow").peak_bytes > 1e7
    assert list((bench.folder / "store").glob("*.log")) == []

    monkeypatch.setattr(workers.Workers, "start", None)  # nothing may start
    assert bench.run(counting(bench, 0.0)).ran == ()


def test_libraries_are_loaded_once_for_all_stages(bench):
    """Loading them takes longer than most stages."""
    results = bench.run([bench.stage("area", "integrate")])
    assert results["area"] == {"area": 1.0, "had": True}


def test_nested_inputs_arrive_as_they_were_asked_for(bench):
    terms = {f"of{size}": bench.stage(f"of{size}", size=size) for size in (2, 3)}
    inputs = {"terms": terms, "more": bench.stage("of4", size=4)}
    results = bench.run([bench.stage("all", function="add_all", inputs=inputs)])
    assert results["all"] == {"sum": 1.0 + 3.0 + 6.0}


def test_settings_of_a_stage_may_be_large(bench):
    """Larger than a message between processes: cut off, they looked like a lack of memory."""
    results = bench.run([bench.stage("quick", size=2, remark="long " * 60_000)])
    np.testing.assert_array_equal(results["quick"]["numbers"], [0, 1])


def test_lines_say_what_ran_and_how_far_it_is(bench, monkeypatch):
    heard = workers.Workers.event

    def done_is_heard_first(self, timeout):
        """As where stages are quick and this process is slow."""
        event = heard(self, timeout)
        while event is None or event["kind"] == "progress":
            event = heard(self, timeout)
        return event

    monkeypatch.setattr(workers.Workers, "event", done_is_heard_first)
    bench.run(counting(bench, 0.0))
    lines = str(bench.told).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"]
    assert "left" in lines[0]
    assert " MB" in lines[2]


def test_the_longest_way_to_the_end_begins_first(bench):
    stages = [bench.stage(f"s{size}", size=size) for size in (1, 2, 3)]
    known = {"s1": 1.0, "s2": 5.0, "s3": 3.0}
    bench.run(stages, jobs=1, known_seconds=known)
    assert [line for line in bench.journal if "begin" in line] == ["begin 2", "begin 3", "begin 1"]


def test_a_stage_that_cannot_fit_stops_the_run_before_anything_runs(bench):
    stages = [bench.stage("first"), bench.stage("huge", size=5)]
    with pytest.raises(UserError, match="huge took 1000000"):
        bench.run(stages, known_bytes={"first": 1e6, "huge": 1e15})
    assert plan(stages, bench.store, bench.sources).missing == tuple(stages)
    assert bench.run(stages[:1], known_bytes={"first": 1e6, "huge": 1e15}).ran == ("first",)


def test_an_earlier_run_with_other_settings_does_not_foretell_the_cost_of_a_known_one(bench):
    """The tiny profile runs first in many a checkout, and its stages have the same names."""
    small, same, new = bench.stage("s", size=1), bench.stage("t", size=2), bench.stage("s", size=9)
    bench.run([small, same])
    keys = portable_keys([same, new], bench.sources)
    spent = {entry.provenance.stage: entry.provenance.seconds for entry in bench.store.entries()}
    known = History(bench.store, {"s": 60.0, "t": 60.0})
    assert known.expected_seconds([new, same], keys) == {"s": 60.0, "t": spent["t"]}
    assert History(bench.store).expected_seconds([new], keys) == {"s": spent["s"]}


@pytest.mark.parametrize("harm", ["torn", "edited"])
def test_a_damaged_result_is_named_and_made_again_alone(bench, harm):
    stages = counting(bench, 0.0)
    results = bench.run(stages)
    content = results.content("quick")
    path = bench.store.path(results.keys_by_stage["quick"].digest)
    data = path.read_bytes()
    path.write_bytes(data[:-3] if harm == "torn" else data[:-1] + b"!")
    again = bench.run(stages)
    assert again.ran == ("quick",)
    assert str(path) in str(bench.told)
    assert again.content("quick") == content


def test_what_nothing_needs_any_more_is_not_made_again(bench):
    stages = counting(bench, 0.0)
    results = bench.run(stages)
    bench.store.path(results.keys_by_stage["quick"].digest).unlink()
    assert bench.run(stages).ran == ()


def test_an_edit_under_a_running_stage_voids_its_result(bench):
    class Editor:
        def __getattr__(self, _):
            return lambda *_: None

        def progressed(self, stage, share):
            if share > 0.3:
                bench.edit("np.arange(config.size", "np.arange(1 + config.size")
                self.progressed = lambda *_: None

    slow = bench.stage("slow", seconds=2.0)
    with pytest.raises(UserError, match=r"toys/stages\.py:count was edited .* run again"):
        bench.run([slow], display=Editor())
    assert list((bench.folder / "store").glob("*.safetensors")) == []
    assert len(bench.run([bench.stage("slow")])["slow"]["numbers"]) == 4


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        ("err", UserError, "stage s: size is 3; it must be even"),
        ("undefined", UserError, r"share\.of_none: its value is nan"),
        ("fail", StageFailed, r"stage s failed:\n(.|\n)*stages.py(.|\n)*KeyError: 'a bug'"),
        ("die", StageFailed, r"stage s: its process was killed by SIGSEGV(.|\n)*in die"),
    ],
)
def test_failures_name_the_stage(bench, function, error, said):
    with pytest.raises(error, match=said) as told:
        bench.run([bench.stage("s", function)])
    if error is UserError:
        assert "\n" not in str(told.value)
    assert plan([bench.stage("s", function)], bench.store, bench.sources).missing
    none_left(bench.folder)


def test_what_was_finished_before_a_failure_is_kept(bench):
    good, bad = bench.stage("good"), bench.stage("bad", "fail")
    with pytest.raises(StageFailed):
        bench.run([good, bad], jobs=1, known_seconds={"good": 9.0, "bad": 1.0})
    assert bench.run([good]).ran == ()


def test_after_kill_9_no_process_is_left_and_the_next_run_goes_on(bench):
    driver = bench.apart(seconds=5.0)
    wait_for(lambda: "begin 5" in bench.journal)
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    none_left(bench.folder)
    assert bench.journal == ["begin 2", "end 2", "begin 5"]

    results = bench.run(counting(bench, 5.0))
    assert results.ran == ("slow", "sum")
    assert results["sum"] == {"sum": 11.0}


def test_ctrl_c_is_one_line_status_130_and_no_process_left(bench):
    driver = bench.apart(seconds=30.0)
    wait_for(lambda: "begin 5" in bench.journal)
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=10)
    assert driver.returncode == 130
    assert "stopped" in said.splitlines()[-1]
    assert "Traceback" not in said
    none_left(bench.folder)
    assert not list((bench.folder / "store").glob("*.partial"))


def test_two_runs_at_once_share_the_work(bench):
    drivers = [bench.apart(seconds=1.5, jobs=2) for _ in range(2)]
    said = [driver.communicate(timeout=60) for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0], said
    assert sorted(bench.journal) == ["begin 2", "begin 5", "end 2", "end 5"]
    assert any("another run" in err for _, err in said)
    assert bench.run(counting(bench, 1.5)).ran == ()


def test_one_or_two_threads_give_the_same_bytes(bench):
    stage = bench.stage("product", "product")
    contents = []
    for threads in (1, 2):
        bench.store.prune()
        results = bench.run([stage], threads=threads, jobs=1)
        assert results.provenance("product").threads == threads
        contents.append(results.content("product"))
    assert contents[0] == contents[1]


def test_a_store_that_cannot_be_written_is_one_line_before_anything_runs(bench):
    (bench.folder / "store").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        bench.run(counting(bench, 0.0))
    assert bench.journal == []
