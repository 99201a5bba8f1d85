"""Functions on the grid Z_p × Z_p compared up to translation.

A map f(a, b) moved by (s, t) is f(a − s, b − t). Its Fourier coefficients keep their size and turn
by exp(−2πi(ks + lt)/p), so that one inverse transform of conj(F)·G gives the correlation of f with
g at all p² shifts at once. A sum is no larger than the sum of the largest values of its parts: the
part that depends on a + b alone is looked at exactly, with p shifts, and Σ |F||G| bounds the rest.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Generator, Tensor

from seedstability.errors import UserError

Spectra = Complex[Tensor, "n p h"]
"""Half of the coefficients of n real maps, h = (p + 1) / 2; the other half are their conjugates."""

LINES = {"sum": (1, -1), "difference": (1, 1), "first": (0, 1), "second": (1, 0)}
"""Directions in which a map does not change if it depends on a + b, a − b, a or b alone."""

_ROUNDING = 1e-5
"""Single precision leaves correlations uncertain by less."""
_AT_ONCE = 256
"""Maps that are transformed together: 13 MB of surfaces at p = 113."""
_NEARLY = 0.9
"""Shifts that reach this share of the best correlation are as good as the best."""


class Found(NamedTuple):
    """What a search over all shifts found for each of q maps among n others."""

    best: Float[Tensor, " q"]
    """Largest correlation with any candidate at any shift."""
    partner: Int[Tensor, " q"]
    """The candidate that has it."""
    shift: Int[Tensor, "q 2"]
    """The shift (s, t) that takes the map there."""
    certified: Bool[Tensor, " q"]
    """No map that was left out can have more: its bound is no larger."""
    lines: Float[Tensor, "q 4"]
    """Share of the best correlation that is left when the shift runs along each of `LINES`."""
    nearly: Float[Tensor, " q"]
    """Share of all shifts at which that partner reaches nine tenths of the best."""
    envelope: Float[Tensor, "p p"]
    """At each shift the mean over maps of the best candidate's correlation."""


def spectra(maps: Float[Tensor, "n p p"]) -> Spectra:
    """Coefficients of maps less their mean, scaled so that products of two are correlations.

    A map that is the same everywhere has no correlation with anything: its coefficients are 0.

    Raises:
        UserError: for grids that are not square with an odd side.
    """
    p = maps.shape[-1]
    if maps.ndim != 3 or maps.shape[1] != p or p % 2 == 0:
        raise UserError(f"maps have shape {tuple(maps.shape)}; need [n, p, p] with p odd")
    F = torch.fft.rfft2(maps)
    F[:, 0, 0] = 0.0
    # Each column but the first stands for its conjugate twin too.
    F[:, :, 1:] *= math.sqrt(2.0)
    length = torch.linalg.vector_norm(_real(F), dim=1)
    spread = maps.abs().amax(dim=(1, 2)) * p * _ROUNDING
    return F * torch.where(length > spread, 1.0 / length, 0.0)[:, None, None]


def maps_of(F: Spectra) -> Float[Tensor, "n p p"]:
    """The maps of `spectra`: mean zero and length one."""
    p = F.shape[1]
    F = F.clone()
    F[:, :, 1:] /= math.sqrt(2.0)
    return torch.fft.irfft2(F, s=(p, p)) * p


def correlations(A: Spectra, B: Spectra) -> Float[Tensor, "q n"]:
    """Pearson's correlation over the grid of every map of one kind with every one of the other."""
    return _real(A) @ _real(B).T


def bounds(A: Spectra, B: Spectra) -> Float[Tensor, "q n"]:
    """What no shift can exceed: the best of the sum's part, and Σ |F||G| over all else."""
    h = A.shape[2]
    rest = [sizes(each) for each in (A, B)]
    for each in rest:
        each[:, range(1, h), range(1, h)] = 0.0
    of_b = of_the_sum(B)
    of_sum = torch.stack([profile_surfaces(a, of_b).amax(dim=1) for a in of_the_sum(A)])
    return of_sum + rest[0].flatten(1) @ rest[1].flatten(1).T


def sizes(F: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """|F|, some ten times as fast as `abs`, which guards against numbers beyond 1e19."""
    return (F.real.square() + F.imag.square()).sqrt_()


def of_the_sum(F: Spectra) -> Complex[Tensor, "n f"]:
    """The coefficients of what depends on a + b alone, at the frequencies 1 … (p − 1) / 2."""
    k = torch.arange(1, F.shape[2])
    return F[:, k, k]


def profile_surfaces(a: Complex[Tensor, "*n f"], b: Complex[Tensor, "n f"]) -> Float[Tensor, "n p"]:
    """What the parts of the sum give to the correlation, the first moved by 0 … p − 1 in a + b."""
    f = b.shape[1]
    p = 2 * f + 1
    angles = torch.outer(torch.arange(1, f + 1), torch.arange(p)) % p * (2.0 * math.pi / p)
    waves = torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1)
    return torch.view_as_real(a.conj() * b).flatten(1) @ waves


