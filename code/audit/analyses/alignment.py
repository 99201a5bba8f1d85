"""Stage: dictionaries compared as in 004, by one assignment of decoders and one of encoders.

Best partners are not computed, so that 16,384 latents are affordable. The partner of each latent is
kept, because sharing with a third seed, bimodality and the dependence on firing rate are properties
of single latents.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypedDict, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from audit.evaluation.results import Evaluation
from audit.training.results import Dictionaries
from seedstability.progress import report
from seedstability.similarity.chance_levels import covariance_of, mean_statistics
from seedstability.similarity.comparison import PairStatistics, Similarities
from seedstability.similarity.config import ComparisonConfig, matched_pairs
from seedstability.similarity.inputs import Moments
from seedstability.similarity.names import ENCODER, SHARES
from seedstability.similarity.pairs import (
    Statistics,
    Weights,
    cosine_to_initialization,
)
from seedstability.stability.chance.null_models import data_directions, isotropic
from seedstability.stability.matching.match import Agreement, Matching, agreement, match
from seedstability.stability.subspaces.principal import principal_basis, project_on_span

_MAX_LATENTS_UNTRAINED = 1024
"""With more latents, the level of untrained dictionaries is omitted: with initial decoders uniform
on the sphere it equals the isotropic one, and a matching takes half a second or more."""
_MIN_VARIANCE = 0.01
"""Variance of a component, as a share of the mean over components, below which it is not part of
the data's span. A block's output may have a component a thousand times smaller than all others: the
encoders' coefficients along it do not affect the loss, and their sign differs between seeds."""
_LATENTS_DRAWN = 10 * 1024
"""Latents drawn for the mean of a chance level, as in `similarity.config`."""


class TwoMatchings(NamedTuple):
    """The assignments of one pair, by decoders and by encoders."""

    decoders: Matching
    encoders: Matching


class BothPartners(TypedDict):
    """Partners of the latents of the first dictionary of each of P pairs, by both assignments."""

    pair: Int[np.ndarray, "P 2"]
    """Indices of the seeds."""
    decoder_partner: Int[np.ndarray, "P n"]
    decoder_cosine: Float[np.ndarray, "P n"]
    encoder_partner: Int[np.ndarray, "P n"]
    encoder_cosine: Float[np.ndarray, "P n"]


class Alignment(Similarities):
    """Similarities by assignments alone, and the partners of single latents.

    Live statistics are of the same assignments, restricted to pairs in which both fire, over the
    mean number of live latents. Those within the span project encoders. The untrained level is
    computed for few latents only.
    """

    seeds: Int[np.ndarray, " S"]
    rank: int
    """Dimensions of the span of the data."""
    partners: BothPartners
    gauge_partners: BothPartners
    """The same with the second dictionary scrambled."""


def align(
    config: ComparisonConfig,
    dictionaries: Dictionaries,
    evaluation: Evaluation,
    activations: Mapping[str, np.ndarray],
) -> Alignment:
    """Match dictionaries by decoders and by encoders, with chance levels and partners.

    Encoders are taken to be initialized as copies of decoders.
    """
    return _Comparison(config, dictionaries, evaluation, activations).result()


