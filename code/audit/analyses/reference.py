"""Stage: dictionaries scored against independent references.

Seeds that share information, or are trained with a term that draws them together, agree for that
reason too. References that share nothing with them measure the rest: independent plain dictionaries
of other seeds, and the planted truth where there is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from audit.analyses.config import ReferenceConfig
from audit.analyses.pair_tables import Change, pair_tables
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
    best_partners,
    cosine_to_initialization,
    decoder_statistics,
)
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines

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
        "judge": np.array([_mean_max_cosine(W, references) for W in ours]),
        "judge_gauge": np.array([_mean_max_cosine(W, scrambled_references()) for W in ours]),
        "start_gauge": pair_tables(initial, BEST[:1], scrambled, best_partners),
        "judge_start": np.array([_mean_max_cosine(W, references) for W in initial]),
        "judge_start_gauge": np.array(
            [_mean_max_cosine(W, scrambled_references()) for W in initial]
        ),
        "judge_matched": _matched_cosines(ours, references),
        "judge_matched_gauge": _matched_cosines(ours, scrambled_references()),
        "cosine_with_start": cosine_to_initialization(ours, initial).numpy(),
    }
    if baselines.truth:
        scores.update(_cosine_to_truth(ours, baselines.truth, scrambled))
    return scores


def _mean_max_cosine(W: Float[Tensor, "n d"], references: Float[Tensor, "J n d"]) -> float:
    return float(np.mean([best_partners(W, each)["max_cosine"] for each in references]))


def _matched_cosines(
    ours: Float[Tensor, "S n d"], references: Float[Tensor, "J n d"]
) -> Float[ndarray, " S"]:
    """Compute each dictionary's mean matched cosine with one reference, assigned cyclically."""
    pairs = zip(ours, cycle(references))
    return np.array([decoder_statistics(W, each)["matched_mean"] for W, each in pairs])


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
