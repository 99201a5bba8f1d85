"""Effects on the next token of ablating a latent and its partner in another seed.

A latent is ablated by subtracting its output from the activations at a hook point, x − f(x) d, at
every position except the separator; the SAE's error stays. The model is run from there, and the
log-probabilities of the next token change by Δ. The similarity of two interventions is the
correlation of their Δ over tokens of the vocabulary and over positions.

Chance uses the same positions and strengths, so that only the direction differs: `other` ablates
along a latent of the second seed that fires about as often as the partner, `gauge` along the
partner's direction after a random symmetry of the data's second moments.
"""

from typing import Any, Literal, NamedTuple, TypedDict, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from audit.evaluation.behavior.config import AblationConfig
from audit.evaluation.behavior.correlation import Codes, latent_similarities, sparse_codes
from audit.evaluation.intervention import DownstreamModel, Effect, compare_effects, kl_divergence
from audit.subjects.arrays import columns
from audit.subjects.language_model.checkpoint import open_model
from audit.subjects.language_model.results import TextActivations
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.matching.match import match_cosines

Compared = Literal["partner", "other", "gauge"]
COMPARED: tuple[Compared, ...] = get_args(Compared)
"""Interventions that the latent's ablation is compared with."""


class EffectTables(TypedDict):
    """The fields of `Effect`."""

    effect: Float[ndarray, "P L"]
    weighted_effect: Float[ndarray, "P L"]
    kl_ratio: Float[ndarray, "P L"]


class Ablations(TypedDict):
    """Ablations over pairs P of neighboring seeds in a ring and latents L of the first.

    Pairs with fewer latents are padded with NaN.
    """

    cosine: Float[ndarray, "P L"]
    """With the partner by decoder."""
    correlation: Float[ndarray, "P L"]
    """Of activations, with the same partner."""
    partner: EffectTables
    other: EffectTables
    gauge: EffectTables
    kl: Float[ndarray, "P L"]
    """Of ablating the latent itself."""
    population: Float[ndarray, "P strata"]
    """Share of live latents in each stratum."""


def ablate(
    config: AblationConfig,
    dictionaries: Dictionaries,
    activations: TextActivations,
) -> Ablations:
    """Ablate latents and their partners, and compare the effects on the next token.

    Raises:
        UserError: the model is not available, or has no such hook point.
    """
    run = _Ablation(config, dictionaries, activations)
    seeds = len(run.trained)
    rows = []
    for s in range(seeds):
        rows.append(run.pair(s, (s + 1) % seeds))
        report(s + 1, seeds)
    return cast(Ablations, columns(rows, pad=True))


class ChosenLatents(NamedTuple):
    """Latents to ablate in one pair of dictionaries, with their partners."""

    latents: Int[ndarray, " l"]
    """Latents of the first dictionary."""
    partners: Int[ndarray, " l"]
    """Their partners in the second, by the assignment of live decoders."""
    cosine: Float[ndarray, " l"]
    """Cosines of their decoders."""
    correlation: Float[ndarray, " l"]
    """Correlations of their activations."""
    population: Float[ndarray, " strata"]
    """Share of all live latents that have a partner, by stratum."""