def moved(A: Spectra, shifts: Int[Tensor, "n 2"]) -> Spectra:
    """Each map moved by its own shift (s, t)."""
    p, h = A.shape[1:]
    # Whole numbers modulo p first: the angle then is as exact as single precision can hold.
    turns = shifts[:, :1, None] * torch.arange(p)[None, :, None]
    turns = (turns + shifts[:, 1:, None] * torch.arange(h)[None, None, :]) % p
    circle = 2.0 * math.pi * torch.arange(p, dtype=torch.float64) / p
    return A * torch.complex(circle.cos(), -circle.sin()).to(A.dtype)[turns]


def surfaces(A: Spectra, B: Spectra) -> Float[Tensor, "n p p"]:
    """Correlation of each map, moved by each (s, t), with the map of the same number."""
    p = A.shape[1]
    products = A.conj() * B
    products[:, :, 1:] *= 0.5
    return torch.fft.irfft2(products, s=(p, p), norm="forward")


def search(A: Spectra, B: Spectra, candidates: int) -> Found:
    """The best partner of each map of `A` in `B` over all shifts.

    Only the `candidates` maps with the largest bounds are looked at, each at all p² shifts. Where
    the best is not below the bound of the next it is the best of all; elsewhere it is a lower
    bound of that.

    Args:
        A: spectra of q maps.
        B: spectra of n maps.
        candidates: how many of them to look at for each.
    """
    n, p = B.shape[:2]
    candidates = min(candidates, n)
    highest, order = bounds(A, B).sort(dim=1, descending=True, stable=True)
    left_out = highest[:, candidates] if candidates < n else torch.full((len(A),), -1.0)
    each = max(1, _AT_ONCE // candidates)
    parts = []
    for few, some in zip(A.split(each), order[:, :candidates].split(each), strict=True):
        again = few.repeat_interleave(candidates, dim=0)
        surface = surfaces(again, B[some.flatten()]).unflatten(0, (-1, candidates))
        parts.append(_best_of(surface, some))
    best, partner, shift, lines, nearly = (
        torch.cat([part[i] for part in parts]) for i in range(len(parts[0]) - 1)
    )
    envelope = torch.stack([part[-1] for part in parts]).sum(dim=0) / len(A)
    certified = best >= left_out - _ROUNDING
    return Found(best, partner, shift, certified, lines, nearly, envelope.reshape(p, p))


def best_common_shift(
    A: Spectra, B: Spectra, envelope: Float[Tensor, "p p"], tries: int
) -> tuple[float, tuple[int, int]]:
    """The one shift of all maps of `A` after which their best partners in `B` are closest.

    The identity and the `tries` shifts where `envelope` of `search` is highest are looked at, each
    with all maps of `B`.

    Returns:
        Mean over `A` of the best correlation, and the shift.
    """
    p = A.shape[1]
    highest = envelope.flatten().sort(descending=True, stable=True).indices[:tries]
    shifts = [(0, 0), *((int(i) // p, int(i) % p) for i in highest)]
    values = []
    for shift in shifts:
        there = moved(A, torch.tensor([shift]).expand(len(A), 2))
        values.append(correlations(there, B).amax(dim=1).double().mean().item())
    at = max(range(len(shifts)), key=values.__getitem__)
    return values[at], shifts[at]


def sums_covered(F: Spectra) -> float:
    """How evenly maps are shared out over the p sums that they respond to most.

    A map's sum is the one where its part that depends on a + b alone is largest. Given is exp of
    the entropy of these sums, over p: 1 where each is taken equally often.
    """
    profiles = profile_surfaces(torch.ones_like(of_the_sum(F[:1])), of_the_sum(F))
    counts = torch.bincount(profiles.argmax(dim=1), minlength=F.shape[1]).double()
    shares = counts[counts > 0] / counts.sum()
    return ((-shares * shares.log()).sum().exp() / F.shape[1]).item()


def phase_scrambled(B: Spectra, generator: Generator) -> Spectra:
    """Each map with the same power at each frequency and random phases, its own for each."""
    n, p, h = B.shape
    angles = 2.0 * math.pi * torch.rand(n, p, h, generator=generator)
    # In the first column both twins are there, and a real map needs them to be conjugates.
    angles[:, h:, 0] = -angles[:, 1:h, 0].flip(1)
    return torch.polar(sizes(B), angles)


def _best_of(surface: Float[Tensor, "q c p p"], candidates: Int[Tensor, "q c"]) -> tuple:
    q, _, p, _ = surface.shape
    best, place = surface.flatten(1).max(dim=1)
    chosen, s, t = place // p**2, place // p % p, place % p
    mine = surface[torch.arange(q), chosen]
    run = torch.arange(p)
    lines = [
        mine[
            torch.arange(q)[:, None],
            (s[:, None] + u * run) % p,
            (t[:, None] + v * run) % p,
        ].mean(dim=1)
        for u, v in LINES.values()
    ]
    return (
        best,
        candidates[torch.arange(q), chosen],
        torch.stack([s, t], dim=1),
        torch.stack(lines, dim=1) / best[:, None],
        (mine >= _NEARLY * best[:, None, None]).float().mean(dim=(1, 2)),
        surface.amax(dim=1).sum(dim=0),
    )


def _real(F: Spectra) -> Float[Tensor, "n numbers"]:
    return torch.view_as_real(F.contiguous()).flatten(1)
