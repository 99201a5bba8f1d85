"""Whether a latent and its partner in another seed do the same to what the model predicts.

A latent is removed by taking what it writes out of the activations at a hook point, x − f(x) d, at
every position that dictionaries have seen; the SAE's error stays in. What follows of the model is
run again, and the log-probabilities of the next token change by Δ. Two interventions are alike when
their Δ are: the correlation over tokens of the vocabulary and over positions.

Chance is taken at the same positions with the same strength, so that only the direction differs:
`other` removes along a latent of the second seed that fires about as often as the partner, `gauge`
along the partner's direction after a random symmetry of the data's second moments.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from audit.evaluation.behavior.config import AblationConfig
from audit.evaluation.behavior.correlation import Codes, codes_of, two
from audit.evaluation.intervention import Effect, Rest, compare, divergence
from audit.subjects.language_model.checkpoint import open_model
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.matching.match import match_cosines

COMPARED = ("partner", "other", "gauge")
"""What the latent is compared with."""


def ablate(
    config: AblationConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Remove latents and their partners, and compare what that does to the next token.

    Args:
        config: model, hook, how many latents and where.
        dictionaries: as `training.stages:train` returns them.
        activations: `train` and `heldout` [m, d] at the hook, and `heldout_contexts` [c, length].

    Returns:
        Over pairs P of neighbouring seeds in a ring and latents L of the first, NaN where there
        were fewer: `cosine` and `correlation` with the partner by decoder, and for each of
        `partner`, `other`, `gauge` a mapping with the parts of `Effect`, all [P, L]; `kl` [P, L] of
        removing the latent itself; `population` [P, strata], the share of live latents in each.

    Raises:
        UserError: the model cannot be had, or has no such hook point.
    """
    run = _Run(config, dictionaries, activations)
    seeds = len(run.trained)
    rows = []
    for s in range(seeds):
        rows.append(run.pair(s, (s + 1) % seeds))
        report(s + 1, seeds)
    return _stacked(rows)


class Pair(NamedTuple):
    """The latents of one pair of dictionaries that are looked at."""

    latents: Int[ndarray, " l"]
    """Of the first dictionary."""
    partners: Int[ndarray, " l"]
    """Of the second, by the assignment of decoders among the live."""
    cosine: Float[ndarray, " l"]
    """Of their decoders."""
    correlation: Float[ndarray, " l"]
    """Of their activations."""
    population: Float[ndarray, " strata"]
    """Share of all live latents that have a partner, by stratum."""


class _Run:
    """One measurement under way."""

    def __init__(self, config: AblationConfig, dictionaries: Mapping, activations: Mapping):
        self.config = config
        self.trained = saes(dictionaries, config.dictionary)[: config.first]
        x = tensor(activations["heldout"])
        self.codes = [codes_of(sae, x) for sae in self.trained]
        self.gauge = GaugeBasis.from_activations(tensor(activations["train"]))
        self.rest = Rest(open_model(config.model, config.allow_download), config.hook)
        tokens = tensor(activations["heldout_contexts"]).long()
        self.entering, self.last = self.rest.clean(tokens)
        self.draw = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)

    def pair(self, s: int, t: int) -> dict[str, Any]:
        """All that is measured of one pair."""
        chosen = chosen_latents(
            self.trained[s], self.trained[t], self.codes[s], self.codes[t], self.config, self.draw
        )
        found = [
            self._latent(s, t, int(i), int(j))
            for i, j in zip(chosen.latents, chosen.partners, strict=True)
        ]
        return {
            "cosine": chosen.cosine,
            "correlation": chosen.correlation,
            "population": chosen.population,
            "kl": np.array([each["kl"] for each in found]),
            **{
                kind: {
                    name: np.array([getattr(each[kind], name) for each in found])
                    for name in Effect._fields
                }
                for kind in COMPARED
            },
        }

    def _latent(self, s: int, t: int, i: int, j: int) -> dict[str, Any]:
        """One latent, removed beside its partner and beside what stands for chance."""
        A, B = self.trained[s].decoder, self.trained[t].decoder
        own, partner = self._by_context(s, i), self._by_context(t, j)
        contexts, at = self._places(own, partner)
        own, partner = own[contexts], partner[contexts]
        other = B[fires_as_often(self.codes[t], j, self.config.neighbours, self.draw)]
        scrambled = gauge_scramble(B[j : j + 1], self.gauge, self.generator)[0]
        changes = torch.stack(
            [
                written(own, A[i]),
                *(written(partner, direction) for direction in (B[j], other, scrambled)),
            ]
        )
        many = len(changes)
        ends = self.rest.changed(
            self.entering[contexts].repeat(many, 1, 1), -changes.flatten(0, 1)
        ).unflatten(0, (many, -1))
        clean = self.rest.log_probabilities(self.last[contexts][at])
        moved, *others = (self.rest.log_probabilities(end[at]) - clean for end in ends)
        return {
            "kl": divergence(clean, moved),
            **{
                kind: compare(clean, moved, each)
                for kind, each in zip(COMPARED, others, strict=True)
            },
        }

    def _by_context(self, s: int, latent: int) -> Float[Tensor, "c positions"]:
        """One latent's activations on the held-out text."""
        column = self.codes[s].values[:, [latent]].toarray()
        return torch.from_numpy(column).float().view(len(self.entering), -1)

    def _places(
        self, own: Float[Tensor, "c positions"], partner: Float[Tensor, "c positions"]
    ) -> tuple[Int[Tensor, " some"], tuple[Tensor, Tensor]]:
        """Contexts in which one of the two fires, and where in them."""
        fires = ((own != 0) | (partner != 0)).numpy()
        active = np.flatnonzero(fires.any(axis=1))
        few = min(self.config.contexts, len(active))
        contexts = np.sort(self.draw.choice(active, few, replace=False))
        places = np.argwhere(fires[contexts])
        some = min(self.config.positions, len(places))
        rows, positions = places[np.sort(self.draw.choice(len(places), some, replace=False))].T
        # Activations begin at the position after the separator.
        at = (torch.from_numpy(rows), torch.from_numpy(positions + 1))
        return torch.from_numpy(contexts), at


