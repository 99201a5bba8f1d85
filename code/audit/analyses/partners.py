"""Stage: of every latent its one-to-one partner, over all latents and over the live ones alone.

`analyses.similarity` gives one number a pair. What asks which latents those are (dead, rare, above
a threshold) needs the cosine of each; so do figures that hold the rate of firing fixed.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from audit.analyses.partners_config import PartnersConfig
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of
from seedstability.similarity.names import BEST
from seedstability.similarity.pairs import all_pairs, cosine_to_initialization
from seedstability.stability.chance.closed_form import chance_level_pair
from seedstability.stability.chance.null_models import (
    GaugeBasis,
    data_directions,
    gauge_scramble,
    isotropic,
)
from seedstability.stability.pairs import find_partners

Pair = tuple[int, int]
Rows = Callable[[int, int], tuple[Tensor, Tensor]]


def partners(
    config: PartnersConfig, dictionaries: dict, evaluation: dict, activations: dict
) -> dict:
    """Matched decoder cosines of single latents, trained and by chance.

    Args:
        config: which pairs.
        dictionaries: `decoder`, `initial_decoder` [S, n, d].
        evaluation: `live` [S, n].
        activations: `train` [samples, d].

    Returns:
        `pairs` [P, 2] and `chance_pairs` [Q, 2] of seeds; under `full` and `live`, for `trained`
        over the former and for each chance level over the latter: `cosine` and `partner` of each
        latent of the first seed [·, n], NaN and −1 where it has none, and `max_cosine`,
        `max_abs_cosine` [·]; and `cosine_with_start` [S].
    """
    decoders = torch.from_numpy(dictionaries["decoder"])
    initial = torch.from_numpy(dictionaries["initial_decoder"])
    live = torch.from_numpy(evaluation["live"])
    pairs = all_pairs(min(config.complete, len(decoders)))
    chance_pairs = neighbours(min(config.complete, len(decoders)))[: config.chance_pairs]
    levels = _levels(config, decoders, initial, torch.from_numpy(activations["train"]))
    result: dict = {"full": {}, "live": {}}
    for done, (level, rows) in enumerate(levels.items()):
        looked = [_both(rows, pair, live) for pair in (chance_pairs if done else pairs)]
        for scope, found in zip(("full", "live"), zip(*looked, strict=True), strict=True):
            columns = {name: np.stack([each[name] for each in found]) for name in found[0]}
            result[scope][level] = columns
        if level == "isotropic":
            _exact(result, live, chance_pairs, decoders.shape[2])
        report(done + 1, len(levels))
    return result | {
        "pairs": np.array(pairs),
        "chance_pairs": np.array(chance_pairs),
        "cosine_with_start": cosine_to_initialization(decoders, initial).numpy(),
    }


def neighbours(n_seeds: int) -> list[Pair]:
    """Each seed with the next, the last with the first; every pair once."""
    return sorted({(min(i, j), max(i, j)) for i in range(n_seeds) for j in [(i + 1) % n_seeds]})


def _levels(
    config: PartnersConfig, decoders: Tensor, initial: Tensor, x: Tensor
) -> dict[str, Rows]:
    """The two dictionaries that each level compares for a pair of seeds; trained comes first."""
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
    """Partners among all latents, and among the live ones of the same two dictionaries."""
    A, B = rows(*pair)
    i, j = pair
    full = _partners(A, B, torch.ones_like(live[i]), torch.ones_like(live[j]))
    if live[i].all() and live[j].all():
        return full, full
    return full, _partners(A, B, live[i], live[j])


def _partners(A: Tensor, B: Tensor, of_a: Tensor, of_b: Tensor) -> dict:
    """Partners among the rows marked, by the numbers that the rows have among all."""
    cosine = np.full(len(A), np.nan, np.float32)
    partner = np.full(len(A), -1, np.int32)
    if not (of_a.any() and of_b.any()):
        return {"cosine": cosine, "partner": partner} | dict.fromkeys(BEST, np.nan)
    seen = find_partners(A[of_a], B[of_b])
    rows, columns = of_a.nonzero().flatten().numpy(), of_b.nonzero().flatten().numpy()
    theirs = seen.matching.partner.numpy()
    matched = theirs >= 0
    cosine[rows[matched]] = seen.matching.cosine.numpy()[matched]
    partner[rows[matched]] = columns[theirs[matched]]
    best = {name: getattr(seen.best, name) for name in BEST}
    return {"cosine": cosine, "partner": partner} | best


def _exact(result: dict, live: Tensor, pairs: list[Pair], d: int) -> None:
    """Write the closed form of best partners over what was drawn of it."""
    counts = live.sum(dim=1).tolist()
    n = live.shape[1]
    for kind in BEST:
        result["full"]["isotropic"][kind][:] = chance_level_pair(n, n, d, kind)
        for at, (i, j) in enumerate(pairs):
            if counts[i] and counts[j]:
                level = chance_level_pair(counts[i], counts[j], d, kind)
                result["live"]["isotropic"][kind][at] = level
