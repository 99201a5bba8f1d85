"""Training variants: schedules, soft TopK, loss terms, initialization and parametrization.

There are two trainers. Variants that change settings between steps, or add a gradient to the
decoder, use `ThreadedTrainer`. Other parametrizations and soft TopK use autograd
(`ReparametrizedTrainer`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from audit.training.variants.config import VariantConfig
from audit.training.variants.data_init import initial_rows, sae_from_rows
from audit.training.variants.reparametrized import ReparametrizedTrainer, Selection
from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.architectures.topk import TopK
from seedstability.dictionaries.config import DictionaryConfig, PairedConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.samples import Samples
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.initialization import (
    ActivationScaling,
    activation_scaling,
    initial_sae,
)
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.sparse_gradients import DenseGradients
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.train import feed
from seedstability.errors import UserError
from seedstability.progress import report


class Variants(NamedTuple):
    """SAEs of all seeds, in the original units."""

    saes: list[SAE]
    """SAEs after the last step."""
    initial_decoders: list[Float[Tensor, "n d"]]
    """Decoders before the first step."""


def train_variants(samples: Samples, config: VariantConfig) -> Variants:
    """Train one SAE per seed with variants.

    Raises:
        UserError: incompatible settings, or as in `train`.
    """
    _check(config)
    if config.term in ("consistency", "mfr"):
        return _train_coupled(samples, config)
    settings = config.dictionary
    scaling = activation_scaling(samples, settings)
    rows = None if config.init == "drawn" else _rows(samples, config)
    initial_saes = _initial_saes(samples, scaling, config, rows)
    initial = [sae.decoder.clone() for sae in initial_saes]
    feeds = [feed(samples, scaling, settings, config.order_seed, seed) for seed in config.seeds]
    per_epoch = -(-samples.shape[0] // settings.batch_size)
    total = per_epoch * settings.epochs
    if config.form == "free" and not config.temperature:
        saes = _train_threaded(initial_saes, feeds, config, per_epoch, total)
    else:
        points = torch.stack(rows) / scaling.scale if rows and config.form == "archetypal" else None
        saes = _train_reparametrized(initial_saes, feeds, config, per_epoch, total, points)
    return Variants([sae.rescaled(scaling.scale) for sae in saes], initial)


def k_at(config: VariantConfig, step: int, total: int) -> int:
    """Latents kept at a step: annealed linearly from `initial_k` to `k`; steps count from 1."""
    k = config.dictionary.k
    return round(k + (max(config.initial_k, k) - k) * (1 - _annealed(config, step, total)))


def temperature_at(config: VariantConfig, step: int, total: int) -> float:
    """Temperature of soft TopK at a step; 0 after annealing."""
    annealed = _annealed(config, step, total)
    if not config.temperature or annealed >= 1:
        return 0.0
    return config.temperature * (config.final_temperature / config.temperature) ** annealed


def rate_at(config: VariantConfig, step: int, total: int) -> float:
    """Learning rate at a step, before the schedule of `DictionaryConfig`."""
    share = (1 + math.cos(math.pi * (step - 1) / total)) / 2 if config.cosine else 1.0
    return config.dictionary.learning_rate * share


def settings_at(config: VariantConfig, step: int, total: int) -> DictionaryConfig:
    """Settings of the dictionary at a step."""
    return replace(
        config.dictionary,
        k=k_at(config, step, total),
        learning_rate=rate_at(config, step, total),
    )


def orthogonality(decoders: Float[Tensor, "S n d"]) -> Float[Tensor, ""]:
    """Orthogonality penalty of Korznikov et al. (2509.22033), with a single chunk.

    The squared maximum cosine of each row with another row, averaged over rows and summed over
    dictionaries. The gradient flows through the maximizing pair alone.
    """
    rows = decoders / decoders.norm(dim=2, keepdim=True)
    with torch.no_grad():
        cosines = rows @ rows.mT
        cosines.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
        partner = cosines.argmax(2)
    best = rows * rows.gather(1, partner[:, :, None].expand_as(rows))
    return best.sum(2).square().mean(1).sum()


def _annealed(config: VariantConfig, step: int, total: int) -> float:
    """Progress of annealing: 0 at the first step, 1 at its end."""
    return min(1.0, (step - 1) / max(1.0, config.anneal_share * total))


def _check(config: VariantConfig) -> None:
    topk = isinstance(architecture_of(config.dictionary), TopK)
    archetypal = config.form == "archetypal"
    problems = {
        "initial_k and temperature need architecture topk": not topk
        and (config.initial_k or config.temperature),
        "initial_k, cosine and term need form free and temperature 0": (
            (config.initial_k or config.cosine or config.term != "none")
            and (config.form != "free" or config.temperature)
        ),
        "form archetypal needs init centroids": archetypal and config.init != "centroids",
        "term consistency and mfr need init drawn": config.init != "drawn"
        and config.term in ("consistency", "mfr"),
    }
    for problem, found in problems.items():
        if found:
            raise UserError(f"{problem}; change one of the two settings")


def _rows(samples: Samples, config: VariantConfig) -> list[Float[Tensor, "n d"]]:
    x = torch.cat(list(samples.parts()))
    return initial_rows(x - x.mean(0), config)


def _initial_saes(
    samples: Samples, scaling: ActivationScaling, config: VariantConfig, rows: list[Tensor] | None
) -> list[SAE]:
    """Initial SAE of each seed, in scaled units."""
    if rows is None:
        return [initial_sae(samples, scaling, config.dictionary, seed) for seed in config.seeds]
    x = torch.cat(list(samples.parts()))
    return [sae_from_rows(x, each, config.dictionary).rescaled(1 / scaling.scale) for each in rows]


def _train_threaded(
    initial_saes: list[SAE],
    feeds: Sequence[Iterator[Tensor]],
    config: VariantConfig,
    per_epoch: int,
    total: int,
) -> list[SAE]:
    """Train with `ThreadedTrainer`, with settings that change between steps."""

    def prepare(trainers: Sequence[SAETrainer]) -> list[DenseGradients] | None:
        now = settings_at(config, trainers[0].steps + 1, total)
        for trainer in trainers:
            trainer.sae = replace(trainer.sae, config=now)
        return _dense_gradients(trainers, config)

    names = [str(seed) for seed in config.seeds]
    with ThreadedTrainer(initial_saes, config.dictionary, total, names=names) as group:
        for epoch in range(config.dictionary.epochs):
            group.advance_together(feeds, per_epoch, prepare)
            group.end_epoch()
            report(epoch + 1, config.dictionary.epochs)
        return [replace(sae, config=config.dictionary) for sae in group.saes()]


def _dense_gradients(
    trainers: Sequence[SAETrainer], config: VariantConfig
) -> list[DenseGradients] | None:
    if config.term == "l2":
        factor = 2 * config.weight / config.dictionary.n_latents
        return [DenseGradients(encoder=factor * each.sae.encoder.numpy()) for each in trainers]
    if config.term != "orthogonality":
        return None
    decoders = torch.stack([trainer.sae.decoder for trainer in trainers])
    with torch.enable_grad():
        decoders.requires_grad_()
        (gradient,) = torch.autograd.grad(orthogonality(decoders), decoders)
    return [DenseGradients(decoder=(config.weight * rows).numpy()) for rows in gradient]


def _train_reparametrized(
    initial_saes: list[SAE],
    feeds: Sequence[Iterator[Tensor]],
    config: VariantConfig,
    per_epoch: int,
    total: int,
    points: Float[Tensor, "S n d"] | None,
) -> list[SAE]:
    """Train with `ReparametrizedTrainer`."""

    def selection(step: int) -> Selection:
        return Selection(temperature_at(config, step, total))

    names = [str(seed) for seed in config.seeds]
    trainer = ReparametrizedTrainer(initial_saes, config, total, selection, points, names)
    for epoch in range(config.dictionary.epochs):
        trainer.advance(feeds, per_epoch)
        trainer.end_epoch()
        report(epoch + 1, config.dictionary.epochs)
    return trainer.saes()


def _train_coupled(samples: Samples, config: VariantConfig) -> Variants:
    """Train all seeds with a coupling term on all of them."""
    initial: list[Tensor] = []

    def watch(epoch: int, group: Sequence[SAE]) -> None:
        if epoch == 0:
            initial.extend(sae.decoder.clone() for sae in group)
        report(epoch, config.dictionary.epochs)

    coupling = PairedConfig(
        config.dictionary,
        weight=config.weight,
        regularizer="consistency" if config.term == "consistency" else "mfr",
        order=config.dictionary.order,
        order_seed=config.order_seed,
    )
    return Variants(train_group(samples, coupling, config.seeds, watch), initial)
