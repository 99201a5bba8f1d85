"""All similarities and chance levels of definitions.md §1 and §2 for a set of dictionaries.

The paper's stages and `seedstability compare` share this code, so that a user's dictionaries are
measured exactly as the paper's.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Generator, Tensor

from seedstability.progress import report, step
from seedstability.similarity.chance_levels import (
    data_level,
    gauge_p_values,
    isotropic_closed_form,
    isotropic_level,
    mean_statistics,
)
from seedstability.similarity.comparison import Chance, Comparison
from seedstability.similarity.config import ComparisonConfig, matched_pairs
from seedstability.similarity.inputs import ComparisonInputs, Moments
from seedstability.similarity.names import BEST, ENCODER
from seedstability.similarity.pairs import (
    SAEPartners,
    Statistics,
    Weights,
    best_partner_statistics,
    cosine_to_initialization,
    find_sae_partners,
    partner_statistics,
)
from seedstability.stability.matching.nearest import BestCosines, best_cosines
from seedstability.stability.pairs import Partners, all_pairs, find_partners
from seedstability.stability.subspaces.principal import effective_rank_from_basis

Pair = tuple[int, int]
Record = Callable[[str, Pair, Partners, Partners | None], None]
"""Called for each compared pair with its table, its seeds ((0, 0) for random pairs), and the
partners of its decoders and, if compared, of its encoders."""


class Table(NamedTuple):
    """Statistics of some pairs, and the cost of one pair in units of a full matrix product."""

    pairs: list[Pair]
    of: Callable[[int, int], Statistics]
    cost: float = 1


def measure(
    inputs: ComparisonInputs,
    config: ComparisonConfig,
    record: Record | None = None,
    certify: bool = False,
) -> Comparison:
    """Measure all similarities and all chance levels that the inputs allow.

    Args:
        inputs: dictionaries, and optional live masks, moments and initial decoders.
        config: which pairs, how many samples of chance levels.
        record: called for each compared pair.
        certify: certify the assignments of the dictionaries, not those of chance levels.
    """
    run = _Measurement(inputs, config, record or (lambda *partners: None), certify)
    tables = run.tables()
    total = sum(len(table.pairs) * table.cost for table in tables.values()) + run.scalar_cost
    result: dict = {}
    done = 0.0
    for name, table in tables.items():
        # Best partners of the remaining pairs go into the matrices of the matched pairs.
        matrices = result["full"] if name == "best" else result.setdefault(name, {})
        for pair in table.pairs:
            with _part(done, table.cost, total):
                _enter(matrices, pair, table.of(*pair), len(inputs.dictionaries))
            done += table.cost
            report(done, total)
    with _part(done, total - done, total):
        scalars = run.scalars()
    report(1, 1)
    return cast(Comparison, result | scalars | {"best": run.best})


def _part(done: float, cost: float, total: float) -> AbstractContextManager[None]:
    """Scale progress within this context to `cost` of `total`, after `done` of it."""
    return step(done / cost, total / cost) if cost else nullcontext()


class _Measurement:
    """State of one measurement: the random generator, the best cosines and partners so far."""

    def __init__(
        self, inputs: ComparisonInputs, config: ComparisonConfig, record: Record, certify: bool
    ):
        self.inputs, self.config, self.record, self.certify = inputs, config, record, certify
        self.dictionaries = inputs.dictionaries
        self.generator = Generator().manual_seed(config.seed)
        n_seeds = len(self.dictionaries)
        self.best = torch.full((n_seeds, n_seeds, max(inputs.sizes)), torch.nan)
        self.matched = matched_pairs(n_seeds, config)
        self.partners: dict[Pair, SAEPartners] = {}

    def tables(self) -> dict[str, Table]:
        """Tables over pairs, in the order in which they use the random generator."""
        inputs = self.inputs
        others = sorted({*all_pairs(len(self.dictionaries))} - {*self.matched})
        tables = {"full": Table(self.matched, self._full, 4), "best": Table(others, self._best)}
        live = None if inputs.live is None else self._live_latents(inputs.live)
        if live:
            tables |= self._of_live(live)
        if inputs.moments is not None:
            tables |= self._of_data(inputs.moments, live)
        if inputs.initial is not None:
            initial = inputs.initial
            tables["untrained"] = Table(
                self.matched, lambda i, j: self._decoders("untrained", i, j, initial[i], initial[j])
            )
        return tables

    @property
    def scalar_cost(self) -> float:
        """Cost of `scalars`, in the units of `Table.cost`."""
        config, measured = self.config, self.inputs.moments is not None
        tests = config.permutations * min(len(self.dictionaries), config.permuted_pairs)
        return config.chance_draws * (4 if measured else 2) + (tests if measured else 0)

    def scalars(self) -> dict:
        """Results with one number per statistic, or one per dictionary."""
        inputs, config, d = self.inputs, self.config, self.inputs.width
        draws, generator = config.chance_draws, self.generator
        with step(0, 3):
            level = self._by_size(
                lambda n, m: isotropic_level(
                    n, d, draws, generator, self._record_level("isotropic"), m
                )
            )
        result: dict = {"isotropic": level}
        if inputs.moments is not None:
            components, covariance, _ = inputs.moments
            with step(1, 3):
                level = self._by_size(
                    lambda n, m: data_level(
                        covariance, n, draws, generator, self._record_level("data"), m
                    )
                )
            result |= {
                "isotropic_span": self._by_size(
                    lambda n, m: isotropic_closed_form(n, m, components.rank)
                ),
                "data": level,
                "rank": effective_rank_from_basis(components)._asdict() | {"span": components.rank},
            }
        if inputs.initial is not None:
            both = zip(self.dictionaries, inputs.initial, strict=True)
            result["cosine_with_start"] = np.array(
                [cosine_to_initialization(W.decoder, initial).item() for W, initial in both]
            )
        if config.permutations and inputs.moments is not None:
            with step(2, 3):
                result["p_gauge"] = gauge_p_values(
                    self.dictionaries, inputs.moments.gauge, config, generator
                )
        return result

    def _by_size(self, level: Callable[[int, int], Statistics]) -> dict[str, Chance]:
        """A level that depends on sizes alone: one number, or one per pair if sizes differ."""
        sizes, of = self.inputs.sizes, cache(level)
        if len({*sizes}) == 1:
            return {**level(sizes[0], sizes[0])}
        matrices: dict[str, np.ndarray] = {}
        for i, j in all_pairs(len(sizes)):
            found = of(*sorted((sizes[i], sizes[j])))
            if (i, j) not in self.matched:
                found = {name: found[name] for name in BEST}
            _enter(matrices, (i, j), found, len(sizes))
        return {**matrices}

    def _of_live(self, live: "_LiveLatents") -> dict[str, Table]:
        d, sizes = self.inputs.width, self.inputs.sizes

        def chance(i: int, j: int) -> Statistics:
            return isotropic_closed_form(live.counts[i], live.counts[j], d)

        def live_statistics(i: int, j: int) -> Statistics:
            if live.counts[i] == sizes[i] and live.counts[j] == sizes[j]:
                return self._measured("live", i, j, self.partners[i, j])
            return self._both("live", i, j, live.of(i), live.of(j))

        return {
            "live": Table(live.pairs, live_statistics, 4),
            "isotropic_live": Table(live.pairs, chance, 0),
        }

    def _of_data(self, moments: Moments, live: "_LiveLatents | None") -> dict[str, Table]:
        gauge, few = moments.gauge, slice(self.config.gauge_pairs)
        draws = self.config.gauge_draws
        inside = lru_cache(2)(lambda seed: self.dictionaries[seed].within(moments.components))

        def span(i: int, j: int) -> Statistics:
            return _best_of_both(inside(i), inside(j))

        def scrambled(i: int, j: int) -> Statistics:
            null = self.dictionaries[j].scrambled(gauge, self.generator)
            return self._both("gauge", i, j, self.dictionaries[i], null)

        def several(once: Callable[[int, int], Statistics]) -> Callable[[int, int], Statistics]:
            def drawn(i: int, j: int) -> Statistics:
                found = []
                for done in range(draws):
                    with step(done, draws):
                        found.append(once(i, j))
                return mean_statistics(found)

            return drawn

        tables = {
            "span": Table(self.matched, span, 2),
            "gauge": Table(self.matched[few], several(scrambled), 4 * draws),
        }
        if live:

            def scrambled_live(i: int, j: int) -> Statistics:
                null = live.of(j).scrambled(gauge, self.generator)
                return self._decoders("gauge_live", i, j, live.of(i).decoder, null.decoder)

            tables["gauge_live"] = Table(live.pairs[few], several(scrambled_live), 2 * draws)
        return tables

    def _live_latents(self, live: Sequence[Tensor]) -> "_LiveLatents":
        counts = [int(mask.sum()) for mask in live]
        pairs = [(i, j) for i, j in self.matched if counts[i] and counts[j]]
        # Pairs are ordered, so that the first of a pair is usually still cached.
        of = lru_cache(2)(lambda seed: self.dictionaries[seed].kept(live[seed]))
        return _LiveLatents(of, counts, pairs)

    def _full(self, i: int, j: int) -> Statistics:
        partners = find_sae_partners(self.dictionaries[i], self.dictionaries[j], self.certify)
        self._keep_best(i, j, partners.decoders.best)
        self.partners[i, j] = partners
        return self._measured("full", i, j, partners)

    def _best(self, i: int, j: int) -> Statistics:
        best = best_cosines(self.dictionaries[i].decoder, self.dictionaries[j].decoder)
        self._keep_best(i, j, best)
        return best_partner_statistics(best)

    def _keep_best(self, i: int, j: int, best: BestCosines) -> None:
        self.best[i, j, : len(best.rows)] = best.rows
        self.best[j, i, : len(best.columns)] = best.columns

    def _both(self, table: str, i: int, j: int, A: Weights, B: Weights) -> Statistics:
        return self._measured(table, i, j, find_sae_partners(A, B))

    def _measured(self, table: str, i: int, j: int, partners: SAEPartners) -> Statistics:
        self.record(table, (i, j), *partners)
        return partners.statistics(self.config.threshold)

    def _decoders(self, table: str, i: int, j: int, A: Tensor, B: Tensor) -> Statistics:
        partners = find_partners(A, B)
        self.record(table, (i, j), partners, None)
        return partner_statistics(partners)

    def _record_level(self, level: str) -> Callable[[Partners], None]:
        return lambda partners: self.record(level, (0, 0), partners, None)


class _LiveLatents(NamedTuple):
    """Live latents of all dictionaries."""

    of: Callable[[int], Weights]
    counts: list[int]
    pairs: list[Pair]
    """Matched pairs in which both have live latents."""


def _best_of_both(A: Weights, B: Weights) -> Statistics:
    decoders = best_partner_statistics(best_cosines(A.decoder, B.decoder))
    if A.encoder is None or B.encoder is None:
        return decoders
    encoders = best_partner_statistics(best_cosines(A.encoder, B.encoder))
    return decoders | {f"{ENCODER}{name}": value for name, value in encoders.items()}


def _enter(matrices: dict[str, np.ndarray], pair: Pair, values: Statistics, n_seeds: int) -> None:
    """Write a pair's statistics into symmetric [S, S] matrices by name, elsewhere NaN."""
    i, j = pair
    for name, value in values.items():
        table = matrices.setdefault(name, np.full((n_seeds, n_seeds), np.nan))
        table[i, j] = table[j, i] = value