def written(
    activations: Float[Tensor, "c positions"], direction: Float[Tensor, " d"]
) -> Float[Tensor, "c length d"]:
    """What a latent adds to contexts; nothing at the separator, which no dictionary has seen."""
    return nn.functional.pad(activations, (1, 0))[..., None] * direction


def chosen_latents(
    A: SAE, B: SAE, a: Codes, b: Codes, config: AblationConfig, draw: np.random.Generator
) -> Pair:
    """Latents of `A`, as many of each stratum of decoder cosine as there are, up to equal shares.

    Args:
        A, B: the dictionaries.
        a, b: what their latents do.
        config: strata, and how many latents in all.
        draw: draws them.
    """
    alike = two(A.decoder, B.decoder, a, b)
    matching = match_cosines(torch.from_numpy(alike.cosine))
    rows = np.flatnonzero(matching.partner.numpy() >= 0)
    columns = matching.partner.numpy()[rows]
    cosine, correlation = alike.cosine[rows, columns], alike.correlation[rows, columns]
    stratum = np.digitize(cosine, config.strata)
    some = spread_evenly(stratum, config.latents, draw)
    return Pair(
        np.flatnonzero(a.live)[rows[some]],
        np.flatnonzero(b.live)[columns[some]],
        cosine[some],
        correlation[some],
        np.bincount(stratum, minlength=len(config.strata) + 1) / max(1, len(stratum)),
    )


def spread_evenly(
    group: Int[ndarray, " n"], count: int, draw: np.random.Generator
) -> Int[ndarray, " some"]:
    """Members drawn at random, one of each group after the other until there are `count`."""
    order = draw.permutation(len(group))
    turn = np.empty(len(group), int)
    for each in np.unique(group):
        members = order[group[order] == each]
        turn[members] = np.arange(len(members))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:count])


def fires_as_often(codes: Codes, latent: int, neighbours: int, draw: np.random.Generator) -> int:
    """Another live latent, one of those whose firing rate is nearest."""
    others = np.flatnonzero(codes.live)
    others = others[others != latent]
    rate = codes.rate
    nearest = others[np.argsort(np.abs(np.log(rate[others] / rate[latent])), kind="stable")]
    return int(draw.choice(nearest[:neighbours]))


def _stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of mappings with arrays [l] one with arrays [P, L], filled up with NaN."""
    result: dict[str, Any] = {}
    for name, first in rows[0].items():
        columns = [row[name] for row in rows]
        if isinstance(first, dict):
            result[name] = _stacked(columns)
            continue
        longest = max(map(len, columns))
        result[name] = np.stack(
            [np.pad(each, (0, longest - len(each)), constant_values=np.nan) for each in columns]
        )
    return result
