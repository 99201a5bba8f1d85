"""Training of many seeds over the same batches: the loop, whatever computes the steps.

activations → units → one start for each seed → steps … → dictionaries in the activations' units
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.dictionaries import sparse_latents
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
from seedstability.errors import UserError
from seedstability.progress import report

_STEPS_AT_ONCE = 64
"""After so many, progress is reported, and Ctrl-C is heard."""


class Snapshot(NamedTuple):
    """Training at one step."""

    step: int
    """Steps done; 0 before the first."""
    epoch: float
    """Passes over the activations done."""
    saes: list[SAE]
    """The dictionaries, in the activations' units."""
    losses: list[float]
    """Each one's training loss, averaged over the steps since the last snapshot; NaN at step 0."""


class Trained(NamedTuple):
    """One trained dictionary and what is known of its way."""

    sae: SAE
    """After the last step, in the activations' units."""
    initial_decoder: Float[Tensor, "n d"]
    """Its decoder before the first step."""
    last_epoch_firings: Int[Tensor, " n"]
    """Samples of the last epoch in which each latent fired, as it was at that step."""


class RunOptions(NamedTuple):
    """How training is carried out. No bit of a result depends on the number of cores."""

    cores: int = 1
    """Seeds trained at the same time, on a CPU."""
    device: str = "cpu"
    """`cpu`, or another of torch's, where all seeds share one product a step."""
    select: sparse_latents.TopKSelector = sparse_latents.topk
    """How the k largest pre-activations are found, on a CPU: `firing.topk`, or a
    `screening.ScreenedTopK`."""
    checkpoint: Path | None = None
    """A file to keep the state in, from which an interrupted run with the same settings goes on to
    the same bits. It stays when training is done."""
    checkpoint_every: int = 1000
    """Steps after which the state is kept."""


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
    """Train one SAE for each seed, over the same batches unless the settings say otherwise.

    Args:
        activations: a tensor, or `dictionaries.samples.Shards` for more than memory holds.
        config: the dictionary and its training; see its presets.
        seeds: each draws one initialisation.
        cores, device, select, checkpoint: see `RunOptions`.

    Raises:
        UserError: for impossible sizes, a loss that is not finite, or a dictionary that
            died, naming seed and step.
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
    """Train all seeds of `config`; `watch` is called at each step that `config` wants traced.

    Args:
        activations, options: as in `train`.
        config: seeds, orders, and what is traced.
        watch: sees the dictionaries; what it does not copy will change. A run that goes on from
            a checkpoint shows it only what is still to come.
        initial_saes: dictionaries to begin at, one for each seed, in the activations' units, instead of
            those that the seeds draw.
    """
    samples = InMemory(activations) if isinstance(activations, Tensor) else activations
    settings = config.dictionary
    scaling = activation_scaling(samples, settings)
    begun = _initial_saes(samples, scaling, config, initial_saes)
    initial_decoders = [sae.decoder.clone() for sae in begun]
    per_epoch = -(-samples.shape[0] // settings.batch_size)
    total = settings.epochs * per_epoch
    kept = options.checkpoint and Checkpoint(options.checkpoint, config, samples.shape, begun)

    def snapshot(engine: ThreadedTrainer | BatchedTrainer, losses: list[float]) -> Snapshot:
        saes = [sae.rescaled(scaling.scale) for sae in engine.saes()]
        return Snapshot(done, done / per_epoch, saes, losses)

    with _engine(begun, config, total, options) as engine:
        nothing = 0, np.zeros((len(begun), settings.n_latents), np.int64)
        done, firings = (kept.load(engine) if kept else None) or nothing
        traced = {*config.trace_steps, *(epoch * per_epoch for epoch in config.trace_epochs)}
        feeds = _feeds(engine, samples, scaling, config, done)
        if watch and done == 0 and 0 in traced:
            watch(snapshot(engine, [float("nan")] * len(begun)))
        losses, since = np.zeros(len(begun)), 0
        for target in _stops(done, total, per_epoch, traced, settings.resample_every, options):
            losses += np.array(engine.advance(feeds, target - done)) * (target - done)
            since += target - done
            done = target
            if done % per_epoch == 0:
                firings = np.asarray(engine.end_epoch())
            if settings.resample_every and done % settings.resample_every == 0:
                _resample(engine, samples, scaling, config, done)
            if watch and done in traced:
                watch(snapshot(engine, (losses / since).tolist()))
                losses, since = np.zeros(len(begun)), 0
            if kept and (done % options.checkpoint_every == 0 or done == total):
                kept.save(engine, done, firings)
            report(done, total)
        saes = [sae.rescaled(scaling.scale) for sae in engine.saes()]
    return [
        Trained(sae, decoder, torch.from_numpy(row.copy()))
        for sae, decoder, row in zip(saes, initial_decoders, firings, strict=True)
    ]


def batch_orders(
    samples: Samples, config: DictionaryConfig, order_seed: int, seed: int
) -> Iterator[tuple[Int[Tensor, " b"], ...]]:
    """For each epoch its batches, as rows of the activations; a new shuffle every epoch."""
    # A prime apart, so that no (order_seed, seed) meets another; torch's CPU generator
    # looks at 32 bits only.
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
    """Batches without end, in training's units, after the first `done`."""
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
    """Each seed's dictionary before its first step, in training's units."""
    wanted = len(config.seeds)
    if not wanted:
        raise UserError("seeds is empty; name at least one")
    if given is not None:
        shape = (config.dictionary.n_latents, samples.shape[1])
        if [tuple(sae.decoder.shape) for sae in given] != [shape] * wanted:
            raise UserError(
                f"starts are {[list(sae.decoder.shape) for sae in given]}; "
                f"need one of {list(shape)} for each of {wanted} seeds"
            )
        return [
            _owned(replace(sae.rescaled(1 / scaling.scale), config=config.dictionary))
            for sae in given
        ]
    init_seeds = config.seeds if config.init_seeds is None else config.init_seeds
    if len(init_seeds) != wanted:
        raise UserError(
            f"init_seeds has {len(init_seeds)} entries for {wanted} seeds; "
            "give one for each seed, or None"
        )
    return [initial_sae(samples, scaling, config.dictionary, seed) for seed in init_seeds]


