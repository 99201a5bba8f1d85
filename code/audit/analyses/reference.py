"""Stages: dictionaries of several seeds judged from outside, and aligned by transport.

Seeds that share information, or are drawn together, agree with each other for that reason too. Who
shares nothing with them can say what of it is there: independent plain dictionaries of other seeds,
and the truth where it was planted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.partners import neighbours
from audit.analyses.reference_config import OutsideConfig, TransportConfig
from audit.training.stages import INITIAL, saes, tensor
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import quality
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of, data_level, isotropic_level
from seedstability.similarity.names import BEST
from seedstability.similarity.pairs import (
    Statistics,
    all_pairs,
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

PAIRS = ("max_cosine", "matched_mean")
QUALITY = ("explained_variance", "l0", "dead_fraction")


def judged(
    config: OutsideConfig,
    activations: Mapping[str, np.ndarray],
    **families: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """Everything that is asked of the dictionaries of each training.

    Args:
        config: which trainings, how their dictionaries encode, how often chance is drawn.
        activations: `train` and `heldout` [samples, d]; with `directions` [features, d], `unit` and
            `rank` where the truth was planted.
        families: by the names of trainings, what `training.stages:train` returns of S seeds.

    Returns:
        By the name of the training: of `QUALITY` [S] on held-out samples; of `PAIRS` [S, S]
        matrices under `full`, `gauge` and `untrained`, one number under `isotropic` and `data`;
        `judge` and `judge_gauge` [S], the max cosine with the judges, in the mean, as they are and
        scrambled; `start_gauge` [S, S] and `judge_start` with `judge_start_gauge` [S], the same of
        the dictionaries before training; `judge_matched` and `judge_matched_gauge` [S], the matched
        cosine with one judge each; `cosine_with_start` [S]; with a truth, `truth`, `truth_gauge`,
        `truth_singles` [S]: the best cosine of a planted direction with a latent, in the mean over
        all of them, the same with the dictionary scrambled, and over those that are units by
        themselves.
    """
    every = {name: found for family in families.values() for name, found in family.items()}
    around = _Around.of(activations, every[config.judges]["decoder"], config)
    result = {}
    for done, (name, settings) in enumerate(zip(config.names, config.dictionaries, strict=True)):
        result[name] = _judged(every[name], settings, around)
        report(done + 1, len(config.names))
    return result


@dataclass(frozen=True)
class _Around:
    """What the dictionaries are held against."""

    judges: Float[Tensor, "J n d"]
    heldout: Float[Tensor, "m d"]
    planted: Mapping[str, np.ndarray] | None
    gauge: GaugeBasis
    isotropic: Statistics
    data: Statistics
    seed: int

    @classmethod
    def of(cls, activations: Mapping, judges: np.ndarray, config: OutsideConfig) -> "_Around":
        generator = Generator().manual_seed(config.seed)
        x = tensor(activations["train"])
        _, n, d = judges.shape
        return cls(
            tensor(judges),
            tensor(activations["heldout"][: config.heldout]),
            activations if "directions" in activations else None,
            GaugeBasis.from_activations(x),
            isotropic_level(n, d, config.draws, generator),
            data_level(covariance_of(x), n, config.draws, generator),
            config.seed,
        )


def _judged(
    dictionaries: Mapping[str, np.ndarray], settings: DictionaryConfig, around: _Around
) -> dict[str, Any]:
    # A generator of its own, so that no training's chance depends on which came before it.
    generator = Generator().manual_seed(around.seed)
    ours, initial = (tensor(dictionaries[name]) for name in ("decoder", INITIAL))

    def scrambled(W: Tensor) -> Tensor:
        return gauge_scramble(W, around.gauge, generator)

    measured = [quality(sae, around.heldout) for sae in saes(dictionaries, settings)]
    result: dict[str, Any] = {
        name: np.array([getattr(each, name) for each in measured]) for name in QUALITY
    }
    result |= {
        "full": _of_pairs(lambda i, j: decoder_statistics(ours[i], ours[j]), len(ours)),
        "gauge": _of_pairs(lambda i, j: decoder_statistics(ours[i], scrambled(ours[j])), len(ours)),
        "untrained": _of_pairs(lambda i, j: decoder_statistics(initial[i], initial[j]), len(ours)),
        "isotropic": around.isotropic,
        "data": around.data,
        "judge": _with_judges(ours, lambda: around.judges),
        "judge_gauge": _with_judges(ours, lambda: torch.stack([*map(scrambled, around.judges)])),
        "start_gauge": _of_pairs(
            lambda i, j: best_partners(initial[i], scrambled(initial[j])), len(ours), BEST[:1]
        ),
        "judge_start": _with_judges(initial, lambda: around.judges),
        "judge_start_gauge": _with_judges(
            initial, lambda: torch.stack([*map(scrambled, around.judges)])
        ),
        "judge_matched": _matched_with_judges(ours, around.judges),
        "judge_matched_gauge": _matched_with_judges(
            ours, torch.stack([*map(scrambled, around.judges)])
        ),
        "cosine_with_start": cosine_to_initialization(ours, initial).numpy(),
    }
    return result if around.planted is None else result | _truth(ours, around.planted, scrambled)


def transport(
    config: TransportConfig,
    dictionaries: Mapping[str, Mapping[str, np.ndarray]],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Pairs of dictionaries aligned by transport and by assignment, and scrambled ones likewise.

    Returns:
        Under `trained` and `gauge`, matrices [S, S] that are NaN where a pair was not looked at:
        `matched` and, [E, S, S] over the strengths, `transported`, `barycentric` and `partners`;
        and `error` [E], the largest deviation of a marginal.
    """
    generator = Generator().manual_seed(config.seed)
    gauge = GaugeBasis.from_activations(tensor(activations["train"]))
    decoders = tensor(dictionaries[config.name]["decoder"])
    n_seeds = len(decoders)
    pairs = neighbours(n_seeds) if config.neighbours else all_pairs(n_seeds)
    tables: dict[str, dict[str, np.ndarray]] = {"trained": {}, "gauge": {}}
    errors = np.zeros(len(config.epsilons))
    for done, (i, j) in enumerate(pairs):
        stranger = gauge_scramble(decoders[j], gauge, generator)
        for kind, other in (("trained", decoders[j]), ("gauge", stranger)):
            found, error = _aligned(decoders[i], other, config.epsilons)
            errors = np.maximum(errors, error)
            for name, values in found.items():
                shape = (*np.shape(values), n_seeds, n_seeds)
                table = tables[kind].setdefault(name, np.full(shape, np.nan))
                table[..., i, j] = table[..., j, i] = values
        report(done + 1, len(pairs))
    return {**tables, "error": errors}