class _Comparison:
    """Weights, moments and pairs of one alignment stage."""

    def __init__(
        self,
        config: ComparisonConfig,
        dictionaries: Dictionaries,
        evaluation: Evaluation,
        data: Mapping[str, np.ndarray],
    ):
        self.config = config
        self.seeds = dictionaries["seeds"]
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
        self.rank = int((variances >= _MIN_VARIANCE * variances.mean()).sum())
        self.pairs = matched_pairs(len(self.ours), config)
        self.generator = Generator().manual_seed(config.seed)

    def result(self) -> Alignment:
        """Match all pairs, as `align`."""
        matchings = {pair: self._trained(pair) for pair in self._reported(self.pairs)}
        gauge = {pair: self._scrambled(pair) for pair in self.pairs[: self.config.gauge_pairs]}
        draws = max(1, min(self.config.chance_draws, -(-_LATENTS_DRAWN // self.n)))
        tables: dict = {
            "full": self._table(matchings, self._full),
            "live": self._table(matchings, self._live),
            "span": self._table(matchings, self._within_span),
            "gauge": self._table(gauge, self._full),
            "gauge_live": self._table(gauge, self._live),
        }
        if self.n <= _MAX_LATENTS_UNTRAINED:
            starts = {pair: self._start(pair) for pair in self.pairs}
            tables["untrained"] = self._table(starts, self._full)
        tables |= {
            "seeds": self.seeds,
            "isotropic": self._level(lambda: isotropic(self.n, self.d, self.generator), draws),
            "data": self._level(self._data, draws),
            "rank": self.rank,
            "cosine_with_start": np.array(
                [
                    cosine_to_initialization(ours.decoder, start).item()
                    for ours, start in zip(self.ours, self.starts, strict=True)
                ]
            ),
            "partners": _arrays(matchings),
            "gauge_partners": _arrays(gauge),
        }
        return cast(Alignment, tables)

    def _trained(self, pair: tuple[int, int]) -> TwoMatchings:
        return match_both(self.ours[pair[0]], self.ours[pair[1]])

    def _scrambled(self, pair: tuple[int, int]) -> TwoMatchings:
        scrambled = self.ours[pair[1]].scrambled(self.moments.gauge, self.generator)
        return match_both(self.ours[pair[0]], scrambled)

    def _start(self, pair: tuple[int, int]) -> TwoMatchings:
        matching = match(self.starts[pair[0]], self.starts[pair[1]], certify=False)
        return TwoMatchings(matching, matching)

    def _data(self) -> Tensor:
        return data_directions(self.n, self.moments.covariance, self.generator)

    def _full(self, pair: tuple[int, int], matched: TwoMatchings) -> Statistics:
        everywhere = torch.ones(self.n, dtype=torch.bool)
        return statistics(matched, everywhere, everywhere, self.config.threshold)

    def _live(self, pair: tuple[int, int], matched: TwoMatchings) -> Statistics:
        return statistics(matched, self.live[pair[0]], self.live[pair[1]], self.config.threshold)

    def _within_span(self, pair: tuple[int, int], matched: TwoMatchings) -> Statistics:
        if self.rank == self.d:
            return self._full(pair, matched)  # the data span all dimensions
        components = self.moments.components
        one, other = (
            project_on_span(rows, components, self.rank)
            for seed in pair
            if (rows := self.ours[seed].encoder) is not None
        )
        return self._full(pair, TwoMatchings(matched.decoders, match(one, other, certify=False)))

    def _level(self, draw: Callable[[], Tensor], draws: int) -> Statistics:
        """Compute statistics of unrelated rows.

        Encoders have the distribution of decoders, and two independent assignments agree on a
        latent's partner with probability 1 / n.
        """
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
        matchings: Mapping[tuple[int, int], TwoMatchings],
        of: Callable[[tuple[int, int], TwoMatchings], Statistics],
    ) -> PairStatistics:
        """Return symmetric matrices over pairs of seeds."""
        matrices: dict[str, np.ndarray] = {}
        for (i, j), matched in matchings.items():
            for name, value in of((i, j), matched).items():
                table = matrices.setdefault(name, np.full((len(self.ours),) * 2, np.nan))
                table[i, j] = table[j, i] = value
        return matrices

    def _reported(self, pairs: list[tuple[int, int]]) -> Iterable[tuple[int, int]]:
        for done, pair in enumerate(pairs):
            yield pair
            report(done + 1, len(pairs))


def match_both(A: Weights, B: Weights) -> TwoMatchings:
    """Match a pair by decoders, and independently by encoders."""
    assert A.encoder is not None  # trained SAEs have both
    assert B.encoder is not None
    return TwoMatchings(
        match(A.decoder, B.decoder, certify=False), match(A.encoder, B.encoder, certify=False)
    )


def statistics(
    matched: TwoMatchings, live_a: Bool[Tensor, " n"], live_b: Bool[Tensor, " n"], threshold: float
) -> Statistics:
    """Compute cosines over the pairs in which both fire, and shares of live latents.

    Args:
        matched: assignments of equally many latents on both sides.
        live_a, live_b: which latents are live.
        threshold: cosine above which a latent can be shared.

    Returns:
        `matched_mean` and `matched_median` of decoders, the same of encoders with the prefix
        `encoder_`, and the shares of `names.SHARES`, over the mean number of live latents of the
        two sides.
    """
    verdicts: Agreement = agreement(matched.decoders, matched.encoders, threshold)
    decoders = live_a & live_b[matched.decoders.partner]
    encoders = live_a & live_b[matched.encoders.partner]
    firing = 0.5 * (live_a.sum() + live_b.sum()).item()
    return {
        **_cosines(matched.decoders.cosine[decoders].double(), "matched"),
        **_cosines(matched.encoders.cosine[encoders].double(), f"{ENCODER}matched"),
        **{
            name: (getattr(verdicts, name) & decoders).sum().item() / max(firing, 1.0)
            for name in SHARES
        },
    }


def _cosines(cosine: Tensor, name: str) -> Statistics:
    # Without live latents there is nothing to average.
    any_live = len(cosine) > 0
    return {
        f"{name}_mean": cosine.mean().item() if any_live else 0.0,
        f"{name}_median": cosine.quantile(0.5).item() if any_live else 0.0,
    }


def _arrays(matchings: Mapping[tuple[int, int], TwoMatchings]) -> BothPartners:
    decoders, encoders = zip(*matchings.values(), strict=True)
    return {
        "pair": np.array(list(matchings), dtype=np.int32),
        "decoder_partner": np.stack([each.partner for each in decoders]).astype(np.int32),
        "decoder_cosine": np.stack([each.cosine for each in decoders]),
        "encoder_partner": np.stack([each.partner for each in encoders]).astype(np.int32),
        "encoder_cosine": np.stack([each.cosine for each in encoders]),
    }
