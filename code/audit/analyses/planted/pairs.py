"""Pairs of dictionaries of one planted truth: recurrence of latents and of spans."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple, TypedDict, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from audit.analyses.planted.groups import UNASSIGNED, AssignedDictionary
from audit.subjects.synthetic.planted import Truth
from seedstability.progress import report
from seedstability.stability.chance.closed_form import chance_reproducibility
from seedstability.stability.chance.null_models import GaugeBasis, gauge_scramble
from seedstability.stability.subspaces.principal import principal_angles, top_subspace

LEVELS = ("value", "turned", "gauge", "other")
"""Spans of a block compared with those of another seed: unchanged; after each block was rotated
within itself; after a gauge scramble; and with the span of as many latents of other groups."""
SpanTables = dict[str, Float[np.ndarray, "S S blocks"]]
"""A table by `LEVELS`; NaN where s = t or either seed has no latent of the block."""


class PairTables(TypedDict):
    """Recurrence of latents and spans of s in t; NaN where s = t."""

    best: Float[np.ndarray, "S S n"]
    """Best cosine of each latent with a live one of t."""
    best_turned: Float[np.ndarray, "S S n"]
    """The same after t's blocks were rotated within themselves."""
    best_gauge: Float[np.ndarray, "S S n"]
    """The same after t was scrambled."""
    nearest: Float[np.ndarray, "S S n"]
    """Share of each row in the span of its nearest live rows of t, as many as a block's rank."""
    nearest_gauge: Float[np.ndarray, "S S n"]
    expected: Float[np.ndarray, "S S n"]
    """Covering probability at the threshold; NaN for unassigned latents."""
    overlap: SpanTables
    """Overlap of spans; `isotropic`, what unrelated spans are expected to have."""
    angle: SpanTables
    """Largest angle between spans in degrees."""


class Transformed(NamedTuple):
    """Rows and spans of a dictionary after an orthogonal map."""

    rows: Float[Tensor, "n d"]
    """Decoder rows at length one."""
    spans: dict[int, Float[Tensor, "k d"]]
    """Spans by block, as in `AssignedDictionary`."""


def compare_pairs(
    ours: Sequence[AssignedDictionary],
    truth: Truth,
    basis: GaugeBasis,
    threshold: float,
    generator: Generator,
) -> PairTables:
    """Compute the recurrence of latents and spans of each dictionary in each other."""
    n_seeds, (n, d) = len(ours), ours[0].rows.shape
    names = ("best", "best_turned", "best_gauge", "nearest", "nearest_gauge", "expected")
    latents = {name: np.full((n_seeds, n_seeds, n), np.nan, np.float32) for name in names}
    blank = np.full((n_seeds, n_seeds, len(truth.blocks)), np.nan)
    overlap = {level: blank.copy() for level in (*LEVELS, "isotropic")}
    angle = {level: blank.copy() for level in LEVELS}
    pairs = list(permutations(range(n_seeds), 2))
    for done, (s, t) in enumerate(pairs):
        one, other = ours[s], ours[t]
        turned = rotate_within_blocks(other, truth, generator)
        scrambled = scramble(other, basis, generator)
        latents["expected"][s, t] = _expected(one, other, truth, threshold)
        if other.live.any():
            for name, row in _best(one, other, turned, scrambled, truth).items():
                latents[name][s, t] = row
        for place, block in enumerate(truth.blocks):
            if block not in one.spans or block not in other.spans:
                continue
            mine, theirs = one.spans[block], other.spans[block]
            overlap["isotropic"][s, t, place] = max(len(mine), len(theirs)) / d
            unrelated = _span_of_other_groups(other, block, generator)
            spans = (theirs, turned.spans[block], scrambled.spans[block], unrelated)
            for level, there in zip(LEVELS, spans, strict=True):
                if there is not None:
                    angles = principal_angles(mine, there)
                    overlap[level][s, t, place] = angles.cos().square().mean().item()
                    angle[level][s, t, place] = angles.amax().rad2deg().item()
        report(done + 1, len(pairs))
    return cast(PairTables, {**latents, "overlap": overlap, "angle": angle})


def _best(
    one: AssignedDictionary,
    other: AssignedDictionary,
    turned: Transformed,
    scrambled: Transformed,
    truth: Truth,
) -> dict[str, np.ndarray]:
    """Compute each latent's best cosines, and its shares in the nearest spans."""
    count = int(truth.rank[truth.singles :].max()) if truth.blocks else 1
    rows, by_chance = other.rows[other.live], scrambled.rows[other.live]
    cosines, cosines_by_chance = one.rows @ rows.T, one.rows @ by_chance.T
    found = {
        "best": cosines.amax(1),
        "best_turned": (one.rows @ turned.rows[other.live].T).amax(1),
        "best_gauge": cosines_by_chance.amax(1),
        "nearest": share_in_nearest_span(one.rows, rows, cosines, count),
        "nearest_gauge": share_in_nearest_span(one.rows, by_chance, cosines_by_chance, count),
    }
    return {name: values.numpy() for name, values in found.items()}


def scramble(other: AssignedDictionary, basis: GaugeBasis, generator: Generator) -> Transformed:
    """Apply one random symmetry of the data to rows and spans."""
    parts = gauge_scramble(torch.cat([other.rows, *other.spans.values()]), basis, generator).split(
        [len(other.rows), *map(len, other.spans.values())]
    )
    return Transformed(parts[0], dict(zip(other.spans, parts[1:], strict=True)))


def rotate_within_blocks(
    other: AssignedDictionary, truth: Truth, generator: Generator
) -> Transformed:
    """Rotate each block's latents by a random rotation of the block's subspace.

    This changes only what a block leaves undetermined: angles between its latents, the share of
    each within the block, and all other latents stay. If seeds choose a basis of a block at random,
    latents recur as often after the rotation as before.
    """
    rows, spans = other.rows.clone(), {}
    for block, span in other.spans.items():
        inside = truth.basis(block)
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
    one: AssignedDictionary, other: AssignedDictionary, truth: Truth, threshold: float
) -> np.ndarray:
    """Compute each latent's covering probability; for a single, whether the other has a latent."""
    chance = np.full(truth.n + 1, np.nan)  # the last entry is for unassigned latents
    for group in range(truth.n):
        count = len(other.latents(group))
        if group < truth.singles:
            chance[group] = float(count > 0)
        else:
            chance[group] = covering_probability(count, int(truth.rank[group]), threshold)
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