def _aligned(A: Tensor, B: Tensor, epsilons: tuple[float, ...]) -> tuple[dict, np.ndarray]:
    S = cosines(A, B)
    rows, columns = (normalize_rows(W).double().numpy() for W in (A, B))
    values = S.double().numpy()
    plans = [sinkhorn(values, epsilon) for epsilon in epsilons]
    return {
        "matched": match_cosines(S).matched_cosines.double().mean().item(),
        "transported": np.array([transported_cosine(each.plan, values) for each in plans]),
        "barycentric": np.array([_both_ways(each.plan, rows, columns) for each in plans]),
        "partners": np.array([effective_partners(each.plan) for each in plans]),
    }, np.array([each.error for each in plans])


def _both_ways(plan: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
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


def _with_judges(ours: Tensor, judges: Callable[[], Tensor]) -> np.ndarray:
    """Of each dictionary the max cosine with the judges, in the mean."""
    return np.array(
        [np.mean([best_partners(W, judge)["max_cosine"] for judge in judges()]) for W in ours]
    )


def _matched_with_judges(ours: Tensor, judges: Tensor) -> np.ndarray:
    """Of each dictionary the mean matched cosine with one of the judges, each in its turn."""
    return np.array(
        [
            decoder_statistics(W, judges[seed % len(judges)])["matched_mean"]
            for seed, W in enumerate(ours)
        ]
    )


def _truth(ours: Tensor, planted: Mapping, scrambled: Callable[[Tensor], Tensor]) -> dict:
    directions = tensor(planted["directions"])
    single = torch.from_numpy(planted["rank"][planted["unit"]] == 1)
    found = torch.stack([cosines(directions, W).amax(dim=1).double() for W in ours])
    by_chance = [cosines(directions, scrambled(W)).amax(dim=1).double() for W in ours]
    return {
        "truth": found.mean(dim=1).numpy(),
        "truth_gauge": torch.stack(by_chance).mean(dim=1).numpy(),
        "truth_singles": found[:, single].mean(dim=1).numpy(),
    }
