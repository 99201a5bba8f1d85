"""Stage: the one-to-one partner of every latent, among all latents and among live ones.

`analyses.similarity` gives one number for each pair of dictionaries. Statistics by group of latents
(dead, rare, above a threshold) and figures at fixed firing rate need the cosine of each latent.
"""

from collections.abc import Callable, Mapping
from typing import TypedDict

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from audit.analyses.config import PartnersConfig
from audit.evaluation.results import Evaluation, HeldoutEvaluation
from audit.subjects.arrays import columns
from audit.training.results import Dictionaries
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of
from seedstability.similarity.names import BEST
from seedstability.similarity.pairs import cosine_to_initialization
from seedstability.stability.chance.closed_form import chance_level_pair
from seedstability.stability.chance.null_models import (
    GaugeBasis,
    data_directions,
    gauge_scramble,
    isotropic,
)
from seedstability.stability.pairs import all_pairs, find_partners

Pair = tuple[int, int]
Rows = Callable[[int, int], tuple[Tensor, Tensor]]


class LatentPartners(TypedDict):
    """Partners of the latents of the first dictionary of each of P pairs."""

    cosine: Float[np.ndarray, "P n"]
    """NaN without partner."""
    partner: Int[np.ndarray, "P n"]
    """−1 without partner."""
    max_cosine: Float[np.ndarray, " P"]
    max_abs_cosine: Float[np.ndarray, " P"]


class SeedPartners(TypedDict):
    """Partners between the dictionaries of S seeds, and between unrelated ones."""

    seeds: Int[np.ndarray, " S"]
    pairs: Int[np.ndarray, "P 2"]
    """Indices of the seeds of each pair."""
    chance_pairs: Int[np.ndarray, "Q 2"]
    """The same of the pairs that have chance levels."""
    full: dict[str, LatentPartners]
    """Among all latents: `trained` over `pairs`, chance levels over `chance_pairs`."""
    live: dict[str, LatentPartners]
    """The same among live latents."""
    cosine_with_start: Float[np.ndarray, " S"]
    """Mean cosine of latents to their initialization."""


def partners(
    config: PartnersConfig,
    dictionaries: Dictionaries,
    evaluation: Evaluation | HeldoutEvaluation,
    activations: Mapping[str, np.ndarray],
) -> SeedPartners:
    """Match latents by decoder cosine, for trained dictionaries and at chance."""
    decoders = torch.from_numpy(dictionaries["decoder"])
    initial = torch.from_numpy(dictionaries["initial_decoder"])
    live = torch.from_numpy(evaluation["live"])
    pairs = all_pairs(len(decoders))
    chance_pairs = ring_pairs(len(decoders))[: config.chance_pairs]
    levels = _levels(config, decoders, initial, torch.from_numpy(activations["train"]))
    tables: dict = {"full": {}, "live": {}}
    for done, (level, rows) in enumerate(levels.items()):
        matched = [_both(rows, pair, live) for pair in (chance_pairs if done else pairs)]
        for scope, found in zip(tables, zip(*matched, strict=True), strict=True):
            tables[scope][level] = columns(found)
        if level == "isotropic":
            _exact(tables, live, chance_pairs, decoders.shape[2])
        report(done + 1, len(levels))
    return {
        "seeds": dictionaries["seeds"],
        "pairs": np.array(pairs),
        "chance_pairs": np.array(chance_pairs),
        "full": tables["full"],
        "live": tables["live"],
        "cosine_with_start": cosine_to_initialization(decoders, initial).numpy(),
    }


def ring_pairs(n_seeds: int) -> list[Pair]:
    """Pair each seed with the next, the last with the first; every pair once."""
    return sorted({(min(i, j), max(i, j)) for i in range(n_seeds) for j in [(i + 1) % n_seeds]})


def _levels(
    config: PartnersConfig, decoders: Tensor, initial: Tensor, x: Tensor
) -> dict[str, Rows]:
    """Return for each level the two dictionaries of a pair of seeds; `trained` comes first."""
    generator = torch.Generator().manual_seed(config.seed)
    gauge, covariance = GaugeBasis.from_activations(x), covariance_of(x)
    n, d = decoders.shape[1:]

    def drawn(draw: Callable[[], Tensor]) -> Rows:
        return lambda i, j: (draw(), draw())

    return {
        "trained": lambda i, j: (decoders[i], decoders[j]),
        "isotropic": drawn(lambda: isotropic(n, d, generator)),
        "untrained": lambda i, j: (initial[i], initial[j]),
        "data": drawn(lambda: data_directions(n, covariance, generator)),
        "gauge": lambda i, j: (decoders[i], gauge_scramble(decoders[j], gauge, generator)),
    }


def _both(rows: Rows, pair: Pair, live: Tensor) -> tuple[dict, dict]:
    """Find partners among all latents, and among the live ones of the same two dictionaries."""
    A, B = rows(*pair)
    i, j = pair
    full = _partners(A, B, torch.ones_like(live[i]), torch.ones_like(live[j]))
    if live[i].all() and live[j].all():
        return full, full
    return full, _partners(A, B, live[i], live[j])


def _partners(A: Tensor, B: Tensor, of_a: Tensor, of_b: Tensor) -> dict:
    """Find partners among the marked rows, numbered as among all rows."""
    cosine = np.full(len(A), np.nan, np.float32)
    partner = np.full(len(A), -1, np.int32)
    if not (of_a.any() and of_b.any()):
        return {"cosine": cosine, "partner": partner} | dict.fromkeys(BEST, np.nan)
    seen = find_partners(A[of_a], B[of_b])
    rows_a, rows_b = of_a.nonzero().flatten().numpy(), of_b.nonzero().flatten().numpy()
    theirs = seen.matching.partner.numpy()
    matched = theirs >= 0
    cosine[rows_a[matched]] = seen.matching.cosine.numpy()[matched]
    partner[rows_a[matched]] = rows_b[theirs[matched]]
    best = {name: getattr(seen.best, name) for name in BEST}
    return {"cosine": cosine, "partner": partner} | best


def _exact(tables: dict, live: Tensor, pairs: list[Pair], d: int) -> None:
    """Replace drawn isotropic levels of best partners by their closed form."""
    counts = live.sum(dim=1).tolist()
    n = live.shape[1]
    for kind in BEST:
        tables["full"]["isotropic"][kind][:] = chance_level_pair(n, n, d, kind)
        for at, (i, j) in enumerate(pairs):
            if counts[i] and counts[j]:
                level = chance_level_pair(counts[i], counts[j], d, kind)
                tables["live"]["isotropic"][kind][at] = level
