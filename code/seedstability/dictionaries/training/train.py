"""Training loop of several seeds, for any trainer.

activations → scaling → one initial SAE per seed → steps → SAEs in the original units
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import TOPK, DictionaryConfig, TrainingConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.samples import InMemory, Samples
from seedstability.dictionaries.training.batched import BatchedTrainer, within_memory
from seedstability.dictionaries.training.checkpoint import Checkpoint
from seedstability.dictionaries.training.initialization import (
    ActivationScaling,
    activation_scaling,
    initial_sae,
)
from seedstability.dictionaries.training.resampling import SAMPLES, resample
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.trainer import Trainer
from seedstability.errors import UserError
from seedstability.progress import report

_REPORT_EVERY = 64
"""Steps between progress reports; Ctrl-C is handled in between."""


class Snapshot(NamedTuple):
    """State of training after one step."""

    step: int
    """Number of steps done; 0 before the first."""
    epoch: float
    """Number of passes over the activations, with fractions."""
    saes: list[SAE]
    """The SAEs, in the original units."""
    losses: list[float]
    """Training loss of each SAE, averaged over the steps since the last snapshot; NaN at step 0."""


class Trained(NamedTuple):
    """A trained SAE with its initial decoder and firing counts."""

    sae: SAE
    """The SAE after the last step, in the original units."""
    initial_decoder: Float[Tensor, "n d"]
    """The decoder before the first step."""
    last_epoch_firings: Int[Tensor, " n"]
    """Number of samples of the last epoch in which each latent fired during training."""


class RunOptions(NamedTuple):
    """Run options of training. Results do not depend on the number of cores."""

    cores: int = 1
    """Number of seeds trained at the same time on a CPU."""
    device: str = "cpu"
    """`cpu`, or another torch device, on which all seeds share one product per step."""
    select: sparse_latents.TopKSelector = sparse_latents.topk
    """Selects the k largest pre-activations on a CPU: `sparse_latents.topk` or a
    `screening.ScreenedTopK`."""
    checkpoint: Path | None = None
    """Checkpoint file. An interrupted run with the same settings resumes from it, to the same bits.
    The file stays when training is done."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""


def train(
    activations: Float[Tensor, "m d"] | Samples,
    config: DictionaryConfig = TOPK,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    *,
    cores: int = 1,
    device: str = "cpu",
    select: sparse_latents.TopKSelector = sparse_latents.topk,
    checkpoint: Path | None = None,
) -> list[SAE]:
    """Train one SAE per seed, on the same batches unless `config.order` is `own`.

    Args:
        activations: a tensor, or `Shards` for a store larger than memory.
        config: settings, such as the preset `TOPK`.
        seeds: each draws one initialization.
        cores, device, select, checkpoint: see `RunOptions`.

    Raises:
        UserError: invalid settings, a loss that is not finite or has diverged, or an SAE without
            live latents; names seed and step.
    """
    settings = TrainingConfig(dictionary=config, seeds=tuple(seeds))
    options = RunOptions(cores, device, select, checkpoint)
    return [trained.sae for trained in train_all(activations, settings, options)]


