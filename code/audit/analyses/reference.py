"""Stages: dictionaries scored against independent references, and aligned by optimal transport.

Seeds that share information, or are trained with a term that draws them together, agree for that
reason too. References that share nothing with them measure the rest: independent plain dictionaries
of other seeds, and the planted truth where there is one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.partners import ring_pairs
from audit.analyses.reference_config import ReferenceConfig, TransportConfig
from audit.training.stages import INITIAL, saes, tensor
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import quality
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of, data_level, isotropic_level
from seedstability.similarity.names import BEST
from seedstability.similarity.pairs import (
    Statistics,
    best_partners,
    cosine_to_initialization,
    decoder_statistics,
)
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines, normalize_rows
from seedstability.stability.matching.match import match_cosines
from seedstability.stability.matching.transport import (
    barycentric_cosine,
    effective_partners,
    sinkhorn,
    transported_cosine,
)
from seedstability.stability.pairs import all_pairs

PAIRS = ("max_cosine", "matched_mean")
QUALITY = ("explained_variance", "l0", "dead_fraction")


def score_against_references(
    config: ReferenceConfig,
    activations: Mapping[str, np.ndarray],
    **families: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """Score the dictionaries of each training against each other, references and truth.

    Args:
        config: trainings, architectures of their dictionaries, draws of chance.
        activations: `train` and `heldout` [samples, d]; with `directions` [features, d], `unit` and
            `rank` if the truth was planted.
        families: by the names of trainings, the results of `training.stages:train` for S seeds.

    Returns:
        By the name of the training: `QUALITY` [S] on held-out samples; `PAIRS` as [S, S] matrices
        under `full`, `gauge` and `untrained`, one number under `isotropic` and `data`; `judge` and
        `judge_gauge` [S], the mean max cosine with the references, unchanged and scrambled;
        `start_gauge` [S, S] and `judge_start` with `judge_start_gauge` [S], the same for the
        dictionaries at initialization; `judge_matched` and `judge_matched_gauge` [S], the matched
        cosine with one reference each; `cosine_with_start` [S], the cosine to initialization; with
        a truth, `truth`, `truth_gauge`, `truth_singles` [S]: the best cosine of a planted direction
        with a latent, averaged over all directions, the same with the dictionary scrambled, and
        averaged over singles.
    """
    every = {name: found for family in families.values() for name, found in family.items()}
    baselines = _Baselines.of(activations, every[config.references]["decoder"], config)
    result = {}
    for done, (name, settings) in enumerate(zip(config.names, config.dictionaries, strict=True)):
        result[name] = _scores(every[name], settings, baselines)
        report(done + 1, len(config.names))
    return result


@dataclass(frozen=True)
class _Baselines:
    """References, truth and chance levels that all dictionaries are compared with."""

    references: Float[Tensor, "J n d"]
    heldout: Float[Tensor, "m d"]
    planted: Mapping[str, np.ndarray] | None
    gauge: GaugeBasis
    isotropic: Statistics
    data: Statistics
    seed: int

    @classmethod
    def of(
        cls, activations: Mapping, references: np.ndarray, config: ReferenceConfig
    ) -> "_Baselines":
        generator = Generator().manual_seed(config.seed)
        x = tensor(activations["train"])
        _, n, d = references.shape
        return cls(
            tensor(references),
            tensor(activations["heldout"][: config.heldout]),
            activations if "directions" in activations else None,
            GaugeBasis.from_activations(x),
            isotropic_level(n, d, config.draws, generator),
            data_level(covariance_of(x), n, config.draws, generator),
            config.seed,
        )


def _scores(
    dictionaries: Mapping[str, np.ndarray], settings: DictionaryConfig, baselines: _Baselines
) -> dict[str, Any]:
    # A separate generator, so that a training's chance does not depend on those before it.
    generator = Generator().manual_seed(baselines.seed)
    ours, initial = (tensor(dictionaries[name]) for name in ("decoder", INITIAL))

    def scrambled(W: Tensor) -> Tensor:
        return gauge_scramble(W, baselines.gauge, generator)

    measured = [quality(sae, baselines.heldout) for sae in saes(dictionaries, settings)]
    result: dict[str, Any] = {
        **{name: np.array([getattr(each, name) for each in measured]) for name in QUALITY},
        "full": _of_pairs(lambda i, j: decoder_statistics(ours[i], ours[j]), len(ours)),
        "gauge": _of_pairs(lambda i, j: decoder_statistics(ours[i], scrambled(ours[j])), len(ours)),
        "untrained": _of_pairs(lambda i, j: decoder_statistics(initial[i], initial[j]), len(ours)),
        "isotropic": baselines.isotropic,
        "data": baselines.data,
        "judge": _max_cosine_with_references(ours, lambda: baselines.references),
        "judge_gauge": _max_cosine_with_references(
            ours, lambda: torch.stack([*map(scrambled, baselines.references)])
        ),
        "start_gauge": _of_pairs(
            lambda i, j: best_partners(initial[i], scrambled(initial[j])), len(ours), BEST[:1]
        ),
        "judge_start": _max_cosine_with_references(initial, lambda: baselines.references),
        "judge_start_gauge": _max_cosine_with_references(
            initial, lambda: torch.stack([*map(scrambled, baselines.references)])
        ),
        "judge_matched": _matched_cosine_with_references(ours, baselines.references),
        "judge_matched_gauge": _matched_cosine_with_references(
            ours, torch.stack([*map(scrambled, baselines.references)])
        ),
        "cosine_with_start": cosine_to_initialization(ours, initial).numpy(),
    }
    return (
        result
        if baselines.planted is None
        else result | _cosine_to_truth(ours, baselines.planted, scrambled)
    )


def transport(
    config: TransportConfig,
    dictionaries: Mapping[str, Mapping[str, np.ndarray]],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Align pairs of dictionaries by transport and by assignment, unchanged and scrambled.

    Returns:
        Under `trained` and `gauge`, matrices [S, S], NaN for pairs that were not compared:
        `matched` and, [E, S, S] over the strengths, `transported`, `barycentric` and `partners`;
        and `error` [E], the largest deviation of a marginal.
    """
    generator = Generator().manual_seed(config.seed)
    gauge = GaugeBasis.from_activations(tensor(activations["train"]))
    decoders = tensor(dictionaries[config.name]["decoder"])
    n_seeds = len(decoders)
    pairs = ring_pairs(n_seeds) if config.ring_pairs else all_pairs(n_seeds)
    tables: dict[str, dict[str, np.ndarray]] = {"trained": {}, "gauge": {}}
    errors = np.zeros(len(config.epsilons))
    for done, (i, j) in enumerate(pairs):
        scrambled = gauge_scramble(decoders[j], gauge, generator)
        for kind, other in (("trained", decoders[j]), ("gauge", scrambled)):
            found, error = _transport_pair(decoders[i], other, config.epsilons)
            errors = np.maximum(errors, error)
            for name, values in found.items():
                shape = (*np.shape(values), n_seeds, n_seeds)
                table = tables[kind].setdefault(name, np.full(shape, np.nan))
                table[..., i, j] = table[..., j, i] = values
        report(done + 1, len(pairs))
    return {**tables, "error": errors}


