"""Stages: are dictionaries the same up to a translation of their inputs, and are activations?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.symmetry import translations
from audit.analyses.symmetry.config import InvarianceConfig, SymmetryConfig
from audit.analyses.symmetry.invariance import translation_share, variance_shares
from audit.analyses.symmetry.multiplications import search_units
from audit.analyses.symmetry.translations import Found, Spectra
from audit.training.stages import saes, tensor
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble

KINDS = ("value", "gauge", "phase", "planted")
"""The other dictionary as it is; through a symmetry of second moments; with random phases; and, as
a control for the first pair, the first dictionary with each latent moved by a shift of its own."""


def search(
    config: SymmetryConfig,
    dictionaries: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Partners of drawn latents of s in the dictionary after s, the last followed by the first.

    Args:
        config: sizes of the search.
        dictionaries: as `training.stages:train` returns them.
        activations: as `subjects.modular_addition.stages:activations` returns them, of all p² pairs.

    Returns:
        `pairs` [P, 2]; for each of `KINDS` a tree of [P], or [1] for `planted`: means over queries
        of the best correlation, `plain` as they are, `global_shift` after one shift of all,
        `latent_shift` after a shift of each, `unit_shift` with a multiplication besides, and
        `random_shift`, after a shift of each that was not chosen but drawn; `covered`, the share of
        sums that the other dictionary's latents cover; `certified`, the share of queries whose best
        is proven; `entropy` of the chosen shifts over the largest it can be; `common`, the share of
        queries that chose the most frequent shift; `nearly`, the share of shifts about as good;
        `lines` [P, 4]; and `moved`, whether the best shift of all was not the identity. And
        `example`: maps and numbers of one query of the first pair.

    Raises:
        UserError: for activations that are not of all p² pairs, or too few latents that fire.
    """
    generator = Generator().manual_seed(config.seed)
    x = on_grid(activations, config.p).flatten(0, 1)
    gauge = Gauge(GaugeBasis.from_activations(x), x.mean(dim=0))
    trained = saes(dictionaries, config.dictionary)
    pairs = ring(len(trained))
    maps = Maps(trained, x, config.p)
    rows: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    example: dict[str, Any] = {}
    for done, (s, t) in enumerate(pairs):
        queries = _queries(maps.of(s), maps.firings(s), config, generator)
        for kind in KINDS if done == 0 else KINDS[:-1]:
            other = _other(kind, maps, (s, t), gauge, generator)
            found = translations.search(queries, other, config.candidates)
            rows[kind].append(_measured(queries, other, found, config, generator))
            if not example:
                example = _example(queries, other, found, config)
        report(done + 1, len(pairs))
    return {
        "pairs": np.array(pairs),
        "seeds": len(trained),
        "example": example,
        **{kind: _columns(measured) for kind, measured in rows.items()},
    }


