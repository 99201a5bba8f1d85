"""Stages: similarity of dictionaries, and invariance of activations, under translations."""

from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypedDict, cast, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from audit.analyses.symmetry import translations
from audit.analyses.symmetry.config import InvarianceConfig, SymmetryConfig
from audit.analyses.symmetry.invariance import translation_share, variance_shares
from audit.analyses.symmetry.multiplications import search_multipliers
from audit.analyses.symmetry.translations import SearchResult, Spectra
from audit.subjects.arrays import columns
from audit.subjects.modular_addition.results import PairActivations, over_all_pairs
from audit.training.results import Dictionaries
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble

Kind = Literal["value", "gauge", "phase", "planted"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The other dictionary unchanged; after a random symmetry of second moments; with random phases;
and, as a positive control for the first pair, the first dictionary with each latent translated by a
random shift."""


class ShiftMeasures(TypedDict):
    """Means over queries, for P pairs; of the best correlation unless said otherwise."""

    plain: Float[np.ndarray, " P"]
    """Without a shift."""
    random_shift: Float[np.ndarray, " P"]
    """After a random shift of each."""
    global_shift: Float[np.ndarray, " P"]
    """After one shift of all."""
    latent_shift: Float[np.ndarray, " P"]
    """After a shift of each."""
    unit_shift: Float[np.ndarray, " P"]
    """With a multiplication in addition."""
    covered: Float[np.ndarray, " P"]
    """Share of sums that the other dictionary's latents cover."""
    certified: Float[np.ndarray, " P"]
    """Share of queries with a proven best."""
    entropy: Float[np.ndarray, " P"]
    """Of the chosen shifts, over its maximum."""
    common: Float[np.ndarray, " P"]
    """Share of queries that chose the most frequent shift."""
    nearly: Float[np.ndarray, " P"]
    """Share of shifts about as good."""
    lines: Float[np.ndarray, "P 4"]
    moved: Float[np.ndarray, " P"]
    """Whether the best common shift was not the identity."""


class Example(TypedDict):
    """Maps and numbers of one query of the first pair."""

    latent: Float[np.ndarray, "side side"]
    plain: Float[np.ndarray, "side side"]
    """Its best partner without a shift."""
    shifted: Float[np.ndarray, "side side"]
    """Its best partner after a shift."""
    plain_correlation: float
    shifted_correlation: float
    shift: Int[np.ndarray, "2"]


class SymmetrySearch(TypedDict):
    """Partners in the other dictionary of each pair, one pair for `planted`."""

    pairs: Int[np.ndarray, "P 2"]
    seeds: int
    """Number of dictionaries."""
    example: Example
    value: ShiftMeasures
    gauge: ShiftMeasures
    phase: ShiftMeasures
    planted: ShiftMeasures


class Invariance(TypedDict):
    """Translation-invariant share of the activations' kernel, and shares of variance."""

    share: float
    relabelled: Float[np.ndarray, " draws"]
    """After permuting the numbers at random, in the same way in both summands."""
    permuted: Float[np.ndarray, " draws"]
    """After permuting all p² pairs at random."""
    variance: dict[str, float]
    """Shares that depend on the sum, the difference, one summand, or more than one of these."""


def search(
    config: SymmetryConfig,
    dictionaries: Dictionaries,
    activations: PairActivations,
) -> SymmetrySearch:
    """Search partners of drawn latents of each dictionary in the next one, in a ring.

    Raises:
        UserError: the activations are not of all p² pairs, or too few latents fire.
    """
    generator = Generator().manual_seed(config.seed)
    x = on_grid(activations, config.p).flatten(0, 1)
    gauge = Gauge(GaugeBasis.from_activations(x), x.mean(dim=0))
    trained = saes(dictionaries, config.dictionary)
    pairs = ordered_ring_pairs(len(trained))
    maps = Maps(trained, x, config.p)
    rows: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    example: Example | None = None
    for done, (s, t) in enumerate(pairs):
        queries = _queries(maps.of(s), maps.firings(s), config, generator)
        for kind in KINDS if done == 0 else KINDS[:-1]:
            other = _other(kind, maps, (s, t), gauge, generator)
            found = translations.search(queries, other, config.candidates)
            rows[kind].append(_measured(queries, other, found, config, generator))
            if example is None:
                example = _example(queries, other, found, config)
        report(done + 1, len(pairs))
    measured = {kind: columns(of_pairs) for kind, of_pairs in rows.items()}
    about = {"pairs": np.array(pairs), "seeds": len(trained), "example": example}
    return cast(SymmetrySearch, about | measured)


def invariance(config: InvarianceConfig, activations: PairActivations) -> Invariance:
    """Measure the translation invariance of the activations' kernel, and decompose variance.

    Raises:
        UserError: the activations are not of all p² pairs.
    """
    generator = Generator().manual_seed(config.seed)
    x, p = on_grid(activations, config.p), config.p
    relabelled, permuted = [], []
    for done in range(config.draws):
        names = torch.randperm(p, generator=generator)
        relabelled.append(translation_share(x[names][:, names]))
        places = torch.randperm(p * p, generator=generator)
        permuted.append(translation_share(x.flatten(0, 1)[places].unflatten(0, (p, p))))
        report(done + 1, config.draws)
    return {
        "share": translation_share(x),
        "relabelled": np.array(relabelled),
        "permuted": np.array(permuted),
        "variance": variance_shares(x),
    }


def on_grid(activations: PairActivations, p: int) -> Float[Tensor, "p p d"]:
    """Arrange training and held-out activations on the grid of pairs.

    Raises:
        UserError: a pair is missing or occurs twice.
    """
    x, pairs = map(tensor, over_all_pairs(activations))
    places = pairs[:, 0] * p + pairs[:, 1]
    if not torch.equal(places.sort().values, torch.arange(p * p)):
        raise UserError(f"{len(places)} pairs were given; need each of the {p * p} once")
    return torch.empty_like(x).index_copy_(0, places, x).unflatten(0, (p, p))


def ordered_ring_pairs(seeds: int) -> list[tuple[int, int]]:
    """Pair each seed with the next, the last with the first; two seeds are one pair."""
    return [(0, 1)] if seeds == 2 else [(s, (s + 1) % seeds) for s in range(seeds)]


class Gauge(NamedTuple):
    """A random symmetry of the activations' second moments about their mean."""

    basis: GaugeBasis
    """Principal components."""
    mean: Float[Tensor, " d"]
    """Mean activation, which is fixed."""

    def scramble(self, sae: SAE, generator: Generator) -> SAE:
        """Return the dictionary that reads activations after a random symmetry.

        Means and covariances of pre-activations stay. The decoder is unchanged, because activations
        of a latent depend on its encoder alone.
        """
        encoder = gauge_scramble(sae.encoder, self.basis, generator)
        before = sae.centered(self.mean)
        return replace(
            sae,
            encoder=encoder,
            encoder_bias=sae.encoder_bias + (sae.encoder - encoder) @ before,
        )


class Maps:
    """Activation maps of dictionaries over the grid; those of the last two are cached."""

    def __init__(self, trained: list[SAE], x: Float[Tensor, "pairs d"], p: int):
        """Take dictionaries, and activations in the order of the grid."""
        self.trained, self._x, self._p = trained, x, p
        self._kept: dict[int, tuple[Spectra, Tensor]] = {}

    def of(self, s: int) -> Spectra:
        """Return the spectra of the latents of one dictionary."""
        return self._cached(s)[0]

    def firings(self, s: int) -> Tensor:
        """Return the number of pairs on which each of its latents fires [n]."""
        return self._cached(s)[1]

    def read(self, sae: SAE) -> tuple[Spectra, Tensor]:
        """Compute spectra and firings of any dictionary."""
        latents = sae.encode(self._x).T.contiguous()
        maps = latents.unflatten(1, (self._p, self._p))
        return translations.spectra(maps), (latents != 0).sum(dim=1)

    def _cached(self, s: int) -> tuple[Spectra, Tensor]:
        if s not in self._kept:
            self._kept = dict(list(self._kept.items())[-1:])
            self._kept[s] = self.read(self.trained[s])
        return self._kept[s]


def _queries(A: Spectra, firings: Tensor, config: SymmetryConfig, generator: Generator) -> Spectra:
    often = (firings >= config.fewest_firings).nonzero().flatten()
    if len(often) < config.queries:
        raise UserError(
            f"{len(often)} latents fire on at least {config.fewest_firings} pairs; the search "
            f"draws {config.queries}"
        )
    return A[often[torch.randperm(len(often), generator=generator)[: config.queries]]]


def _other(
    kind: Kind, maps: Maps, pair: tuple[int, int], gauge: Gauge, generator: Generator
) -> Spectra:
    """Return the spectra that the queries of a pair's first dictionary are compared with."""
    if kind == "gauge":
        return maps.read(gauge.scramble(maps.trained[pair[1]], generator))[0]
    if kind == "phase":
        return translations.phase_scrambled(maps.of(pair[1]), generator)
    if kind == "planted":
        A = maps.of(pair[0])
        return translations.translated(
            A, torch.randint(A.shape[1], (len(A), 2), generator=generator)
        )
    return maps.of(pair[1])


def _measured(
    A: Spectra, B: Spectra, found: SearchResult, config: SymmetryConfig, generator: Generator
) -> dict[str, Any]:
    drawn = translations.translated(A, torch.randint(config.p, (len(A), 2), generator=generator))
    common, shift = translations.best_common_shift(A, B, found.envelope, config.common_shifts)
    chosen = found.shift[:, 0] * config.p + found.shift[:, 1]
    votes = chosen.unique(return_counts=True)[1].double() / len(chosen)
    return {
        "plain": _best_mean(A, B),
        "random_shift": _best_mean(drawn, B),
        "global_shift": common,
        "latent_shift": found.best.double().mean().item(),
        "unit_shift": search_multipliers(A, B, found, config.multipliers).double().mean().item(),
        "covered": translations.sum_coverage(B),
        "certified": found.certified.double().mean().item(),
        "entropy": -(votes * votes.log()).sum().item() / np.log(len(chosen)),
        "common": votes.max().item(),
        "nearly": found.nearly.double().mean().item(),
        "lines": found.lines.double().mean(dim=0).numpy(),
        "moved": float(shift != (0, 0)),
    }


def _best_mean(A: Spectra, B: Spectra) -> float:
    return translations.correlations(A, B).amax(dim=1).double().mean().item()


def _example(A: Spectra, B: Spectra, found: SearchResult, config: SymmetryConfig) -> Example:
    """Return the query with median correlation, its plain partner, and its shifted partner."""
    i = int(found.best.argsort(stable=True)[len(A) // 2])
    plain = translations.correlations(A[i : i + 1], B)[0]
    partner = int(found.partner[i])
    back = translations.translated(B[partner : partner + 1], -found.shift[i : i + 1])
    side = config.example_side

    def shown(of: Spectra) -> np.ndarray:
        values = translations.maps_of(of)[0, :side, :side]
        return (values / values.abs().max()).numpy()

    return {
        "latent": shown(A[i : i + 1]),
        "plain": shown(B[plain.argmax()][None]),
        "shifted": shown(back),
        "plain_correlation": plain.max().item(),
        "shifted_correlation": found.best[i].item(),
        "shift": found.shift[i].numpy(),
    }
