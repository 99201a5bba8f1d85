"""Stage: dictionaries aligned by optimal transport."""

from collections.abc import Mapping
from typing import NamedTuple, TypedDict, cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from audit.analyses.config import TransportConfig
from audit.analyses.partners import ring_pairs
from audit.training.results import Dictionaries
from audit.training.stages import tensor
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines, normalize_rows
from seedstability.stability.matching.match import match_cosines
from seedstability.stability.matching.transport import (
    barycentric_cosine,
    effective_partners,
    sinkhorn,
    transported_cosine,
)


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


def transport(
    config: TransportConfig,
    family: Mapping[str, Dictionaries],
    activations: Mapping[str, ndarray],
) -> TransportComparison:
    """Align each seed with the next by transport and by assignment, unchanged and scrambled."""
    generator = Generator().manual_seed(config.seed)
    gauge = GaugeBasis.from_activations(tensor(activations["train"]))
    decoders = tensor(family[config.name]["decoder"])
    n_seeds = len(decoders)
    pairs = ring_pairs(n_seeds)
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
