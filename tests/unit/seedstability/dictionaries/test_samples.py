"""Activation stores: the same rows in memory and on disk, bounded memory, errors for bad files."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers.shards import write_shards
from seedstability.dictionaries.samples import InMemory, Shards
from seedstability.errors import UserError

X = torch.randn(1000, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def shards(tmp_path):
    return write_shards(X.split([300, 1, 499, 200]), tmp_path / "activations")


def test_rows_are_read_from_the_right_shard(shards):
    which = torch.randint(1000, (400,), generator=torch.Generator().manual_seed(1))
    assert shards.shape == (1000, 7)
    assert torch.equal(shards.rows(which), X[which])
    assert torch.equal(shards.rows(torch.arange(1000)), X)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_an_epoch_has_every_row_once_in_a_new_order(shards, where):
    samples = InMemory(X) if where == "memory" else shards
    generator = torch.Generator().manual_seed(3)
    first, second = samples.epoch(generator), samples.epoch(generator)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert torch.equal(second.sort().values, torch.arange(1000))
    assert not torch.equal(first, second)


def test_an_epoch_from_disk_reads_shard_after_shard(shards):
    order = shards.epoch(torch.Generator().manual_seed(3))
    homes = torch.bucketize(order, torch.tensor([300, 301, 800]), right=True)
    assert (homes.diff() != 0).sum() == 3
    firsts = {int(shards.epoch(torch.Generator().manual_seed(seed))[0] >= 300) for seed in range(9)}
    assert firsts == {0, 1}, "some epochs begin with the first shard, and others do not"


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_parts_are_all_rows_in_storage_order(shards, where):
    samples = InMemory(X) if where == "memory" else shards
    assert torch.equal(torch.cat(list(samples.parts())), X)


def test_reading_takes_bounded_memory(tmp_path):
    """A process reads 160 MB of activations and takes less than 32 MB for them."""
    part = torch.zeros(20_000, 200)
    write_shards([part] * 10, tmp_path / "big")
    script = f"""
from pathlib import Path
import torch
from seedstability.dictionaries.samples import Shards
def taken():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) // 1024
before = taken()
shards = Shards(Path({str(tmp_path / "big")!r}))
most = taken() - before
for part in shards.parts():
    most = max(most, taken() - before)
for rows in shards.epoch(torch.Generator().manual_seed(0)).split(1024):
    shards.rows(rows)
    most = max(most, taken() - before)
print(most)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="code"
    )
    assert int(found.stdout) < 32


def test_bad_stores_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere contains no \*.npy"):
        Shards(tmp_path / "nowhere")
    np.save(tmp_path / "0.npy", np.zeros((5, 3)))
    with pytest.raises(UserError, match=r"0.npy is float64\[5, 3\]; a shard is float32"):
        Shards(tmp_path)
    (tmp_path / "0.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"0.npy is not a readable NumPy file"):
        Shards(tmp_path)
    np.save(tmp_path / "0.npy", np.zeros((5, 3), np.float32))
    np.save(tmp_path / "1.npy", np.zeros((5, 4), np.float32))
    with pytest.raises(UserError, match=r"1.npy has 4 coordinates, 0.npy has 3"):
        Shards(tmp_path)


def test_pickled_code_is_not_run(tmp_path):
    np.save(tmp_path / "0.npy", np.array([[print]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="not a readable NumPy file"):
        Shards(tmp_path)


@pytest.mark.parametrize("x", [torch.zeros(0, 24), torch.zeros(24), torch.zeros(2, 3, 4)])
def test_a_tensor_without_samples_by_coordinates_is_refused(x):
    with pytest.raises(UserError, match="need samples × d"):
        InMemory(x)
