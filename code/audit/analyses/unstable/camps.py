"""Stage: best cosine of each live latent in each other seed, with chance levels."""

from typing import cast

import numpy as np
import torch
from torch import Generator, Tensor

from audit.analyses.unstable.config import CampsConfig
from audit.evaluation.groups.results import Camps, Rank
from audit.evaluation.results import Evaluation
from audit.subjects.results import Activations
from audit.training.results import Dictionaries
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of
from seedstability.stability.chance.null_models import GaugeBasis, data_directions, gauge_scramble
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.subspaces.principal import effective_rank


def camps(
    config: CampsConfig,
    dictionaries: Dictionaries,
    evaluation: Evaluation,
    activations: Activations,
) -> Camps:
    """Compute the best signed decoder cosine of each latent of s with a live latent of t."""
    generator = Generator().manual_seed(config.seed)
    x = torch.from_numpy(np.array(activations["train"]))
    basis, live = GaugeBasis.from_activations(x), torch.from_numpy(np.array(evaluation["live"]))
    decoders = torch.from_numpy(np.array(dictionaries["decoder"]))
    n_seeds, n, _ = decoders.shape
    tables = {kind: np.full((n_seeds, n_seeds, n), np.nan, np.float32) for kind in _KINDS}
    for s in range(n_seeds):
        for t in range(s + 1, n_seeds):
            scrambled = gauge_scramble(decoders[t], basis, generator)
            for kind, other in zip(_KINDS, (decoders[t], scrambled), strict=True):
                _fill_pair(tables[kind], (s, t), (decoders[s], other), live)
        report(s + 1, n_seeds)
    count = round(float(live.sum(dim=1).double().mean()))
    return {
        "best": tables["best"],
        "gauge": tables["gauge"],
        "data": _of_data(count, covariance_of(x), config, generator),
        "live": live.numpy(),
        "firing_rate": np.array(evaluation["heldout"]["firing_rate"]),
        "rank": cast(Rank, effective_rank(x)._asdict()),
        "width": decoders.shape[2],
    }


_KINDS = ("best", "gauge")


def _fill_pair(
    table: np.ndarray, pair: tuple[int, int], decoders: tuple[Tensor, Tensor], live: Tensor
) -> None:
    """Fill in both directions of a pair; −1 if no latent of the other dictionary is live."""
    s, t = pair
    A, B = decoders
    alive_a, alive_b = live[s], live[t]
    table[s, t] = best_cosines(A, B[alive_b]).rows.numpy() if alive_b.any() else -1.0
    table[t, s] = best_cosines(A[alive_a], B).columns.numpy() if alive_a.any() else -1.0


def _of_data(
    count: int, covariance: Tensor, config: CampsConfig, generator: Generator
) -> np.ndarray:
    found = np.empty((config.draws, len(config.thresholds)))
    for draw in found:
        A, B = (data_directions(count, covariance, generator) for _ in range(2))
        best = best_cosines(A, B).rows.numpy()
        draw[:] = [(best >= threshold).mean() for threshold in config.thresholds]
    return found
