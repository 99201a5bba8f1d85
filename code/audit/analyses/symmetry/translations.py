"""Comparison of functions on the grid Z_p × Z_p up to translation.

A map f(a, b) translated by (s, t) is f(a − s, b − t). Its Fourier coefficients are multiplied by
exp(−2πi(ks + lt)/p), so one inverse transform of conj(F)·G gives the correlation of f with g at all
p² shifts. The correlation is at most the sum of the maxima of its parts: the part that depends on
a + b alone is evaluated exactly, at p shifts, and Σ |F||G| bounds the rest.
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
"""Directions along which a map is constant if it depends on a + b, a − b, a or b alone."""

_ROUNDING = 1e-5
"""Bound of the rounding error of correlations in single precision."""
_AT_ONCE = 256
"""Maps that are transformed together: 13 MB of surfaces at p = 113."""
_NEARLY = 0.9
"""Shifts that reach this share of the best correlation count as about as good."""


class SearchResult(NamedTuple):
    """Result of a search over all shifts for q maps among n others."""

    best: Float[Tensor, " q"]
    """Largest correlation with any candidate at any shift."""
    partner: Int[Tensor, " q"]
    """The candidate with that correlation."""
    shift: Int[Tensor, "q 2"]
    """The shift (s, t) of the map at that correlation."""
    certified: Bool[Tensor, " q"]
    """Whether no other map can have a larger correlation, by its bound."""
    lines: Float[Tensor, "q 4"]
    """Share of the best correlation that remains on average along each of `LINES`."""
    nearly: Float[Tensor, " q"]
    """Share of all shifts at which the partner reaches nine tenths of the best correlation."""
    envelope: Float[Tensor, "p p"]
    """At each shift the mean over maps of the best candidate's correlation."""


def spectra(maps: Float[Tensor, "n p p"]) -> Spectra:
    """Compute coefficients of centered maps, scaled so that products of two are correlations.

    A constant map has no correlation with any other: its coefficients are 0.

    Raises:
        UserError: the grids are not square with an odd side.
    """
    p = maps.shape[-1]
    if maps.ndim != 3 or maps.shape[1] != p or p % 2 == 0:
        raise UserError(f"maps have shape {tuple(maps.shape)}; need [n, p, p] with p odd")
    F = torch.fft.rfft2(maps)
    F[:, 0, 0] = 0.0
    # Each column except the first represents its conjugate too.
    F[:, :, 1:] *= math.sqrt(2.0)
    length = torch.linalg.vector_norm(_real(F), dim=1)
    spread = maps.abs().amax(dim=(1, 2)) * p * _ROUNDING
    return F * torch.where(length > spread, 1.0 / length, 0.0)[:, None, None]


def maps_of(F: Spectra) -> Float[Tensor, "n p p"]:
    """Compute the maps of `spectra`, with mean zero and norm one."""
    p = F.shape[1]
    F = F.clone()
    F[:, :, 1:] /= math.sqrt(2.0)
    return torch.fft.irfft2(F, s=(p, p)) * p


def correlations(A: Spectra, B: Spectra) -> Float[Tensor, "q n"]:
    """Compute Pearson's correlation over the grid of every map of `A` with every map of `B`."""
    return _real(A) @ _real(B).T


def bounds(A: Spectra, B: Spectra) -> Float[Tensor, "q n"]:
    """Bound correlations over all shifts: the best of the sum's part plus Σ |F||G| of the rest."""
    h = A.shape[2]
    rest = [magnitudes(each) for each in (A, B)]
    for each in rest:
        each[:, range(1, h), range(1, h)] = 0.0
    of_b = sum_coefficients(B)
    of_sum = torch.stack([profile_surfaces(a, of_b).amax(dim=1) for a in sum_coefficients(A)])
    return of_sum + rest[0].flatten(1) @ rest[1].flatten(1).T


def magnitudes(F: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Compute |F|, about ten times as fast as `abs`, which guards against numbers beyond 1e19."""
    return (F.real.square() + F.imag.square()).sqrt_()


def sum_coefficients(F: Spectra) -> Complex[Tensor, "n f"]:
    """Select coefficients of the part that depends on a + b alone, frequencies 1 … (p − 1) / 2."""
    k = torch.arange(1, F.shape[2])
    return F[:, k, k]


def profile_surfaces(a: Complex[Tensor, "*n f"], b: Complex[Tensor, "n f"]) -> Float[Tensor, "n p"]:
    """Compute the correlation of the sums' parts, the first shifted by 0 … p − 1 in a + b."""
    f = b.shape[1]
    p = 2 * f + 1
    angles = torch.outer(torch.arange(1, f + 1), torch.arange(p)) % p * (2.0 * math.pi / p)
    waves = torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1)
    return torch.view_as_real(a.conj() * b).flatten(1) @ waves


