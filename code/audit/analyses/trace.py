"""Stages: similarity of dictionaries during training, and of pairs trained together."""

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from audit.analyses.pair_tables import pair_tables
from audit.subjects.arrays import columns
from audit.subjects.results import Activations
from audit.training.results import Dictionaries, PairedDictionaries, TracedDecoders
from seedstability.progress import report
from seedstability.similarity.chance_levels import (
    covariance_of,
    data_level,
    isotropic_level,
    mean_statistics,
)
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.names import BEST, MATCHED
from seedstability.similarity.pairs import (
    Statistics,
    Weights,
    cosine_to_initialization,
    decoder_statistics,
    pair_statistics,
)
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.cosine import cosines

DECODER_STATISTICS = (*BEST, *MATCHED)


class TraceComparison(TypedDict):
    """Similarities of the decoders of S seeds at T traced epochs, and their chance levels."""

    epoch: np.ndarray
    """[T]."""
    trained: dict[str, Float[np.ndarray, "T S S"]]
    gauge: dict[str, Float[np.ndarray, "T S S"]]
    untrained: dict[str, Float[np.ndarray, "S S"]]
    cosine_with_start: Float[np.ndarray, "T S"]
    """Mean cosine of latents to their initialization."""
    isotropic: dict[str, float]
    data: dict[str, float]


def compare_trace(
    config: ComparisonConfig, dictionaries: TracedDecoders, activations: Mapping[str, np.ndarray]
) -> TraceComparison:
    """Compare decoders of all pairs of seeds at each traced epoch, with chance levels.

    Args:
        config: number of draws of chance.
        dictionaries: decoders before and during training.
        activations: `train` [samples, d].
    """
    generator = torch.Generator().manual_seed(config.seed)
    x = torch.from_numpy(activations["train"])
    gauge = GaugeBasis.from_activations(x)
    decoders = torch.from_numpy(dictionaries["trace"]["decoder"])
    initial = torch.from_numpy(dictionaries["initial_decoder"])
    n, d = initial.shape[1:]

    trained, scrambled = [], []
    for epoch, now in enumerate(decoders):
        trained.append(pair_tables(now, DECODER_STATISTICS))
        scrambled.append(
            pair_tables(now, DECODER_STATISTICS, lambda W: gauge_scramble(W, gauge, generator))
        )
        report(epoch + 1, len(decoders))
    return {
        "epoch": dictionaries["trace"]["epoch"],
        "trained": columns(trained),
        "gauge": columns(scrambled),
        "cosine_with_start": cosine_to_initialization(
            decoders, initial.expand_as(decoders)
        ).numpy(),
        "untrained": pair_tables(initial, DECODER_STATISTICS),
        "isotropic": isotropic_level(n, d, config.chance_draws, generator),
        "data": data_level(covariance_of(x), n, config.chance_draws, generator),
    }


class PairComparison(TypedDict):
    """Similarities of P pairs that were trained together, by statistic, and their chance levels."""

    pair: dict[str, Float[np.ndarray, " P"]]
    gauge: dict[str, Float[np.ndarray, " P"]]
    untrained: dict[str, Float[np.ndarray, " P"]]
    judge: dict[str, Float[np.ndarray, " P"]]
    """With the independent reference, mean of both members."""
    judge_gauge: dict[str, Float[np.ndarray, " P"]]
    votes: dict[str, Float[np.ndarray, " P"]]
    """`agreed`, share of latents with a best partner above 0.7 within the pair; `confirmed`, share
    of those that recur in the reference; and `confirmed_by_chance`."""
    cosine_with_start: Float[np.ndarray, " P"]
    isotropic: dict[str, float]
    data: dict[str, float]


def compare_pairs(
    config: ComparisonConfig,
    pairs: PairedDictionaries,
    judges: Dictionaries,
    activations: Activations,
) -> PairComparison:
    """Compare pairs trained together, and each member with an independent reference dictionary.

    Reference p is compared with pair p, so there must be as many.
    """
    generator = torch.Generator().manual_seed(config.seed)
    x = torch.from_numpy(activations["train"])
    gauge = GaugeBasis.from_activations(x)
    initial = torch.from_numpy(pairs["initial_decoder"])
    n, d = initial.shape[2:]
    rows: dict[str, list[Statistics]] = {
        name: [] for name in ("pair", "gauge", "untrained", "judge", "judge_gauge", "votes")
    }
    for p, (first, second) in enumerate(_members(pairs)):
        reference = Weights(
            torch.from_numpy(judges["decoder"][p]), torch.from_numpy(judges["encoder"][p])
        )
        scrambled = reference.scrambled(gauge, generator)
        rows["pair"].append(pair_statistics(first, second))
        rows["gauge"].append(pair_statistics(first, second.scrambled(gauge, generator)))
        rows["untrained"].append(decoder_statistics(initial[p, 0], initial[p, 1]))
        for name, third in (("judge", reference), ("judge_gauge", scrambled)):
            rows[name].append(
                mean_statistics(
                    decoder_statistics(member.decoder, third.decoder) for member in (first, second)
                )
            )
        rows["votes"].append(
            _confirmation(first.decoder, second.decoder, reference.decoder, scrambled.decoder)
        )
        report(p + 1, len(initial))
    trained = torch.from_numpy(pairs["decoder"])
    return {
        "pair": columns(rows["pair"]),
        "gauge": columns(rows["gauge"]),
        "untrained": columns(rows["untrained"]),
        "judge": columns(rows["judge"]),
        "judge_gauge": columns(rows["judge_gauge"]),
        "votes": columns(rows["votes"]),
        "cosine_with_start": cosine_to_initialization(trained, initial).mean(dim=1).numpy(),
        "isotropic": isotropic_level(n, d, config.chance_draws, generator),
        "data": data_level(covariance_of(x), n, config.chance_draws, generator),
    }


def _confirmation(
    A: Tensor, B: Tensor, reference: Tensor, scrambled: Tensor, threshold: float = 0.7
) -> Statistics:
    """Compute how many latents recur in B, and how many of those recur in a third dictionary."""

    def recurs_in(other: Tensor) -> Tensor:
        return cosines(A, other).amax(dim=1) >= threshold

    agreed = recurs_in(B)
    count = int(agreed.sum())
    return {
        "agreed": count / len(A),
        "confirmed": float(recurs_in(reference)[agreed].double().mean()) if count else float("nan"),
        "confirmed_by_chance": float(recurs_in(scrambled)[agreed].double().mean())
        if count
        else float("nan"),
    }


def _members(pairs: PairedDictionaries) -> list[tuple[Weights, Weights]]:
    decoder, encoder = torch.from_numpy(pairs["decoder"]), torch.from_numpy(pairs["encoder"])
    return [
        (Weights(D[0], E[0]), Weights(D[1], E[1])) for D, E in zip(decoder, encoder, strict=True)
    ]
