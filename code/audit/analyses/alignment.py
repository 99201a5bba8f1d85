"""Stage: dictionaries compared as 004 does it, by two assignments and latent by latent.

Best partners are left out and each pair is matched once by decoders and once by encoders, so that
16,384 latents are affordable. Who is whose partner is kept, because sharing with a third seed, the
two modes and what goes with firing are questions about single latents.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool
from torch import Generator, Tensor

from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of, mean_statistics
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.inputs import Moments
from seedstability.similarity.names import ENCODER, SHARES
from seedstability.similarity.pairs import (
    Statistics,
    Weights,
    cosine_to_initialization,
    matched_pairs,
)
from seedstability.stability.chance.null_models import data_directions, isotropic
from seedstability.stability.matching.match import Agreement, Matching, agreement, match
from seedstability.stability.subspaces.principal import principal_basis, project_on_span

_LATENTS_OF_EVERY_START = 1024
"""Above, the level of untrained dictionaries is left out: with starts uniform on the sphere it is
the isotropic one, and a matching takes half a second or more."""
_LEAST_VARIANCE = 0.01
"""Of the mean over components, below which one does not count to the span of the data. A block's
output may have a component a thousand times smaller than all others: what encoders have along it
costs nothing, is no part of what they read, and its sign differs from seed to seed."""
_LATENTS_DRAWN = 10 * 1024
"""As `comparison.config.suited` has it: so many latents fix the mean of a chance level."""


class Both(NamedTuple):
    """The two assignments of one pair."""

    decoders: Matching
    encoders: Matching


def align(
    config: ComparisonConfig, dictionaries: dict, evaluation: dict, activations: dict
) -> dict:
    """Assignments by decoders and by encoders, their chance levels, and each latent's partners.

    Args:
        config: which pairs; `gauge_pairs` of them are scrambled too, all if left out.
        dictionaries: `decoder`, `encoder`, `initial_decoder` [S, n, d]; encoders start as copies.
        evaluation: `live` [S, n].
        activations: `train` [samples, d].

    Returns:
        [S, S] matrices by statistic, as `analyses.similarity:compare` names them, under `full`,
        `live` (of the same assignments, the pairs in which both fire, over the mean number of
        those that fire), `span` (encoders projected on the span of the data), `untrained` (few
        latents only), `gauge` and `gauge_live`; one number a statistic under `isotropic` and
        `data`; `rank` of that span; `cosine_with_start` [S]; and under
        `partners`, for each pair, `pair` [P, 2] and of the first one's latents
        `decoder_partner`, `decoder_cosine`, `encoder_partner`, `encoder_cosine` [P, n];
        `gauge_partners` likewise, the second one scrambled.
    """
    return _Alignment(config, dictionaries, evaluation, activations).result()


class _Alignment:
    """One comparison under way."""

    def __init__(self, config: ComparisonConfig, dictionaries: dict, evaluation: dict, data: dict):
        self.config = config
        self.ours = [
            Weights(torch.from_numpy(decoder), torch.from_numpy(encoder))
            for decoder, encoder in zip(
                dictionaries["decoder"], dictionaries["encoder"], strict=True
            )
        ]
        self.starts = torch.from_numpy(dictionaries["initial_decoder"])
        self.live = torch.from_numpy(evaluation["live"])
        x = torch.from_numpy(data["train"])
        self.moments = Moments(principal_basis(x), covariance_of(x), len(x))
        self.n, self.d = self.ours[0].decoder.shape
        variances = self.moments.components.variances
        self.rank = int((variances >= _LEAST_VARIANCE * variances.mean()).sum())
        self.pairs = matched_pairs(len(self.ours), config)
        self.generator = Generator().manual_seed(config.seed)

    def result(self) -> dict:
        """See `align`."""
        looks = {pair: self._trained(pair) for pair in self._reported(self.pairs)}
        gauge = {pair: self._scrambled(pair) for pair in self.pairs[: self.config.gauge_pairs]}
        draws = max(1, min(self.config.chance_draws, -(-_LATENTS_DRAWN // self.n)))
        tables = {
            "full": self._table(looks, self._full),
            "live": self._table(looks, self._live),
            "span": self._table(looks, self._within_span),
            "gauge": self._table(gauge, self._full),
            "gauge_live": self._table(gauge, self._live),
        }
        if self.n <= _LATENTS_OF_EVERY_START:
            starts = {pair: self._start(pair) for pair in self.pairs}
            tables["untrained"] = self._table(starts, self._full)
        return tables | {
            "isotropic": self._level(lambda: isotropic(self.n, self.d, self.generator), draws),
            "data": self._level(self._data, draws),
            "rank": self.rank,
            "cosine_with_start": np.array(
                [
                    cosine_to_initialization(ours.decoder, start).item()
                    for ours, start in zip(self.ours, self.starts, strict=True)
                ]
            ),
            "partners": _arrays(looks),
            "gauge_partners": _arrays(gauge),
        }

    def _trained(self, pair: tuple[int, int]) -> Both:
        return both(self.ours[pair[0]], self.ours[pair[1]])

    def _scrambled(self, pair: tuple[int, int]) -> Both:
        stranger = self.ours[pair[1]].scrambled(self.moments.gauge, self.generator)
        return both(self.ours[pair[0]], stranger)

    def _start(self, pair: tuple[int, int]) -> Both:
        matching = match(self.starts[pair[0]], self.starts[pair[1]], certify=False)
        # The encoder is a copy of the decoder before the first step.
        return Both(matching, matching)

    def _data(self) -> Tensor:
        return data_directions(self.n, self.moments.covariance, self.generator)

    def _full(self, pair: tuple[int, int], seen: Both) -> Statistics:
        everywhere = torch.ones(self.n, dtype=torch.bool)
        return statistics(seen, everywhere, everywhere, self.config.threshold)

    def _live(self, pair: tuple[int, int], seen: Both) -> Statistics:
        return statistics(seen, self.live[pair[0]], self.live[pair[1]], self.config.threshold)

    def _within_span(self, pair: tuple[int, int], seen: Both) -> Statistics:
        if self.rank == self.d:
            return self._full(pair, seen)  # nothing sticks out
        components = self.moments.components
        one, other = (
            project_on_span(self.ours[seed].encoder, components, self.rank) for seed in pair
        )
        return self._full(pair, Both(seen.decoders, match(one, other, certify=False)))

    def _level(self, draw: Callable[[], Tensor], draws: int) -> Statistics:
        """Of unrelated rows: encoders obey the law of decoders, and two assignments that know
        nothing of each other give a latent one partner with probability 1 / n."""
        cosines = [match(draw(), draw(), certify=False).cosine.double() for _ in range(draws)]
        close = float(np.mean([(each > self.config.threshold).double().mean() for each in cosines]))
        of_decoders = mean_statistics(_cosines(each, "matched") for each in cosines)
        return of_decoders | {
            **{f"{ENCODER}{name}": value for name, value in of_decoders.items()},
            "agreeing": 1.0 / self.n,
            "shared_decoder_only": close,
            "shared": close**2 / self.n,
        }

    def _table(
        self,
        looks: Mapping[tuple[int, int], Both],
        of: Callable[[tuple[int, int], Both], Statistics],
    ) -> dict[str, np.ndarray]:
        """Symmetric [S, S] matrices by statistic, NaN where a pair was not looked at."""
        matrices: dict[str, np.ndarray] = {}
        for (i, j), seen in looks.items():
            for name, value in of((i, j), seen).items():
                table = matrices.setdefault(name, np.full((len(self.ours),) * 2, np.nan))
                table[i, j] = table[j, i] = value
        return matrices

    def _reported(self, pairs: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        for done, pair in enumerate(pairs):
            yield pair
            report(done + 1, len(pairs))


def both(A: Weights, B: Weights) -> Both:
    """A pair matched by decoders, and on its own by encoders."""
    return Both(
        match(A.decoder, B.decoder, certify=False), match(A.encoder, B.encoder, certify=False)
    )


def statistics(
    seen: Both, live_a: Bool[Tensor, "n"], live_b: Bool[Tensor, "n"], threshold: float
) -> Statistics:
    """Cosines over the pairs in which both fire, and shares of the latents that fire.

    Args:
        seen: assignments of as many latents on both sides.
        live_a, live_b: which of them fire.
        threshold: cosine above which a latent can be shared.

    Returns:
        `matched_mean` and `matched_median` of decoders, the same of encoders with the prefix
        `encoder_`, and the shares of `names.SHARES`, averaged over the two sides: a pair counts
        once for either.
    """
    verdicts: Agreement = agreement(seen.decoders, seen.encoders, threshold)
    decoders = live_a & live_b[seen.decoders.partner]
    encoders = live_a & live_b[seen.encoders.partner]
    firing = 0.5 * (live_a.sum() + live_b.sum()).item()
    return {
        **_cosines(seen.decoders.cosine[decoders].double(), "matched"),
        **_cosines(seen.encoders.cosine[encoders].double(), f"{ENCODER}matched"),
        **{
            name: (getattr(verdicts, name) & decoders).sum().item() / max(firing, 1.0)
            for name in SHARES
        },
    }


def _cosines(cosine: Tensor, name: str) -> Statistics:
    # Where nobody fires there is nothing to average.
    some = len(cosine) > 0
    return {
        f"{name}_mean": cosine.mean().item() if some else 0.0,
        f"{name}_median": cosine.quantile(0.5).item() if some else 0.0,
    }


def _arrays(looks: Mapping[tuple[int, int], Both]) -> dict[str, np.ndarray]:
    columns = {
        f"{kind}_{what}": np.stack([getattr(getattr(seen, f"{kind}s"), what) for seen in found])
        for found in [list(looks.values())]
        for kind in ("decoder", "encoder")
        for what in ("partner", "cosine")
    }
    for name in ("decoder_partner", "encoder_partner"):
        columns[name] = columns[name].astype(np.int32)
    return {"pair": np.array(list(looks), dtype=np.int32), **columns}
