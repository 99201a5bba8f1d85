"""Pairs of dictionaries of one planted truth: which latents and which spans come back."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.planted.groups import NOBODY, Dictionary, Units
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.subspaces.principal import principal_angles, top_subspace

LEVELS = ("value", "turned", "gauge", "other")
"""Spans of a block against those of another seed; against these after every block was turned within
itself; after the seed was gauge-scrambled; and against as many latents of its other units."""


class Moved(NamedTuple):
    """Rows and spans of a dictionary after an orthogonal map."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    spans: dict[int, Float[Tensor, "k d"]]
    """By block, as in `Dictionary`."""


class Pairs:
    """Everything that is asked of pairs of dictionaries, pair after pair."""

    def __init__(self, seeds: int, n: int, units: Units, basis: GaugeBasis, threshold: float):
        """Of so many dictionaries of `n` latents; the covering law is taken at `threshold`."""
        self._units, self._basis, self._threshold = units, basis, threshold
        latents, blocks = (seeds, seeds, n), (seeds, seeds, len(units.blocks))
        names = ("best", "best_turned", "best_gauge", "expected", "nearest", "nearest_gauge")
        self._of_latents = {name: np.full(latents, np.nan, np.float32) for name in names}
        self._overlap = {level: np.full(blocks, np.nan) for level in (*LEVELS, "isotropic")}
        self._angle = {level: np.full(blocks, np.nan) for level in LEVELS}
        self._nearest = int(units.rank[units.singles :].max()) if units.blocks else 1

    def enter(self, s: int, t: int, one: Dictionary, other: Dictionary, generator: Generator):
        """How latents and spans of s come back in t."""
        versions = {
            "": Moved(other.rows, other.spans),
            "_turned": turned(other, self._units, generator),
            "_gauge": scrambled(other, self._basis, generator),
        }
        for kind, version in versions.items():
            there = version.rows[other.live]
            if not len(there):
                continue
            cosines = one.rows @ there.T
            self._of_latents[f"best{kind}"][s, t] = cosines.amax(1).numpy()
            if kind != "_turned":
                held = held_by_nearest(one.rows, there, cosines, self._nearest)
                self._of_latents[f"nearest{kind}"][s, t] = held.numpy()
        self._of_latents["expected"][s, t] = _expected(one, other, self._units, self._threshold)
        for place, block in enumerate(self._units.blocks):
            if block in one.spans and block in other.spans:
                levels = {
                    "value": other.spans[block],
                    "turned": versions["_turned"].spans[block],
                    "gauge": versions["_gauge"].spans[block],
                    "other": _of_other_units(other, block, generator),
                }
                self._enter_spans((s, t, place), one.spans[block], levels)

    def arrays(self) -> dict[str, Any]:
        """The tables."""
        return {**self._of_latents, "overlap": self._overlap, "angle": self._angle}

    def _enter_spans(
        self, place: tuple[int, int, int], span: Tensor, levels: dict[str, Tensor | None]
    ) -> None:
        for level, there in levels.items():
            if there is None:
                continue
            angles = principal_angles(span, there)
            self._overlap[level][place] = angles.cos().square().mean().item()
            self._angle[level][place] = angles.amax().rad2deg().item()
            self._overlap["isotropic"][place] = max(len(span), len(there)) / span.shape[1]


def scrambled(other: Dictionary, basis: GaugeBasis, generator: Generator) -> Moved:
    """Seen through a random symmetry of the data, rows and spans alike."""
    parts = gauge_scramble(torch.cat([other.rows, *other.spans.values()]), basis, generator).split(
        [len(other.rows), *map(len, other.spans.values())]
    )
    return Moved(parts[0], dict(zip(other.spans, parts[1:], strict=True)))


def turned(other: Dictionary, units: Units, generator: Generator) -> Moved:
    """Each block's latents turned by a random rotation of the block's own subspace.

    What a block leaves open and nothing more: angles between its latents, how much of each lies in
    the block, and all other latents stay. Where seeds pick a basis of a block at will, latents come
    back as often after it as before.
    """
    rows, spans = other.rows.clone(), {}
    for block, span in other.spans.items():
        inside = units.directions[units.unit == block]
        turn = _random_rotation(len(inside), generator) - torch.eye(len(inside))
        mine = other.latents(block)
        rows[mine] += rows[mine] @ inside.T @ turn @ inside
        spans[block] = span + span @ inside.T @ turn @ inside
    return Moved(rows, spans)


def covering(count: int, rank: int, threshold: float) -> float:
    """Probability that one of `count` random directions in a subspace is close to a given one.

    All are uniform on the sphere of `rank` dimensions; in one dimension that is a sign. The law of
    `chance_reproducibility`, inside a block: what the block's latents do if each seed covers it
    with directions drawn at will.
    """
    if count == 0:
        return 0.0
    if rank == 1:
        return 1.0 - 0.5**count
    return chance_reproducibility(count, rank, threshold)


def _expected(one: Dictionary, other: Dictionary, units: Units, threshold: float) -> np.ndarray:
    """For each latent of `one`; a single's latent is there if the other has one of that single."""
    chance = np.full(units.n + 1, np.nan)  # the last entry is for latents of nobody
    for unit in range(units.n):
        count = len(other.latents(unit))
        if unit < units.singles:
            chance[unit] = float(count > 0)
        else:
            chance[unit] = covering(count, int(units.rank[unit]), threshold)
    return chance[one.owner.numpy()]


def _of_other_units(other: Dictionary, block: int, generator: Generator) -> Tensor | None:
    """Span of as many latents as the block has, drawn from those of other units."""
    mine = int((other.owner == block).sum())
    others = ((other.owner != block) & (other.owner != NOBODY)).nonzero()[:, 0]
    if len(others) < mine:
        return None
    chosen = others[torch.randperm(len(others), generator=generator)[:mine]]
    return top_subspace(other.rows[chosen], len(other.spans[block]))


def held_by_nearest(
    rows: Float[Tensor, "n d"],
    there: Float[Tensor, "m d"],
    cosines: Float[Tensor, "n m"],
    count: int,
) -> Float[Tensor, " n"]:
    """Share of each row's squared length in the span of its `count` nearest rows of `there`.

    Nearest by the size of the cosine: which latents of another seed make up this one's direction,
    asked without knowing what was planted.
    """
    which = cosines.abs().topk(min(count, len(there)), dim=1).indices
    # An orthonormal basis of each choice; equal rows give a direction that is rounding, and a
    # pseudo-inverse would need a tolerance for the same reason.
    basis = torch.linalg.qr(there[which].double().mT).Q
    return torch.einsum("nd,ndk->nk", rows.double(), basis).square().sum(1).float()


def _random_rotation(k: int, generator: Generator) -> Float[Tensor, "k k"]:
    """Uniform over rotations and reflections (Mezzadri 2007); for k = 1 a sign."""
    Q, R = torch.linalg.qr(torch.randn(k, k, generator=generator))
    return Q * R.diagonal().sign()
