"""Training that differs from the plain one in its steps: schedules, selection, terms, forms.

Two engines. What only changes settings from step to step, or adds a gradient to the decoder's,
moves through the plain trainer's own steps (`ThreadedTrainer`). A dictionary that is made of other
parameters, or selects softly, moves by autograd through the loss in torch (`reparametrised`).
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
from seedstability.dictionaries.config import DictionaryConfig, PairedConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.samples import Samples
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.gradients import DenseGradients
from seedstability.dictionaries.training.initialization import (
    ActivationScaling,
    activation_scaling,
    initial_sae,
)
from seedstability.dictionaries.training.sae_trainer import SAETrainer
from seedstability.dictionaries.training.threaded import ThreadedTrainer
from seedstability.dictionaries.training.train import feed
from seedstability.errors import UserError
from seedstability.progress import report


class Variants(NamedTuple):
    """The dictionaries of all seeds, in the activations' units."""

    saes: list[SAE]
    """After the last step."""
    initial_decoders: list[Float[Tensor, "n d"]]
    """Before the first."""


def train_variants(samples: Samples, config: VariantConfig) -> Variants:
    """Train one SAE for each seed as `config` says.

    Raises:
        UserError: for settings that do not go together, and as in `training.train`.
    """
    _check(config)
    if config.term in ("consistency", "mfr"):
        return _drawn_together(samples, config)
    settings = config.dictionary
    scaling = activation_scaling(samples, settings)
    rows = None if config.init == "drawn" else _rows(samples, config)
    initial_saes = _initial_saes(samples, scaling, config, rows)
    initial = [sae.decoder.clone() for sae in initial_saes]
    feeds = [feed(samples, scaling, settings, config.order_seed, seed) for seed in config.seeds]
    per_epoch = -(-samples.shape[0] // settings.batch_size)
    total = per_epoch * settings.epochs
    if config.form == "free" and not config.temperature:
        saes = _side_by_side(initial_saes, feeds, config, per_epoch, total)
    else:
        points = torch.stack(rows) / scaling.scale if rows and config.form == "archetypal" else None
        saes = _in_torch(initial_saes, feeds, config, per_epoch, total, points)
    return Variants([sae.rescaled(scaling.scale) for sae in saes], initial)


def k_at(config: VariantConfig, step: int, total: int) -> int:
    """Latents kept at a step, the first of which is 1: from `initial_k` linearly to `k`."""
    k = config.dictionary.k
    return round(k + (max(config.initial_k, k) - k) * (1 - _fallen(config, step, total)))


def temperature_at(config: VariantConfig, step: int, total: int) -> float:
    """Temperature of the selection at a step; 0 from where it has fallen."""
    fallen = _fallen(config, step, total)
    if not config.temperature or fallen >= 1:
        return 0.0
    return config.temperature * (config.final_temperature / config.temperature) ** fallen


def rate_at(config: VariantConfig, step: int, total: int) -> float:
    """Learning rate before the schedule of `DictionaryConfig`, whole at the first step."""
    share = (1 + math.cos(math.pi * (step - 1) / total)) / 2 if config.cosine else 1.0
    return config.dictionary.learning_rate * share


def settings_at(config: VariantConfig, step: int, total: int) -> DictionaryConfig:
    """What holds at a step."""
    return replace(
        config.dictionary,
        k=k_at(config, step, total),
        learning_rate=rate_at(config, step, total),
    )


def orthogonality(decoders: Float[Tensor, "S n d"]) -> Float[Tensor, ""]:
    """Squared best cosine of each row with another of its dictionary, averaged over rows, summed
    over dictionaries; its gradient flows through the best pair alone.

    With one chunk this is the penalty of Korznikov et al. (2509.22033), which splits large
    dictionaries into random chunks.
    """
    rows = decoders / decoders.norm(dim=2, keepdim=True)
    with torch.no_grad():
        cosines = rows @ rows.mT
        cosines.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
        partner = cosines.argmax(2)
    best = rows * rows.gather(1, partner[:, :, None].expand_as(rows))
    return best.sum(2).square().mean(1).sum()


def _fallen(config: VariantConfig, step: int, total: int) -> float:
    """0 at the first step, 1 from where nothing is soft any more."""
    return min(1.0, (step - 1) / max(1.0, config.anneal_share * total))


def _check(config: VariantConfig) -> None:
    topk = config.dictionary.architecture == "topk"
    archetypal = config.form == "archetypal"
    problems = {
        "initial_k and temperature soften TopK alone": not topk
        and (config.initial_k or config.temperature),
        "k falls in plain steps alone, not where the form or the selection is another": (
            (config.initial_k or config.cosine or config.term != "none")
            and (config.form != "free" or config.temperature)
        ),
        "archetypal rows begin at centroids": archetypal and config.init != "centroids",
        "dictionaries that are drawn together begin as they are drawn": config.init != "drawn"
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
    """Each seed's dictionary before its first step, in training's units."""
    if rows is None:
        return [initial_sae(samples, scaling, config.dictionary, seed) for seed in config.seeds]
    x = torch.cat(list(samples.parts()))
    return [sae_from_rows(x, each, config.dictionary).rescaled(1 / scaling.scale) for each in rows]


def _side_by_side(
    initial_saes: list[SAE],
    feeds: Sequence[Iterator[Tensor]],
    config: VariantConfig,
    per_epoch: int,
    total: int,
) -> list[SAE]:
    """Plain steps, whose settings change between them."""

    def prepare(trainers: Sequence[SAETrainer]) -> list[DenseGradients] | None:
        now = settings_at(config, trainers[0].steps + 1, total)
        for trainer in trainers:
            trainer.sae = replace(trainer.sae, config=now)
        return _dense_gradients(trainers, config) if config.term == "orthogonality" else None

    names = [str(seed) for seed in config.seeds]
    with ThreadedTrainer(initial_saes, config.dictionary, total, names=names) as group:
        for epoch in range(config.dictionary.epochs):
            group.advance_together(feeds, per_epoch, prepare)
            group.end_epoch()
            report(epoch + 1, config.dictionary.epochs)
        return [replace(sae, config=config.dictionary) for sae in group.saes()]


def _dense_gradients(trainers: Sequence[SAETrainer], config: VariantConfig) -> list[DenseGradients]:
    decoders = torch.stack([trainer.sae.decoder for trainer in trainers])
    with torch.enable_grad():
        decoders.requires_grad_()
        (gradient,) = torch.autograd.grad(orthogonality(decoders), decoders)
    return [DenseGradients(decoder=(config.weight * rows).numpy()) for rows in gradient]


def _in_torch(
    initial_saes: list[SAE],
    feeds: Sequence[Iterator[Tensor]],
    config: VariantConfig,
    per_epoch: int,
    total: int,
    points: Float[Tensor, "S n d"] | None,
) -> list[SAE]:
    """Steps by autograd, through another form or a soft selection."""

    def selection(step: int) -> Selection:
        return Selection(temperature_at(config, step, total))

    names = [str(seed) for seed in config.seeds]
    engine = ReparametrizedTrainer(initial_saes, config, total, selection, points, names)
    for epoch in range(config.dictionary.epochs):
        engine.advance(feeds, per_epoch)
        engine.end_epoch()
        report(epoch + 1, config.dictionary.epochs)
    return engine.saes()


def _drawn_together(samples: Samples, config: VariantConfig) -> Variants:
    """All seeds at once, each drawn towards all others; `pairs` is not read."""
    initial: list[Tensor] = []

    def watch(epoch: int, group: Sequence[SAE]) -> None:
        if epoch == 0:
            initial.extend(sae.decoder.clone() for sae in group)
        report(epoch, config.dictionary.epochs)

    together = PairedConfig(
        config.dictionary,
        weight=config.weight,
        regularizer="consistency" if config.term == "consistency" else "mfr",
        order=config.dictionary.order,
        order_seed=config.order_seed,
    )
    return Variants(train_group(samples, together, config.seeds, watch), initial)
