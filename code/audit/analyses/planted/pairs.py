"""Pairs of dictionaries of one planted truth: recurrence of latents and of spans."""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.planted.groups import UNASSIGNED, AssignedDictionary, PlantedGroups
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.subspaces.principal import principal_angles, top_subspace

LEVELS = ("value", "turned", "gauge", "other")
"""Spans of a block compared with those of another seed: unchanged; after each block was rotated
within itself; after a gauge scramble; and with the span of as many latents of other groups."""


class Transformed(NamedTuple):
    """Rows and spans of a dictionary after an orthogonal map."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    spans: dict[int, Float[Tensor, "k d"]]
    """Spans by block, as in `AssignedDictionary`."""


class Pairs:
    """Tables of recurrence over pairs of dictionaries, filled pair after pair."""

    def __init__(
        self, seeds: int, n: int, groups: PlantedGroups, basis: GaugeBasis, threshold: float
    ):
        """Allocate tables for `seeds` dictionaries of `n` latents."""
        self._groups, self._basis, self._threshold = groups, basis, threshold
        latents, blocks = (seeds, seeds, n), (seeds, seeds, len(groups.blocks))
        names = ("best", "best_turned", "best_gauge", "expected", "nearest", "nearest_gauge")
        self._of_latents = {name: np.full(latents, np.nan, np.float32) for name in names}
        self._overlap = {level: np.full(blocks, np.nan) for level in (*LEVELS, "isotropic")}
        self._angle = {level: np.full(blocks, np.nan) for level in LEVELS}
        self._nearest = int(groups.rank[groups.singles :].max()) if groups.blocks else 1

    def enter(
        self,
        s: int,
        t: int,
        one: AssignedDictionary,
        other: AssignedDictionary,
        generator: Generator,
    ):
        """Compute the recurrence of latents and spans of s in t."""
        versions = {
            "": Transformed(other.rows, other.spans),
            "_turned": rotate_within_blocks(other, self._groups, generator),
            "_gauge": scramble(other, self._basis, generator),
        }
        for kind, version in versions.items():
            there = version.rows[other.live]
            if not len(there):
                continue
            cosines = one.rows @ there.T
            self._of_latents[f"best{kind}"][s, t] = cosines.amax(1).numpy()
            if kind != "_turned":
                held = share_in_nearest_span(one.rows, there, cosines, self._nearest)
                self._of_latents[f"nearest{kind}"][s, t] = held.numpy()
        self._of_latents["expected"][s, t] = _expected(one, other, self._groups, self._threshold)
        for place, block in enumerate(self._groups.blocks):
            if block in one.spans and block in other.spans:
                levels = {
                    "value": other.spans[block],
                    "turned": versions["_turned"].spans[block],
                    "gauge": versions["_gauge"].spans[block],
                    "other": _span_of_other_groups(other, block, generator),
                }
                self._enter_spans((s, t, place), one.spans[block], levels)

    def arrays(self) -> dict[str, Any]:
        """Return the tables."""
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


def scramble(other: AssignedDictionary, basis: GaugeBasis, generator: Generator) -> Transformed:
    """Apply one random symmetry of the data to rows and spans."""
    parts = gauge_scramble(torch.cat([other.rows, *other.spans.values()]), basis, generator).split(
        [len(other.rows), *map(len, other.spans.values())]
    )
    return Transformed(parts[0], dict(zip(other.spans, parts[1:], strict=True)))


def rotate_within_blocks(
    other: AssignedDictionary, groups: PlantedGroups, generator: Generator
) -> Transformed:
    """Rotate each block's latents by a random rotation of the block's subspace.

    This changes only what a block leaves undetermined: angles between its latents, the share of
    each within the block, and all other latents stay. If seeds choose a basis of a block at random,
    latents recur as often after the rotation as before.
    """
    rows, spans = other.rows.clone(), {}
    for block, span in other.spans.items():
        inside = groups.directions[groups.group == block]
        turn = _random_rotation(len(inside), generator) - torch.eye(len(inside))
        mine = other.latents(block)
        rows[mine] += rows[mine] @ inside.T @ turn @ inside
        spans[block] = span + span @ inside.T @ turn @ inside
    return Transformed(rows, spans)


def covering_probability(count: int, rank: int, threshold: float) -> float:
    """Compute the probability that one of `count` random directions is close to a given one.

    All are uniform on the sphere of `rank` dimensions; in one dimension that is a sign. This is
    `chance_reproducibility` within a block: the recurrence of the block's latents if each seed
    covers it with random directions.
    """
    if count == 0:
        return 0.0
    if rank == 1:
        return 1.0 - 0.5**count
    return chance_reproducibility(count, rank, threshold)


def _expected(
    one: AssignedDictionary, other: AssignedDictionary, groups: PlantedGroups, threshold: float
) -> np.ndarray:
    """Compute each latent's covering probability; for a single, whether the other has a latent."""
    chance = np.full(groups.n + 1, np.nan)  # the last entry is for unassigned latents
    for group in range(groups.n):
        count = len(other.latents(group))
        if group < groups.singles:
            chance[group] = float(count > 0)
        else:
            chance[group] = covering_probability(count, int(groups.rank[group]), threshold)
    return chance[one.owner.numpy()]


def _span_of_other_groups(
    other: AssignedDictionary, block: int, generator: Generator
) -> Tensor | None:
    """Draw as many latents of other groups as the block has, and return their span."""
    mine = int((other.owner == block).sum())
    others = ((other.owner != block) & (other.owner != UNASSIGNED)).nonzero()[:, 0]
    if len(others) < mine:
        return None
    chosen = others[torch.randperm(len(others), generator=generator)[:mine]]
    return top_subspace(other.rows[chosen], len(other.spans[block]))


def share_in_nearest_span(
    rows: Float[Tensor, "n d"],
    there: Float[Tensor, "m d"],
    cosines: Float[Tensor, "n m"],
    count: int,
) -> Float[Tensor, " n"]:
    """Compute the share of each row's squared length in the span of its nearest rows of `there`.

    Nearest are the `count` rows with the largest absolute cosines. This measures whether latents of
    another seed span this one's direction, without using the planted truth.
    """
    which = cosines.abs().topk(min(count, len(there)), dim=1).indices
    # An orthonormal basis of each choice. Equal rows give a direction that is rounding noise; a
    # pseudo-inverse would need a tolerance for the same reason.
    basis = torch.linalg.qr(there[which].double().mT).Q
    return torch.einsum("nd,ndk->nk", rows.double(), basis).square().sum(1).float()


def _random_rotation(k: int, generator: Generator) -> Float[Tensor, "k k"]:
    """Draw uniformly from rotations and reflections (Mezzadri 2007); for k = 1 a sign."""
    Q, R = torch.linalg.qr(torch.randn(k, k, generator=generator))
    return Q * R.diagonal().sign()
