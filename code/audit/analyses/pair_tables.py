"""Tables of statistics over pairs of dictionaries."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from seedstability.similarity.comparison import PairStatistics
from seedstability.similarity.pairs import Statistics, decoder_statistics
from seedstability.stability.pairs import all_pairs

Change = Callable[[Tensor], Tensor]


def unchanged(decoder: Tensor) -> Tensor:
    """Return the decoder itself."""
    return decoder


def pair_tables(
    decoders: Float[Tensor, "S n d"],
    names: Sequence[str],
    change: Change = unchanged,
    statistics: Callable[[Tensor, Tensor], Statistics] = decoder_statistics,
) -> PairStatistics:
    """Compare all pairs of dictionaries, each with the other after `change`."""
    n_seeds = len(decoders)
    tables = {name: np.full((n_seeds, n_seeds), np.nan) for name in names}
    for i, j in all_pairs(n_seeds):
        found = statistics(decoders[i], change(decoders[j]))
        for name, table in tables.items():
            table[i, j] = table[j, i] = found[name]
    return tables