class _Ablation:
    """Dictionaries, codes and model of one ablation stage."""

    def __init__(
        self, config: AblationConfig, dictionaries: Dictionaries, activations: TextActivations
    ):
        self.config = config
        self.trained = saes(dictionaries, config.dictionary, config.seeds)
        x = tensor(activations["heldout"])
        self.codes = [sparse_codes(sae, x) for sae in self.trained]
        self.gauge = GaugeBasis.from_activations(tensor(activations["train"]))
        self.downstream = DownstreamModel(
            open_model(config.model, config.allow_download), config.hook
        )
        tokens = tensor(activations["heldout_contexts"]).long()
        self.entering, self.last = self.downstream.clean_residuals(tokens)
        self.draw = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)

    def pair(self, s: int, t: int) -> dict[str, Any]:
        """Ablate the chosen latents of one pair."""
        chosen = choose_latents(
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
        """Ablate one latent, its partner and both chance levels, and compare the effects."""
        A, B = self.trained[s].decoder, self.trained[t].decoder
        own, partner = self._by_context(s, i), self._by_context(t, j)
        contexts, at = self._places(own, partner)
        own, partner = own[contexts], partner[contexts]
        other = B[draw_frequency_matched(self.codes[t], j, self.config.neighbours, self.draw)]
        scrambled = gauge_scramble(B[j : j + 1], self.gauge, self.generator)[0]
        changes = torch.stack(
            [
                latent_output(own, A[i]),
                *(latent_output(partner, direction) for direction in (B[j], other, scrambled)),
            ]
        )
        many = len(changes)
        ends = self.downstream.final_residual(
            self.entering[contexts].repeat(many, 1, 1), -changes.flatten(0, 1)
        ).unflatten(0, (many, -1))
        clean = self.downstream.log_probabilities(self.last[contexts][at])
        moved, *others = (self.downstream.log_probabilities(end[at]) - clean for end in ends)
        return {
            "kl": kl_divergence(clean, moved),
            **{
                kind: compare_effects(clean, moved, each)
                for kind, each in zip(COMPARED, others, strict=True)
            },
        }

    def _by_context(self, s: int, latent: int) -> Float[Tensor, "c positions"]:
        """Return one latent's activations on the held-out text."""
        column = self.codes[s].values[:, [latent]].toarray()
        return torch.from_numpy(column).float().view(len(self.entering), -1)

    def _places(
        self, own: Float[Tensor, "c positions"], partner: Float[Tensor, "c positions"]
    ) -> tuple[Int[Tensor, " contexts"], tuple[Tensor, Tensor]]:
        """Draw contexts in which one of the two fires, and positions in them."""
        fires = ((own != 0) | (partner != 0)).numpy()
        active = np.flatnonzero(fires.any(axis=1))
        n_contexts = min(self.config.contexts, len(active))
        contexts = np.sort(self.draw.choice(active, n_contexts, replace=False))
        places = np.argwhere(fires[contexts])
        n_places = min(self.config.positions, len(places))
        rows, positions = places[np.sort(self.draw.choice(len(places), n_places, replace=False))].T
        # Activations begin at the position after the separator.
        at = (torch.from_numpy(rows), torch.from_numpy(positions + 1))
        return torch.from_numpy(contexts), at


def latent_output(
    activations: Float[Tensor, "c positions"], direction: Float[Tensor, " d"]
) -> Float[Tensor, "c length d"]:
    """Compute a latent's output in contexts; zero at the separator, which has no activations."""
    return nn.functional.pad(activations, (1, 0))[..., None] * direction


def choose_latents(
    A: SAE, B: SAE, a: Codes, b: Codes, config: AblationConfig, draw: np.random.Generator
) -> ChosenLatents:
    """Choose latents of `A`, in equal shares from the strata of decoder cosine where possible.

    Args:
        A, B: the dictionaries.
        a, b: their codes.
        config: strata and total number of latents.
        draw: random generator.
    """
    alike = latent_similarities(A.decoder, B.decoder, a, b)
    matching = match_cosines(torch.from_numpy(alike.cosine))
    rows = np.flatnonzero(matching.partner.numpy() >= 0)
    columns = matching.partner.numpy()[rows]
    cosine, correlation = alike.cosine[rows, columns], alike.correlation[rows, columns]
    stratum = np.digitize(cosine, config.strata)
    chosen = draw_evenly(stratum, config.latents, draw)
    return ChosenLatents(
        np.flatnonzero(a.live)[rows[chosen]],
        np.flatnonzero(b.live)[columns[chosen]],
        cosine[chosen],
        correlation[chosen],
        np.bincount(stratum, minlength=len(config.strata) + 1) / max(1, len(stratum)),
    )


def draw_evenly(
    group: Int[ndarray, " n"], count: int, draw: np.random.Generator
) -> Int[ndarray, " drawn"]:
    """Draw `count` members at random, taking one of each group in turn."""
    order = draw.permutation(len(group))
    turn = np.empty(len(group), int)
    for each in np.unique(group):
        members = order[group[order] == each]
        turn[members] = np.arange(len(members))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:count])


def draw_frequency_matched(
    codes: Codes, latent: int, neighbors: int, draw: np.random.Generator
) -> int:
    """Draw another live latent from those with the nearest firing rates."""
    others = np.flatnonzero(codes.live)
    others = others[others != latent]
    rate = codes.rate
    nearest = others[np.argsort(np.abs(np.log(rate[others] / rate[latent])), kind="stable")]
    return int(draw.choice(nearest[:neighbors]))