def _transport_pair(A: Tensor, B: Tensor, epsilons: tuple[float, ...]) -> tuple[dict, np.ndarray]:
    S = cosines(A, B)
    rows, columns = (normalize_rows(W).double().numpy() for W in (A, B))
    values = S.double().numpy()
    plans = [sinkhorn(values, epsilon) for epsilon in epsilons]
    return {
        "matched": match_cosines(S).matched_cosines.double().mean().item(),
        "transported": np.array([transported_cosine(each.plan, values) for each in plans]),
        "barycentric": np.array(
            [_barycentric_both_ways(each.plan, rows, columns) for each in plans]
        ),
        "partners": np.array([effective_partners(each.plan) for each in plans]),
    }, np.array([each.error for each in plans])


def _barycentric_both_ways(plan: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
    return (barycentric_cosine(plan, A, B) + barycentric_cosine(plan.T, B, A)) / 2


def _of_pairs(
    of: Callable[[int, int], Statistics], n_seeds: int, names: tuple[str, ...] = PAIRS
) -> dict[str, np.ndarray]:
    tables = {name: np.full((n_seeds, n_seeds), np.nan) for name in names}
    for i, j in all_pairs(n_seeds):
        found = of(i, j)
        for name, table in tables.items():
            table[i, j] = table[j, i] = found[name]
    return tables


def _max_cosine_with_references(ours: Tensor, references: Callable[[], Tensor]) -> np.ndarray:
    """Compute each dictionary's max cosine with the references, averaged over references."""
    return np.array(
        [
            np.mean([best_partners(W, reference)["max_cosine"] for reference in references()])
            for W in ours
        ]
    )


def _matched_cosine_with_references(ours: Tensor, references: Tensor) -> np.ndarray:
    """Compute each dictionary's mean matched cosine with one reference, assigned cyclically."""
    return np.array(
        [
            decoder_statistics(W, references[seed % len(references)])["matched_mean"]
            for seed, W in enumerate(ours)
        ]
    )


def _cosine_to_truth(ours: Tensor, planted: Mapping, scrambled: Callable[[Tensor], Tensor]) -> dict:
    directions = tensor(planted["directions"])
    single = torch.from_numpy(planted["rank"][planted["unit"]] == 1)
    found = torch.stack([cosines(directions, W).amax(dim=1).double() for W in ours])
    by_chance = [cosines(directions, scrambled(W)).amax(dim=1).double() for W in ours]
    return {
        "truth": found.mean(dim=1).numpy(),
        "truth_gauge": torch.stack(by_chance).mean(dim=1).numpy(),
        "truth_singles": found[:, single].mean(dim=1).numpy(),
    }
