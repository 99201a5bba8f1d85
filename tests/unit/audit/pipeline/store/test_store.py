import errno
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from audit.pipeline.graph.keys import Key
from audit.pipeline.results import Array, Scalar
from audit.pipeline.store import codec
from audit.pipeline.store.codec import DamagedResult
from audit.pipeline.store.provenance import Provenance
from audit.pipeline.store.store import Store
from helpers.pipeline_bench import OTHER_ABI
from seedstability.errors import UserError
from seedstability.numerics.abi import numeric_abi

KEY = Key("a.b:c", {"k": "32"}, {}, {"a/b.py": "0"}, {"numpy": "2"})
TREE = {
    "weights": {"decoder": np.linspace(0, 1, 48, dtype=np.float32).reshape(2, 3, 8)},
    "odd": np.arange(5, dtype=np.int64),
    "flags": np.array([True, False]),
    "nothing": np.zeros((0, 3)),
    "point": np.array(2.5),
    "one_third": 1 / 3,
    "gap": float("inf"),
    "steps": 2**60 + 1,
    "settled": True,
    "label": "µ ≤ 1\n",
    "share": Scalar(0.1, digits=2, unit="%", low=0.05, high=0.2, interval="range", chance=0.01),
    "curve": Array(np.array([0.1, np.nan]), digits=1, tolerance=0.5),
}


def provenance(seconds: float = 1.5) -> Provenance:
    return Provenance("toy", seconds, 1 << 20, "2026-01-01T00:00:00+00:00", "abc", 1, numeric_abi())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", numeric_abi())


@pytest.fixture
def written(store: Store) -> Path:
    return store.write(KEY, TREE, provenance())


def test_every_kind_of_leaf_comes_back_exactly(store, written):
    found = store.load(KEY.digest)
    np.testing.assert_array_equal(found["weights"]["decoder"], TREE["weights"]["decoder"])
    for name in ("odd", "flags", "nothing", "point"):
        assert found[name].dtype == TREE[name].dtype
        assert found[name].shape == TREE[name].shape
        np.testing.assert_array_equal(found[name], TREE[name])
    for name in ("one_third", "gap", "steps", "settled", "label", "share"):
        assert found[name] == TREE[name]
        assert type(found[name]) is type(TREE[name])
    np.testing.assert_array_equal(found["curve"].values, TREE["curve"].values)
    assert (found["curve"].digits, found["curve"].tolerance) == (1, 0.5)
    assert list(found) == list(TREE)


def test_key_and_provenance_come_back(store, written):
    entry = store.entry(KEY.digest)
    assert entry.key == KEY
    assert entry.provenance == provenance()


def test_anything_that_reads_safetensors_reads_the_arrays(written):
    np.testing.assert_array_equal(load_file(written)["odd"], TREE["odd"])


def test_big_arrays_begin_at_whole_cache_lines_whatever_the_header(store):
    for seconds in (1.0, 1.123456):
        store.write(KEY, TREE, provenance(seconds))
        assert store.load(KEY.digest)["weights"]["decoder"].ctypes.data % 64 == 0


def test_writing_to_a_loaded_array_does_not_reach_the_file(store, written):
    store.load(KEY.digest)["odd"][:] = 7
    np.testing.assert_array_equal(store.load(KEY.digest)["odd"], TREE["odd"])
    store.check(KEY.digest)


def test_the_content_hash_forgets_the_run_and_sees_the_last_bit(store, written):
    first = store.entry(KEY.digest).content
    store.write(KEY, TREE, provenance(99.0))
    assert store.entry(KEY.digest).content == first
    store.write(KEY, {**TREE, "one_third": np.nextafter(1 / 3, 1)}, provenance())
    assert store.entry(KEY.digest).content != first


@pytest.mark.parametrize("kept", [0, 7, 40, 500, -64, -1])
def test_a_torn_file_is_noticed_and_named(store, written, kept):
    whole = written.read_bytes()
    written.write_bytes(whole[:kept])
    assert str(written) in store.damaged([KEY.digest])[KEY.digest]
    with pytest.raises(DamagedResult):
        store.load(KEY.digest)