def translated(A: Spectra, shifts: Int[Tensor, "n 2"]) -> Spectra:
    """Translate each map by its shift (s, t)."""
    p, h = A.shape[1:]
    # Integers modulo p first: angles are then as exact as single precision allows.
    turns = shifts[:, :1, None] * torch.arange(p)[None, :, None]
    turns = (turns + shifts[:, 1:, None] * torch.arange(h)[None, None, :]) % p
    circle = 2.0 * math.pi * torch.arange(p, dtype=torch.float64) / p
    return A * torch.complex(circle.cos(), -circle.sin()).to(A.dtype)[turns]


def surfaces(A: Spectra, B: Spectra) -> Float[Tensor, "n p p"]:
    """Compute the correlation of each map, translated by each (s, t), with its counterpart."""
    p = A.shape[1]
    products = A.conj() * B
    products[:, :, 1:] *= 0.5
    return torch.fft.irfft2(products, s=(p, p), norm="forward")


def search(A: Spectra, B: Spectra, candidates: int) -> SearchResult:
    """Find the best partner of each map of `A` in `B` over all shifts.

    Only the `candidates` maps with the largest bounds are evaluated, each at all p² shifts. If the
    best is not below the bound of the next one, it is the maximum; otherwise it is a lower bound.

    Args:
        A: spectra of q maps.
        B: spectra of n maps.
        candidates: number of maps of `B` to evaluate for each of `A`.
    """
    n, p = B.shape[:2]
    candidates = min(candidates, n)
    highest, order = bounds(A, B).sort(dim=1, descending=True, stable=True)
    left_out = highest[:, candidates] if candidates < n else torch.full((len(A),), -1.0)
    each = max(1, _AT_ONCE // candidates)
    parts = []
    for queries, chosen in zip(A.split(each), order[:, :candidates].split(each), strict=True):
        again = queries.repeat_interleave(candidates, dim=0)
        surface = surfaces(again, B[chosen.flatten()]).unflatten(0, (-1, candidates))
        parts.append(_best_of(surface, chosen))
    best, partner, shift, lines, nearly = (
        torch.cat([part[i] for part in parts]) for i in range(len(parts[0]) - 1)
    )
    envelope = torch.stack([part[-1] for part in parts]).sum(dim=0) / len(A)
    certified = best >= left_out - _ROUNDING
    return SearchResult(best, partner, shift, certified, lines, nearly, envelope.reshape(p, p))


def best_common_shift(
    A: Spectra, B: Spectra, envelope: Float[Tensor, "p p"], tries: int
) -> tuple[float, tuple[int, int]]:
    """Find one shift of all maps of `A` that maximizes the mean correlation with best partners.

    The identity and the `tries` shifts with the highest `envelope` of `search` are evaluated, each
    with all maps of `B`.

    Returns:
        Mean over `A` of the best correlation, and the shift.
    """
    p = A.shape[1]
    highest = envelope.flatten().sort(descending=True, stable=True).indices[:tries]
    shifts = [(0, 0), *((int(i) // p, int(i) % p) for i in highest)]
    values = []
    for shift in shifts:
        there = translated(A, torch.tensor([shift]).expand(len(A), 2))
        values.append(correlations(there, B).amax(dim=1).double().mean().item())
    at = max(range(len(shifts)), key=values.__getitem__)
    return values[at], shifts[at]


def sum_coverage(F: Spectra) -> float:
    """Measure how evenly the maps' preferred sums cover all p sums.

    A map's preferred sum maximizes its part that depends on a + b alone. The result is exp of the
    entropy of these sums, over p: 1 if each sum occurs equally often.
    """
    profiles = profile_surfaces(torch.ones_like(sum_coefficients(F[:1])), sum_coefficients(F))
    counts = torch.bincount(profiles.argmax(dim=1), minlength=F.shape[1]).double()
    shares = counts[counts > 0] / counts.sum()
    return ((-shares * shares.log()).sum().exp() / F.shape[1]).item()


def phase_scrambled(B: Spectra, generator: Generator) -> Spectra:
    """Randomize the phases of each map independently, keeping the power at each frequency."""
    n, p, h = B.shape
    angles = 2.0 * math.pi * torch.rand(n, p, h, generator=generator)
    # The first column holds both conjugates of a pair, which a real map requires.
    angles[:, h:, 0] = -angles[:, 1:h, 0].flip(1)
    return torch.polar(magnitudes(B), angles)


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
