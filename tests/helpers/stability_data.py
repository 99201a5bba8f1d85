"""Pairs of dictionaries that are hard to match, each in its own way."""

import numpy as np
import torch
from torch import Tensor

from audit.analyses.matching.planted_pairs import planted_pair
from helpers.pair_similarities import PairSimilarity, pair_similarities
from seedstability.stability.pairs import all_pairs


def unrelated(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("random", n, d, torch.Generator().manual_seed(0))


def half_shared_with_hubs(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("hubs", n, d, torch.Generator().manual_seed(0))


def nearly_all_shared(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("shared", n, d, torch.Generator().manual_seed(0))


def similarity_matrices(decoders: Tensor, live: Tensor | None = None) -> dict[str, np.ndarray]:
    """Similarities of all pairs of seeds among live latents, [S, S] by name; NaN: itself."""
    kept = [W if live is None else W[live[seed]] for seed, W in enumerate(decoders)]
    tables = {name: np.full((len(kept),) * 2, np.nan) for name in PairSimilarity._fields}
    for i, j in all_pairs(len(kept)):
        for name, value in pair_similarities(kept[i], kept[j])._asdict().items():
            tables[name][i, j] = tables[name][j, i] = value
    return tables