def _owned(sae: SAE) -> SAE:
    parts = ("encoder", "encoder_bias", "decoder", "decoder_bias", "threshold")
    return replace(sae, **{part: getattr(sae, part).float().clone() for part in parts})


def _engine(initial_saes: list[SAE], config: TrainingConfig, total: int, options: RunOptions):
    """What computes the steps, as a context."""
    names = [str(seed) for seed in config.seeds]
    if options.device == "cpu":
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
        raise UserError(f"device is {options.device!r}: {reason}; take cpu") from None
    with within_memory(options.device, len(initial_saes)):
        return nullcontext(
            BatchedTrainer(
                initial_saes, config.dictionary, total, options.device, config.frozen_decoder, names
            )
        )


def _feeds(
    engine: ThreadedTrainer | BatchedTrainer,
    samples: Samples,
    scaling: ActivationScaling,
    config: TrainingConfig,
    done: int,
) -> list[Iterator[Tensor]]:
    """One for each seed; or one for all where they take the same batches in one product."""
    one_for_all = isinstance(engine, BatchedTrainer) and config.dictionary.order == "shared"
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
    """Steps after which something is due, ascending, up to the last."""
    every = [_STEPS_AT_ONCE, per_epoch, *([resample_every] if resample_every else [])]
    if options.checkpoint:
        every.append(options.checkpoint_every)
    stops = {total, *traced}.union(*(range(0, total + 1, interval) for interval in every))
    return sorted(stop for stop in stops if done < stop <= total)


def _resample(
    engine: ThreadedTrainer | BatchedTrainer,
    samples: Samples,
    scaling: ActivationScaling,
    config: TrainingConfig,
    done: int,
) -> None:
    """New rows for latents that have not fired since this was last done."""
    settings, m = config.dictionary, samples.shape[0]
    silent_for = settings.resample_every * min(settings.batch_size, m)
    silent = (torch.as_tensor(engine.since_fired) >= silent_for).cpu().numpy()
    for which, sae in enumerate(engine.saes()):
        generator = torch.Generator().manual_seed(
            (1_000_003 * (config.seeds[which] + 1) + done) % 2**32
        )
        rows = torch.randint(m, (min(m, SAMPLES),), generator=generator)
        new = resample(sae, samples.rows(rows) / scaling.scale, silent[which], generator)
        if len(new.latents):
            engine.replace_latents(which, new)
