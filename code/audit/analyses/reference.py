"""Stages: dictionaries scored against independent references, and aligned by optimal transport.

Seeds that share information, or are trained with a term that draws them together, agree for that
reason too. References that share nothing with them measure the rest: independent plain dictionaries
of other seeds, and the planted truth where there is one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypedDict, cast

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from audit.analyses.pair_tables import Change, pair_tables
from audit.analyses.partners import ring_pairs
from audit.analyses.reference_config import ReferenceConfig, TransportConfig
from audit.evaluation.results import BriefMetrics
from audit.subjects.synthetic.planted import PlantedSamples
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.metrics import quality
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of, data_level, isotropic_level
from seedstability.similarity.comparison import PairStatistics
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


class TruthScores(TypedDict, total=False):
    """Best cosine of a planted direction with a latent of each of S dictionaries."""

    truth: Float[ndarray, " S"]
    """Mean over all directions."""
    truth_gauge: Float[ndarray, " S"]
    """The same with the dictionary scrambled."""
    truth_singles: Float[ndarray, " S"]
    """Mean over singles."""


class ReferenceScores(BriefMetrics, TruthScores):
    """S dictionaries scored against each other, references and, where it is known, the truth."""

    full: PairStatistics
    """Similarities `PAIRS` between seeds."""
    gauge: PairStatistics
    untrained: PairStatistics
    isotropic: Statistics
    data: Statistics
    start_gauge: PairStatistics
    """Max cosine at initialization, one dictionary scrambled."""
    judge: Float[ndarray, " S"]
    """Max cosine with the references, mean over references."""
    judge_gauge: Float[ndarray, " S"]
    """The same with the references scrambled, and so below."""
    judge_start: Float[ndarray, " S"]
    """Max cosine of the dictionary at initialization with the references."""
    judge_start_gauge: Float[ndarray, " S"]
    judge_matched: Float[ndarray, " S"]
    """Matched cosine with one reference each."""
    judge_matched_gauge: Float[ndarray, " S"]
    cosine_with_start: Float[ndarray, " S"]
    """Mean cosine of latents to their initialization."""


class Alignments(TypedDict):
    """Pairs of dictionaries aligned by assignment, and by transport at E strengths."""

    matched: Float[ndarray, "S S"]
    """Mean cosine under the assignment; NaN, here and below, for pairs not aligned."""
    transported: Float[ndarray, "E S S"]
    barycentric: Float[ndarray, "E S S"]
    partners: Float[ndarray, "E S S"]
    """Effective number of partners of a latent."""


class TransportComparison(TypedDict):
    """Alignments of trained dictionaries, and of the same after gauge scrambles."""

    trained: Alignments
    gauge: Alignments
    error: Float[ndarray, " E"]
    """Largest deviation of a marginal."""


def score_against_references(
    config: ReferenceConfig,
    families: Mapping[str, Mapping[str, Dictionaries]],
    activations: Mapping[str, ndarray],
    truth: PlantedSamples | None = None,
) -> dict[str, ReferenceScores]:
    """Score the dictionaries of each training against each other, references and truth.

    Args:
        config: trainings, architectures of their dictionaries, draws of chance.
        families: dictionaries by family and name of their training.
        activations: `train` and `heldout` [samples, d].
        truth: of these samples, if it was planted.
    """
    every = {name: found for family in families.values() for name, found in family.items()}
    generator = Generator().manual_seed(config.seed)
    x = tensor(activations["train"])
    references = tensor(every[config.references]["decoder"])
    _, n, d = references.shape
    baselines = _Baselines(
        references,
        tensor(activations["heldout"][: config.heldout]),
        truth,
        GaugeBasis.from_activations(x),
        isotropic_level(n, d, config.draws, generator),
        data_level(covariance_of(x), n, config.draws, generator),
        config.seed,
    )
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
    truth: PlantedSamples | None
    gauge: GaugeBasis
    isotropic: Statistics
    data: Statistics
    seed: int


def _scores(
    dictionaries: Dictionaries, settings: DictionaryConfig, baselines: _Baselines
) -> ReferenceScores:
    # A separate generator, so that a training's chance does not depend on those before it.
    generator = Generator().manual_seed(baselines.seed)
    ours, initial = tensor(dictionaries["decoder"]), tensor(dictionaries["initial_decoder"])
    references = baselines.references

    def scrambled(W: Tensor) -> Tensor:
        return gauge_scramble(W, baselines.gauge, generator)

    def scrambled_references() -> Tensor:
        return torch.stack([*map(scrambled, references)])

    measured = [quality(sae, baselines.heldout) for sae in saes(dictionaries, settings)]
    scores: ReferenceScores = {
        "explained_variance": np.array([each.explained_variance for each in measured]),
        "l0": np.array([each.l0 for each in measured]),
        "dead_fraction": np.array([each.dead_fraction for each in measured]),
        "full": pair_tables(ours, PAIRS),
        "gauge": pair_tables(ours, PAIRS, scrambled),
        "untrained": pair_tables(initial, PAIRS),
        "isotropic": baselines.isotropic,
        "data": baselines.data,
        "judge": _max_cosine_with_references(ours, lambda: references),
        "judge_gauge": _max_cosine_with_references(ours, scrambled_references),
        "start_gauge": pair_tables(initial, BEST[:1], scrambled, best_partners),
        "judge_start": _max_cosine_with_references(initial, lambda: references),
        "judge_start_gauge": _max_cosine_with_references(initial, scrambled_references),
        "judge_matched": _matched_cosine_with_references(ours, references),
        "judge_matched_gauge": _matched_cosine_with_references(ours, scrambled_references()),
        "cosine_with_start": cosine_to_initialization(ours, initial).numpy(),
    }
    if baselines.truth:
        scores.update(_cosine_to_truth(ours, baselines.truth, scrambled))
    return scores


def _max_cosine_with_references(
    ours: Float[Tensor, "S n d"], references: Callable[[], Float[Tensor, "J n d"]]
) -> Float[ndarray, " S"]:
    """Compute each dictionary's max cosine with the references, averaged over references."""
    return np.array(
        [
            np.mean([best_partners(W, reference)["max_cosine"] for reference in references()])
            for W in ours
        ]
    )


