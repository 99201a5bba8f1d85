"""Results have the same bits for any other seeds, threads, cores and trainer."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from audit.training import stages
from helpers.dictionaries_data import samples
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, X, identical, same
from helpers.shards import write_shards
from seedstability.dictionaries.config import TrainingConfig
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import PARTS, initialize
from seedstability.dictionaries.samples import Shards
from seedstability.dictionaries.screening import ScreenedTopK
from seedstability.dictionaries.training import train as training
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.train import train, train_all


@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_gives_the_same_bits_alone_and_among_others(name):
    together = stages.train(TrainingConfig(PRESETS[name], seeds=(1, 2, 3)), ACTIVATIONS)
    alone = stages.train(TrainingConfig(PRESETS[name], seeds=(2,)), ACTIVATIONS)
    assert same({part: together[part][1:2] for part in alone if part != "trace"}, alone)


@pytest.mark.parametrize("name", PRESETS)
def test_one_and_two_threads_give_the_same_bits(name):
    x = samples(m=600, d=128)
    config = TrainingConfig(replace(PRESETS[name], n_latents=1024, batch_size=256), seeds=(1,))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(stages.train(config, {"train": x.numpy(), "heldout": x.numpy()}))
    finally:
        torch.set_num_threads(before)
    assert same(*results)


@pytest.mark.parametrize("name", PRESETS)
def test_the_number_of_cores_does_not_change_bits(name):
    one, two = (train(X, PRESETS[name], seeds=(1, 2, 3), cores=cores) for cores in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert identical(first, second)


def test_screened_training_gives_the_same_bits():
    x = samples(m=600, d=48)
    config = replace(PRESETS["topk"], n_latents=512, k=8)
    exact = train(x, config, seeds=(1, 2))
    select = ScreenedTopK()
    screened = train(x, config, seeds=(1, 2), cores=2, select=select)
    assert all(identical(*both) for both in zip(exact, screened, strict=True))
    assert select.rows == 2 * 2 * 600


@pytest.mark.parametrize("order", ["shared", "own"])
@pytest.mark.parametrize("name", PRESETS)
def test_the_batched_trainer_agrees_with_the_threaded_trainer(name, order, monkeypatch):
    """The trainer of a GPU, run on a CPU, agrees to rounding, with resampling."""
    config = TrainingConfig(replace(PRESETS[name], order=order), (1, 2, 3))
    threaded = train_all(X, config)

    def batched(starts, config, total, options):
        names = [str(seed) for seed in config.seeds]
        return nullcontext(BatchedTrainer(starts, config.dictionary, total, names=names))

    monkeypatch.setattr(training, "_trainer", batched)
    together = train_all(X, config)
    for one, other in zip(threaded, together, strict=True):
        for part in PARTS:
            found, expected = getattr(other.sae, part), getattr(one.sae, part)
            torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)


def test_threads_flush_denormal_numbers_to_zero():
    settings = PRESETS["topk"]
    with ThreadedTrainer([initialize(settings, 24, 1)], settings, 1, names=["1"]) as group:
        tiny = group._pool.submit(lambda: (torch.full((9,), 1e-30) * 1e-9).any().item())
        assert tiny.result() is False


def test_one_shard_on_disk_gives_the_same_bits_as_memory(tmp_path):
    shards = write_shards([X], tmp_path / "one")
    (memory,), (disk,) = (train(x, PRESETS["topk"], seeds=(1,)) for x in (X, shards))
    assert identical(memory, disk)


def test_many_shards_reach_the_same_explained_variance(tmp_path):
    write_shards(X.split(130), tmp_path / "many")
    long = replace(PRESETS["topk"], epochs=20)
    (memory,), (disk,) = (train(x, long, seeds=(1,)) for x in (X, Shards(tmp_path / "many")))
    reached = [quality(sae, X).explained_variance for sae in (memory, disk)]
    assert reached[0] == pytest.approx(reached[1], abs=0.02)
