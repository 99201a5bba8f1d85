"""Coupled training: several SAEs at once, with a loss term on all of their decoders."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import PairedConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.samples import InMemory, Samples
from seedstability.dictionaries.training.coupling_terms import (
    consistency,
    mfr_warm_up,
    mutual_features,
)
from seedstability.dictionaries.training.initialization import activation_scaling, initial_sae
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.sparse_gradients import DenseGradients
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.train import feed

WatchGroup = Callable[[int, Sequence[SAE]], None]
"""Called after each epoch with the number of epochs done and the current SAEs."""


def train_group(
    activations: Float[Tensor, "m d"] | Samples,
    config: PairedConfig,
    seeds: Sequence[int],
    watch: WatchGroup | None = None,
) -> list[SAE]:
    """Train one SAE per seed with a coupling term; the SAEs take their steps simultaneously.

    Args:
        activations: a tensor or a store.
        config: settings; `pairs` is not read.
        seeds: one SAE for each.
        watch: called before the first step and after each epoch.

    Raises:
        UserError: as in `train`.
    """
    samples = InMemory(activations) if isinstance(activations, Tensor) else activations
    settings = replace(config.dictionary, order=config.order)
    scaling = activation_scaling(samples, settings)
    init_seeds = [seeds[0] if config.initialization == "shared" else seed for seed in seeds]
    initial_saes = [initial_sae(samples, scaling, settings, seed) for seed in init_seeds]
    feeds = [feed(samples, scaling, settings, config.order_seed, seed) for seed in seeds]
    per_epoch = -(-samples.shape[0] // settings.batch_size)
    total = per_epoch * settings.epochs
    with ThreadedTrainer(
        initial_saes, settings, total, names=[str(seed) for seed in seeds]
    ) as group:
        for epoch in range(settings.epochs + 1):
            if epoch:
                group.advance_together(
                    feeds, per_epoch, lambda trainers: _dense_gradients(trainers, config)
                )
                group.end_epoch()
            if watch:
                watch(epoch, [sae.rescaled(scaling.scale) for sae in group.saes()])
        return [sae.rescaled(scaling.scale) for sae in group.saes()]


def _dense_gradients(
    trainers: Sequence[SAETrainer], config: PairedConfig
) -> list[DenseGradients] | None:
    """Gradients of the coupling term for the next step, one per SAE."""
    # A cut gradient is zero, so the term need not be computed.
    if not config.weight or config.gradient == "cut":
        return None
    decoders = torch.stack([trainer.sae.decoder for trainer in trainers])
    if config.regularizer == "consistency":
        drawn = _gradient(consistency, decoders, config.weight)
        return [DenseGradients(decoder=rows.numpy()) for rows in drawn]
    weight = config.weight * mfr_warm_up(trainers[0].steps + 1) / 2
    encoders = torch.stack([trainer.sae.encoder for trainer in trainers])
    drawn = _gradient(mutual_features, decoders, weight)
    read = _gradient(mutual_features, encoders, weight)
    return [
        DenseGradients(encoder=encoder.numpy(), decoder=decoder.numpy())
        for encoder, decoder in zip(read, drawn, strict=True)
    ]


def _gradient(
    term: Callable[[Tensor], Tensor], rows: Float[Tensor, "S n d"], weight: float
) -> Float[Tensor, "S n d"]:
    with torch.enable_grad():
        rows.requires_grad_()
        (gradient,) = torch.autograd.grad(term(rows), rows)
    return gradient.mul_(weight)