@pytest.mark.parametrize("where", [3, 20, 60, 300, 0.5, -1])
def test_one_edited_byte_anywhere_is_noticed(store, written, where):
    content = bytearray(written.read_bytes())
    at = int(where * len(content)) if isinstance(where, float) else where
    content[at] ^= 1
    written.write_bytes(content)
    assert store.damaged([KEY.digest])


def test_bytes_after_the_end_are_noticed(store, written):
    written.write_bytes(written.read_bytes() + b"\0")
    assert "should have" in store.damaged([KEY.digest])[KEY.digest]


def test_untouched_files_are_compared_once_and_edits_show_whatever_the_clock_says(
    store, written, monkeypatch
):
    compared = []
    verify = codec.verify
    monkeypatch.setattr(codec, "verify", lambda path: (compared.append(path), verify(path)))
    assert not store.damaged([KEY.digest])
    later = Store(store.root, store.abi)
    assert not later.damaged([KEY.digest])
    assert len(compared) == 1
    stat = written.stat()
    content = bytearray(written.read_bytes())
    content[-1] ^= 1
    with written.open("r+b") as file:
        file.write(content)
    os.utime(written, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Store(store.root, store.abi).damaged([KEY.digest])


def test_a_number_that_is_none_is_refused_by_address(store):
    for scalar in (Scalar(float("nan")), Scalar(0.5, low=float("-inf"))):
        with pytest.raises(UserError, match=r"part\.share: its (value|low)"):
            store.write(KEY, {"part": {"share": scalar}}, provenance())
    assert list(store.root.glob("*")) == []


@pytest.mark.parametrize("leaf", [[1, 2], None, np.array(["a"]), object()])
def test_what_is_no_leaf_is_refused_by_address(store, leaf):
    with pytest.raises(TypeError, match=r"part\.list"):
        store.write(KEY, {"part": {"list": leaf}}, provenance())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_read_only_disk_is_one_line_and_leaves_what_was(
    store, written, monkeypatch, number
):
    before = written.read_bytes()

    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match=os.strerror(number)) as told:
        store.write(KEY, {**TREE, "steps": 1}, provenance())
    assert "\n" not in str(told.value)
    assert written.read_bytes() == before
    assert [path for path in store.root.iterdir() if path.suffix == ".partial"] == []


def test_a_store_that_cannot_be_made_says_so_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Store(tmp_path / "file" / "store", numeric_abi()).prepare()


def test_reading_writes_nothing_where_nothing_can_be_written(store, written, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert not store.damaged([KEY.digest])
    assert store.load(KEY.digest)["label"] == TREE["label"]


def test_another_machines_results_are_kept_and_shown_but_not_taken(store, written):
    other = Store(store.root, OTHER_ABI)
    assert not other.has(KEY.digest)
    assert [entry.path for entry in other.elsewhere(KEY.digest)] == [written]
    assert store.elsewhere(KEY.digest) == []


def test_prune_keeps_what_is_named_and_sweeps_what_killed_runs_left(store, written):
    second = store.write(Key("a.b:d", {}, {}, {}, {}), TREE, provenance())
    left = store.root / "x.partial"
    left.write_bytes(b"12345")
    size = second.stat().st_size
    assert store.prune([KEY.digest]) == 5 + size
    assert written.exists()
    assert not second.exists()
    assert not left.exists()


def test_the_second_waits_for_the_lock(store):
    order = []
    waits = threading.Event()

    def second():
        with store.lock("k", waits.set):
            order.append("second")

    with store.lock("k"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(5)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_vanishes_with_its_process(store):
    store.prepare()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with store.lock("k"):
            os.write(writer, b"!")
            time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    began = time.monotonic()
    with store.lock("k"):
        assert time.monotonic() - began < 1