def train_all(
    activations: Float[Tensor, "m d"] | Samples,
    config: TrainingConfig,
    options: RunOptions = RunOptions(),
    watch: Callable[[Snapshot], None] | None = None,
    initial_saes: Sequence[SAE] | None = None,
) -> list[Trained]:
    """Train all seeds of `config`, with snapshots at the steps and epochs that it names.

    Args:
        activations, options: as in `train`.
        config: settings, seeds, and steps of snapshots.
        watch: called with each snapshot; copy tensors to keep them. A run that resumes from a
            checkpoint skips earlier snapshots.
        initial_saes: initial SAEs, one per seed, in the original units; by default drawn from the
            seeds.
    """
    samples = InMemory(activations) if isinstance(activations, Tensor) else activations
    settings = config.dictionary
    scaling = activation_scaling(samples, settings)
    initial = _initial_saes(samples, scaling, config, initial_saes)
    initial_decoders = [sae.decoder.clone() for sae in initial]
    per_epoch = -(-samples.shape[0] // settings.batch_size)
    total = settings.epochs * per_epoch
    checkpoint = options.checkpoint and Checkpoint(
        options.checkpoint, config, samples.shape, initial
    )

    def snapshot(trainer: Trainer, losses: list[float]) -> Snapshot:
        saes = [sae.rescaled(scaling.scale) for sae in trainer.saes()]
        return Snapshot(done, done / per_epoch, saes, losses)

    with _trainer(initial, config, total, options) as trainer:
        fresh = 0, np.zeros((len(initial), settings.n_latents), np.int64)
        done, firings = (checkpoint.load(trainer) if checkpoint else None) or fresh
        traced = {*config.trace_steps, *(epoch * per_epoch for epoch in config.trace_epochs)}
        feeds = _feeds(trainer, samples, scaling, config, done)
        if watch and done == 0 and 0 in traced:
            watch(snapshot(trainer, [float("nan")] * len(initial)))
        losses, since = np.zeros(len(initial)), 0
        for target in _stops(done, total, per_epoch, traced, settings.resample_every, options):
            losses += np.array(trainer.advance(feeds, target - done)) * (target - done)
            since += target - done
            done = target
            if done % per_epoch == 0:
                firings = np.asarray(trainer.end_epoch())
            if settings.resample_every and done % settings.resample_every == 0:
                _resample(trainer, samples, scaling, config, done)
            if watch and done in traced:
                watch(snapshot(trainer, (losses / since).tolist()))
                losses, since = np.zeros(len(initial)), 0
            if checkpoint and (done % options.checkpoint_every == 0 or done == total):
                checkpoint.save(trainer, done, firings)
            report(done, total)
        saes = [sae.rescaled(scaling.scale) for sae in trainer.saes()]
    return [
        Trained(sae, decoder, torch.from_numpy(row.copy()))
        for sae, decoder, row in zip(saes, initial_decoders, firings, strict=True)
    ]


def batch_orders(
    samples: Samples, config: DictionaryConfig, order_seed: int, seed: int
) -> Iterator[tuple[Int[Tensor, " b"], ...]]:
    """Iterate over epochs: the batches of each as row indices, reshuffled every epoch."""
    # A prime keeps the (order_seed, seed) pairs apart; torch's CPU generator uses 32 bits only.
    own = 1_000_003 * (seed + 1) if config.order == "own" else 0
    generator = torch.Generator().manual_seed((order_seed + own) % 2**32)
    while True:
        yield samples.epoch(generator).split(config.batch_size)


def feed(
    samples: Samples,
    scaling: ActivationScaling,
    config: DictionaryConfig,
    order_seed: int,
    seed: int,
    done: int = 0,
) -> Iterator[Float[Tensor, "b d"]]:
    """Iterate over scaled batches without end, skipping the first `done`."""
    for epoch in batch_orders(samples, config, order_seed, seed):
        for rows in epoch[done:]:
            yield samples.rows(rows) / scaling.scale
        done = max(0, done - len(epoch))


def _initial_saes(
    samples: Samples,
    scaling: ActivationScaling,
    config: TrainingConfig,
    given: Sequence[SAE] | None,
) -> list[SAE]:
    """Initial SAE of each seed, in scaled units."""
    wanted = len(config.seeds)
    if not wanted:
        raise UserError("seeds is empty; name at least one")
    if given is not None:
        shape = (config.dictionary.n_latents, samples.shape[1])
        if [tuple(sae.decoder.shape) for sae in given] != [shape] * wanted:
            raise UserError(
                f"initial_saes have shapes {[list(sae.decoder.shape) for sae in given]}; "
                f"need one of {list(shape)} for each of {wanted} seeds"
            )
        return [_copied(sae.rescaled(1 / scaling.scale), config.dictionary) for sae in given]
    init_seeds = config.seeds if config.init_seeds is None else config.init_seeds
    if len(init_seeds) != wanted:
        raise UserError(
            f"init_seeds has {len(init_seeds)} entries for {wanted} seeds; "
            "give one for each seed, or None"
        )
    return [initial_sae(samples, scaling, config.dictionary, seed) for seed in init_seeds]


def _copied(sae: SAE, config: DictionaryConfig) -> SAE:
    return SAE(**{name: part.float().clone() for name, part in sae.parts().items()}, config=config)


def _trainer(
    initial_saes: list[SAE], config: TrainingConfig, total: int, options: RunOptions
) -> AbstractContextManager[Trainer]:
    """The trainer of the device, as a context manager."""
    names = [str(seed) for seed in config.seeds]
    if options.device == "cpu" and architecture_of(config.dictionary).has_sparse_gradients:
        return ThreadedTrainer(
            initial_saes,
            config.dictionary,
            total,
            names=names,
            frozen_decoder=config.frozen_decoder,
            cores=options.cores,
            select=options.select,
        )
    try:
        torch.empty(0, device=options.device)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device is {options.device!r}: {reason}; use cpu") from None
    with within_memory(options.device, len(initial_saes)):
        return nullcontext(
            BatchedTrainer(
                initial_saes, config.dictionary, total, options.device, config.frozen_decoder, names
            )
        )


def _feeds(
    trainer: Trainer,
    samples: Samples,
    scaling: ActivationScaling,
    config: TrainingConfig,
    done: int,
) -> list[Iterator[Tensor]]:
    """One feed per seed, or one for all if they share batches in one product."""
    one_for_all = trainer.shares_batches and config.dictionary.order == "shared"
    seeds = config.seeds[:1] if one_for_all else config.seeds
    return [
        feed(samples, scaling, config.dictionary, config.order_seed, seed, done) for seed in seeds
    ]


def _stops(
    done: int,
    total: int,
    per_epoch: int,
    traced: set[int],
    resample_every: int,
    options: RunOptions,
) -> list[int]:
    """Steps after which to report, record, resample or save, ascending, up to the last."""
    every = [_REPORT_EVERY, per_epoch, *([resample_every] if resample_every else [])]
    if options.checkpoint:
        every.append(options.checkpoint_every)
    stops = {total, *traced}.union(*(range(0, total + 1, interval) for interval in every))
    return sorted(stop for stop in stops if done < stop <= total)


def _resample(
    trainer: Trainer,
    samples: Samples,
    scaling: ActivationScaling,
    config: TrainingConfig,
    done: int,
) -> None:
    """Resample latents that have not fired since the last resampling."""
    settings, m = config.dictionary, samples.shape[0]
    silent_for = settings.resample_every * min(settings.batch_size, m)
    silent = (torch.as_tensor(trainer.since_fired) >= silent_for).cpu().numpy()
    for which, sae in enumerate(trainer.saes()):
        generator = torch.Generator().manual_seed(
            (1_000_003 * (config.seeds[which] + 1) + done) % 2**32
        )
        rows = torch.randint(m, (min(m, SAMPLES),), generator=generator)
        new = resample(sae, samples.rows(rows) / scaling.scale, silent[which], generator)
        if len(new.latents):
            trainer.replace_latents(which, new)
