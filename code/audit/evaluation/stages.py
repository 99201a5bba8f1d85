"""Stages: reconstruction metrics and Fourier measures of single dictionaries."""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from audit.evaluation import fourier as measures
from audit.evaluation.config import EvaluationConfig, FourierConfig
from audit.evaluation.reconstruction import metrics_of_each
from audit.evaluation.results import Evaluation, FourierMeasure, FourierMeasures
from audit.subjects.arrays import columns
from audit.subjects.modular_addition.results import Logits, PairActivations, over_all_pairs
from audit.subjects.results import Activations
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report

_HUSAI_DEAD_BELOW = 10
"""Firings in the last epoch below which 001's code counts a latent as dead
(`TopKSAE.dead_threshold` in src/models/simple_sae.py of the public repository
brightlikethelight/HUSAI)."""


def evaluate(
    config: EvaluationConfig,
    dictionaries: Dictionaries,
    activations: Activations,
) -> Evaluation:
    """Evaluate reconstruction and sparsity of each dictionary."""
    trained = saes(dictionaries, config.dictionary)
    samples = {part: tensor(activations[part]) for part in ("train", "heldout")}
    result: dict[str, Any] = {**metrics_of_each(trained, samples)}
    result["live"] = result["heldout"]["firing_rate"] > 0
    if "seeds" in dictionaries:
        result["seeds"] = dictionaries["seeds"]
    if "last_epoch_firings" in dictionaries:
        rarely = dictionaries["last_epoch_firings"] < _HUSAI_DEAD_BELOW
        result["rarely_firing_fraction"] = rarely.mean(axis=1)
    return cast(Evaluation, result)


def fourier(
    config: FourierConfig,
    dictionaries: Dictionaries,
    activations: PairActivations,
    logits: Logits,
) -> FourierMeasures:
    """Compute the three Fourier measures of each dictionary over all pairs, with chance levels.

    Args:
        config: modulus, draws, and architecture of the dictionaries.
        dictionaries: trained on these activations.
        activations: of all pairs.
        logits: the positive control.

    Raises:
        UserError: the pairs do not fit the modulus.
    """
    generator = torch.Generator().manual_seed(config.seed)
    samples = _Samples.of(activations, config.p)
    trained = saes(dictionaries, config.dictionary, config.seeds)
    latents, rows, naive = [], [], []
    for done, sae in enumerate(trained):
        latents.append(_latents(sae, samples, generator))
        rows.append(_rows(sae, samples, generator))
        naive.append(measures.naive_fourier_overlap(sae.decoder, config.p))
        report(done + 1, len(trained))
    answers = torch.cat([tensor(logits["train_logits"]), tensor(logits["heldout_logits"])])
    of_answers = measures.fourier_concentration(answers, samples.sums, config.p)
    means = measures.answer_means(samples.x, samples.sums, config.p)
    n, d = trained[0].decoder.shape
    chance, spread = measures.naive_overlap_by_chance(n, d, config.naive_draws, generator, config.p)
    return {
        "latents": _measure(latents, measures.finite_mean(of_answers)),
        "decoder": _measure(
            rows, measures.decoder_concentration(means, samples.planes).mean().item()
        ),
        "naive": {
            "value": np.array(naive),
            "chance": np.full(len(naive), chance),
            "chance_spread": spread,
        },
    }


class _Samples(NamedTuple):
    """All pairs of the subject, training and held-out."""

    x: Tensor
    """Activations [m, d]."""
    sums: Tensor
    """(a + b) mod p [m]."""
    planes: Tensor
    """Planes in which the activations carry each frequency [f, 2, d]."""
    p: int
    """The modulus."""

    @classmethod
    def of(cls, activations: PairActivations, p: int) -> "_Samples":
        x, pairs = map(tensor, over_all_pairs(activations))
        sums = measures.sum_mod_p(pairs, p)
        return cls(x, sums, measures.frequency_planes(x, sums, p), p)


def _latents(sae: SAE, samples: _Samples, generator: torch.Generator) -> dict[str, Any]:
    """Compute the Fourier concentration of one dictionary's latents."""
    latents = sae.encode(samples.x)
    each = measures.fourier_concentration(latents, samples.sums, samples.p)
    rate = (latents != 0).float().mean(0)
    chance = measures.fourier_concentration_by_chance(
        samples.x, rate, samples.sums, generator, samples.p
    )
    return {
        "value": measures.finite_mean(each),
        "chance": measures.finite_mean(chance),
        "each": each.numpy(),
    }


def _rows(sae: SAE, samples: _Samples, generator: torch.Generator) -> dict[str, Any]:
    """Compute the Fourier concentration of one dictionary's decoder rows."""
    each = measures.decoder_concentration(sae.decoder, samples.planes)
    chance = measures.decoder_concentration_by_chance(
        samples.x, samples.planes, len(sae.decoder), generator
    )
    return {"value": each.mean().item(), "chance": chance.mean().item(), "each": each.numpy()}


def _measure(rows: list[dict[str, Any]], control: float) -> FourierMeasure:
    return cast(FourierMeasure, {**columns(rows), "control": control})
