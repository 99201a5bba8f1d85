"""Everything definitions.md §1 and §2 ask about a set of dictionaries, whoever trained them.

The paper's stages and `invoke compare` both come here, so that somebody's own dictionaries are
measured as the paper measures.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import NamedTuple

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
from seedstability.similarity.config import ComparisonConfig
from seedstability.similarity.inputs import ComparisonInputs, Moments
from seedstability.similarity.names import ENCODER
from seedstability.similarity.pairs import (
    Statistics,
    Weights,
    all_pairs,
    best_partner_statistics,
    cosine_to_initialization,
    find_sae_partners,
    matched_pairs,
    partner_statistics,
)
from seedstability.stability.matching.nearest import best_cosines
from seedstability.stability.pairs import Partners, find_partners
from seedstability.stability.subspaces.principal import effective_rank_from_basis

Pair = tuple[int, int]
Record = Callable[[str, Pair, Partners, Partners | None], None]
"""Sees each look that is taken: at which table, which pair (of draws: (0, 0)), decoders, and
encoders where they were looked at too."""


class Table(NamedTuple):
    """Statistics of some pairs, and what one of them costs in products of all with all."""

    pairs: list[Pair]
    of: Callable[[int, int], Statistics]
    cost: float = 1


def measure(
    asked: ComparisonInputs,
    config: ComparisonConfig,
    watch: Record | None = None,
    certify: bool = False,
) -> dict:
    """All similarities and all chance levels that can be had.

    Args:
        asked: what is compared.
        config: which pairs, how many draws.
        watch: sees each pair as it is looked at.
        certify: prove the assignments of the dictionaries, not those of chance.

    Returns:
        [S, S] matrices by statistic, NaN where a pair was not looked at, under `full`, and where
        the question has what they need under `live`, `span`, `untrained`, `gauge`, `gauge_live`,
        `isotropic_live`; one number a statistic under `isotropic`, `isotropic_span`, `data`,
        `p_gauge`; effective `rank` of the data; `cosine_with_start` [S]; and `best` [S, S, n], the
        best signed cosine of each latent of s with any of t, NaN where s = t.
    """
    run = _Run(asked, config, watch or (lambda *seen: None), certify)
    tables = run.tables()
    total = sum(len(table.pairs) * table.cost for table in tables.values()) + run.cost_of_numbers
    result: dict = {}
    done = 0.0
    for name, table in tables.items():
        # The remaining pairs' best partners stand beside those of the matched pairs.
        matrices = result["full"] if name == "best" else result.setdefault(name, {})
        for pair in table.pairs:
            with _part(done, table.cost, total):
                _enter(matrices, pair, table.of(*pair), len(asked.dictionaries))
            done += table.cost
            report(done, total)
    with _part(done, total - done, total):
        numbers = run.numbers()
    report(1, 1)
    return result | numbers | {"best": run.best}


def _part(done: float, cost: float, total: float) -> AbstractContextManager[None]:
    """What is reported in here is a share of so much work, after so much of it."""
    return step(done / cost, total / cost) if cost else nullcontext()


class _Run:
    """One measurement under way: its random numbers, and what is kept from pair to pair."""

    def __init__(
        self, asked: ComparisonInputs, config: ComparisonConfig, watch: Record, certify: bool
    ):
        self.asked, self.config, self.watch, self.certify = asked, config, watch, certify
        self.ours = asked.dictionaries
        self.generator = Generator().manual_seed(config.seed)
        n_seeds, (n, _) = len(self.ours), asked.shape
        self.best = torch.full((n_seeds, n_seeds, n), torch.nan)
        self.matched = matched_pairs(n_seeds, config)

    def tables(self) -> dict[str, Table]:
        """Matrices over pairs, in the order in which they draw."""
        asked = self.asked
        others = sorted({*all_pairs(len(self.ours))} - {*self.matched})
        tables = {"full": Table(self.matched, self._full, 4), "best": Table(others, self._best)}
        alive = None if asked.live is None else self._alive(asked.live)
        if alive:
            tables |= self._of_live(alive)
        if asked.moments is not None:
            tables |= self._of_data(asked.moments, alive)
        if asked.initial is not None:
            initial = asked.initial
            tables["untrained"] = Table(
                self.matched, lambda i, j: self._decoders("untrained", i, j, initial[i], initial[j])
            )
        return tables

    @property
    def cost_of_numbers(self) -> float:
        """As `Table.cost`."""
        config, measured = self.config, self.asked.moments is not None
        tests = config.permutations * min(len(self.ours), config.permuted_pairs)
        return config.chance_draws * (4 if measured else 2) + (tests if measured else 0)

    def numbers(self) -> dict:
        """What is one number a statistic, or one a dictionary."""
        asked, config, (n, d) = self.asked, self.config, self.asked.shape
        draws, generator = config.chance_draws, self.generator
        with step(0, 3):
            level = isotropic_level(n, d, draws, generator, self._watched("isotropic"))
        result: dict = {"isotropic": level}
        if asked.moments is not None:
            components, covariance, _ = asked.moments
            with step(1, 3):
                level = data_level(covariance, n, draws, generator, self._watched("data"))
            result |= {
                "isotropic_span": isotropic_closed_form(n, n, components.rank),
                "data": level,
                "rank": effective_rank_from_basis(components)._asdict() | {"span": components.rank},
            }
        if asked.initial is not None:
            starts = zip(self.ours, asked.initial, strict=True)
            result["cosine_with_start"] = np.array(
                [cosine_to_initialization(W.decoder, start).item() for W, start in starts]
            )
        if config.permutations and asked.moments is not None:
            with step(2, 3):
                result["p_gauge"] = gauge_p_values(
                    self.ours, asked.moments.gauge, config, generator
                )
        return result

    def _of_live(self, alive: "_Alive") -> dict[str, Table]:
        _, d = self.asked.shape

        def chance(i: int, j: int) -> Statistics:
            return isotropic_closed_form(alive.counts[i], alive.counts[j], d)

        def living(i: int, j: int) -> Statistics:
            return self._both("live", i, j, alive.of(i), alive.of(j))

        return {
            "live": Table(alive.pairs, living, 4),
            "isotropic_live": Table(alive.pairs, chance, 0),
        }

    def _of_data(self, moments: Moments, alive: "_Alive | None") -> dict[str, Table]:
        gauge, few = moments.gauge, slice(self.config.gauge_pairs)
        draws = self.config.gauge_draws
        inside = lru_cache(2)(lambda seed: self.ours[seed].within(moments.components))

        def span(i: int, j: int) -> Statistics:
            return _best_of_both(inside(i), inside(j))

        def scrambled(i: int, j: int) -> Statistics:
            stranger = self.ours[j].scrambled(gauge, self.generator)
            return self._both("gauge", i, j, self.ours[i], stranger)

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
        if alive:

            def scrambled_live(i: int, j: int) -> Statistics:
                stranger = alive.of(j).scrambled(gauge, self.generator)
                return self._decoders("gauge_live", i, j, alive.of(i).decoder, stranger.decoder)

            tables["gauge_live"] = Table(alive.pairs[few], several(scrambled_live), 2 * draws)
        return tables

    def _alive(self, live: Sequence[Tensor]) -> "_Alive":
        counts = [int(mask.sum()) for mask in live]
        pairs = [(i, j) for i, j in self.matched if counts[i] and counts[j]]
        # Pairs come in order, so that the first of a pair is mostly still at hand.
        return _Alive(lru_cache(2)(lambda seed: self.ours[seed].kept(live[seed])), counts, pairs)

    def _full(self, i: int, j: int) -> Statistics:
        seen = find_sae_partners(self.ours[i], self.ours[j], self.certify)
        self.best[i, j], self.best[j, i], *_ = seen.decoders.best
        self.watch("full", (i, j), *seen)
        return seen.statistics(self.config.threshold)

    def _best(self, i: int, j: int) -> Statistics:
        best = best_cosines(self.ours[i].decoder, self.ours[j].decoder)
        self.best[i, j], self.best[j, i], *_ = best
        return best_partner_statistics(best)

    def _both(self, table: str, i: int, j: int, A: Weights, B: Weights) -> Statistics:
        seen = find_sae_partners(A, B)
        self.watch(table, (i, j), *seen)
        return seen.statistics(self.config.threshold)

    def _decoders(self, table: str, i: int, j: int, A: Tensor, B: Tensor) -> Statistics:
        seen = find_partners(A, B)
        self.watch(table, (i, j), seen, None)
        return partner_statistics(seen)

    def _watched(self, level: str) -> Callable[[Partners], None]:
        return lambda seen: self.watch(level, (0, 0), seen, None)


class _Alive(NamedTuple):
    """Live latents only."""

    of: Callable[[int], Weights]
    counts: list[int]
    pairs: list[Pair]
    """Matched pairs in which both have some."""


def _best_of_both(A: Weights, B: Weights) -> Statistics:
    encoders = best_partner_statistics(best_cosines(A.encoder, B.encoder))
    return best_partner_statistics(best_cosines(A.decoder, B.decoder)) | {
        f"{ENCODER}{name}": value for name, value in encoders.items()
    }


def _enter(matrices: dict[str, np.ndarray], pair: Pair, values: Statistics, n_seeds: int) -> None:
    """Write a pair's statistics into symmetric [S, S] matrices by name, elsewhere NaN."""
    i, j = pair
    for name, value in values.items():
        table = matrices.setdefault(name, np.full((n_seeds, n_seeds), np.nan))
        table[i, j] = table[j, i] = value