def _matched_cosine_with_references(
    ours: Float[Tensor, "S n d"], references: Float[Tensor, "J n d"]
) -> Float[ndarray, " S"]:
    """Compute each dictionary's mean matched cosine with one reference, assigned cyclically."""
    return np.array(
        [
            decoder_statistics(W, references[seed % len(references)])["matched_mean"]
            for seed, W in enumerate(ours)
        ]
    )


def _cosine_to_truth(
    ours: Float[Tensor, "S n d"], truth: PlantedSamples, scrambled: Change
) -> TruthScores:
    directions = tensor(truth["directions"])
    single = torch.from_numpy(truth["rank"][truth["unit"]] == 1)
    found = torch.stack([cosines(directions, W).amax(dim=1).double() for W in ours])
    by_chance = [cosines(directions, scrambled(W)).amax(dim=1).double() for W in ours]
    return {
        "truth": found.mean(dim=1).numpy(),
        "truth_gauge": torch.stack(by_chance).mean(dim=1).numpy(),
        "truth_singles": found[:, single].mean(dim=1).numpy(),
    }


def transport(
    config: TransportConfig,
    family: Mapping[str, Dictionaries],
    activations: Mapping[str, ndarray],
) -> TransportComparison:
    """Align pairs of dictionaries by transport and by assignment, unchanged and scrambled."""
    generator = Generator().manual_seed(config.seed)
    gauge = GaugeBasis.from_activations(tensor(activations["train"]))
    decoders = tensor(family[config.name]["decoder"])
    n_seeds = len(decoders)
    pairs = ring_pairs(n_seeds) if config.ring_pairs else all_pairs(n_seeds)
    tables: dict[str, dict[str, ndarray]] = {"trained": {}, "gauge": {}}
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
    return cast(TransportComparison, {**tables, "error": errors})


class _AlignedPair(NamedTuple):
    values: dict[str, float | Float[ndarray, " E"]]
    """One entry of each table of `Alignments`."""
    error: Float[ndarray, " E"]


def _transport_pair(A: Tensor, B: Tensor, epsilons: tuple[float, ...]) -> _AlignedPair:
    S = cosines(A, B)
    rows, columns = (normalize_rows(W).double().numpy() for W in (A, B))
    values = S.double().numpy()
    plans = [sinkhorn(values, epsilon) for epsilon in epsilons]
    aligned = {
        "matched": match_cosines(S).matched_cosines.double().mean().item(),
        "transported": np.array([transported_cosine(each.plan, values) for each in plans]),
        "barycentric": np.array(
            [_barycentric_both_ways(each.plan, rows, columns) for each in plans]
        ),
        "partners": np.array([effective_partners(each.plan) for each in plans]),
    }
    return _AlignedPair(aligned, np.array([each.error for each in plans]))


def _barycentric_both_ways(plan: ndarray, A: ndarray, B: ndarray) -> float:
    return (barycentric_cosine(plan, A, B) + barycentric_cosine(plan.T, B, A)) / 2