def invariance(config: InvarianceConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How much of the activations' kernel no translation changes, and what varies with what.

    Returns:
        `share`; its chance levels under `relabelled` [draws], numbers renamed at random, alike in
        both summands, and `permuted` [draws], all p² pairs exchanged at random; and `variance`,
        shares that depend on the sum, the difference, one summand, or more than one of these.

    Raises:
        UserError: for activations that are not of all p² pairs.
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


def on_grid(activations: Mapping[str, np.ndarray], p: int) -> Float[Tensor, "p p d"]:
    """Training and held-out activations where their pairs lie.

    Raises:
        UserError: for a pair that is missing or there twice.
    """
    x, pairs = (
        torch.cat([tensor(activations[f"train{kind}"]), tensor(activations[f"heldout{kind}"])])
        for kind in ("", "_pairs")
    )
    places = pairs[:, 0] * p + pairs[:, 1]
    if not torch.equal(places.sort().values, torch.arange(p * p)):
        raise UserError(f"{len(places)} pairs were given; need each of the {p * p} once")
    return torch.empty_like(x).index_copy_(0, places, x).unflatten(0, (p, p))


def ring(seeds: int) -> list[tuple[int, int]]:
    """Each seed with the next, the last with the first; two seeds are one pair."""
    return [(0, 1)] if seeds == 2 else [(s, (s + 1) % seeds) for s in range(seeds)]


class Gauge(NamedTuple):
    """A random symmetry of the activations' second moments about their mean."""

    basis: GaugeBasis
    """Principal components."""
    mean: Float[Tensor, " d"]
    """Mean activation, which stays where it is."""

    def scramble(self, sae: SAE, generator: Generator) -> SAE:
        """The dictionary as it would read activations that went through the symmetry.

        Mean and variance of every pre-activation stay, and so do covariances between them. The
        decoder is left as it is: what a latent does depends on its encoder alone.
        """
        encoder = gauge_scramble(sae.encoder, self.basis, generator)
        before = sae.centered(self.mean)
        return replace(
            sae,
            encoder=encoder,
            encoder_bias=sae.encoder_bias + (sae.encoder - encoder) @ before,
        )


class Maps:
    """Activation maps of dictionaries over the grid; those of the two last ones are kept."""

    def __init__(self, trained: list[SAE], x: Float[Tensor, "pairs d"], p: int):
        """Dictionaries, and activations in the order of the grid."""
        self.trained, self._x, self._p = trained, x, p
        self._kept: dict[int, tuple[Spectra, Tensor]] = {}

    def of(self, s: int) -> Spectra:
        """Spectra of the latents of one dictionary."""
        return self._look(s)[0]

    def firings(self, s: int) -> Tensor:
        """Pairs on which each of its latents fires [n]."""
        return self._look(s)[1]

    def read(self, sae: SAE) -> tuple[Spectra, Tensor]:
        """Spectra and firings of any dictionary."""
        latents = sae.encode(self._x).T.contiguous()
        maps = latents.unflatten(1, (self._p, self._p))
        return translations.spectra(maps), (latents != 0).sum(dim=1)

    def _look(self, s: int) -> tuple[Spectra, Tensor]:
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
    kind: str, maps: Maps, pair: tuple[int, int], gauge: Gauge, generator: Generator
) -> Spectra:
    """What the queries of a pair's first dictionary are held against."""
    if kind == "gauge":
        return maps.read(gauge.scramble(maps.trained[pair[1]], generator))[0]
    if kind == "phase":
        return translations.phase_scrambled(maps.of(pair[1]), generator)
    if kind == "planted":
        A = maps.of(pair[0])
        return translations.moved(A, torch.randint(A.shape[1], (len(A), 2), generator=generator))
    return maps.of(pair[1])


def _measured(
    A: Spectra, B: Spectra, found: Found, config: SymmetryConfig, generator: Generator
) -> dict[str, Any]:
    drawn = translations.moved(A, torch.randint(config.p, (len(A), 2), generator=generator))
    common, shift = translations.best_common_shift(A, B, found.envelope, config.common_shifts)
    chosen = found.shift[:, 0] * config.p + found.shift[:, 1]
    votes = chosen.unique(return_counts=True)[1].double() / len(chosen)
    return {
        "plain": _best_mean(A, B),
        "random_shift": _best_mean(drawn, B),
        "global_shift": common,
        "latent_shift": found.best.double().mean().item(),
        "unit_shift": search_units(A, B, found, config.units).double().mean().item(),
        "covered": translations.sums_covered(B),
        "certified": found.certified.double().mean().item(),
        "entropy": -(votes * votes.log()).sum().item() / np.log(len(chosen)),
        "common": votes.max().item(),
        "nearly": found.nearly.double().mean().item(),
        "lines": found.lines.double().mean(dim=0).numpy(),
        "moved": float(shift != (0, 0)),
    }


def _best_mean(A: Spectra, B: Spectra) -> float:
    return translations.correlations(A, B).amax(dim=1).double().mean().item()


def _example(A: Spectra, B: Spectra, found: Found, config: SymmetryConfig) -> dict[str, Any]:
    """The query with the median correlation: its map, its best partner's, and after a shift."""
    i = int(found.best.argsort(stable=True)[len(A) // 2])
    plain = translations.correlations(A[i : i + 1], B)[0]
    partner = int(found.partner[i])
    back = translations.moved(B[partner : partner + 1], -found.shift[i : i + 1])
    shown = {"latent": A[i : i + 1], "plain": B[plain.argmax()][None], "shifted": back}
    side = config.example_side
    maps = {name: translations.maps_of(each)[0, :side, :side] for name, each in shown.items()}
    return {
        **{name: (values / values.abs().max()).numpy() for name, values in maps.items()},
        "plain_correlation": plain.max().item(),
        "shifted_correlation": found.best[i].item(),
        "shift": found.shift[i].numpy(),
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
