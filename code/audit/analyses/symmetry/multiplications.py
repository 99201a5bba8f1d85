"""Comparison of functions on the grid Z_p × Z_p, p prime, up to translation and multiplication.

Multiplying both summands by a multiplier u, a nonzero element of Z_p, is a symmetry of addition
too: it permutes frequencies. A map f(ua, ub) has the coefficients F(k/u, l/u).
"""

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from audit.analyses.symmetry.translations import (
    SearchResult,
    Spectra,
    magnitudes,
    profile_surfaces,
    sum_coefficients,
    surfaces,
)


def multiply_arguments(A: Spectra, multipliers: Int[Tensor, " n"]) -> Spectra:
    """Multiply both arguments of each map by its multiplier."""
    n, p, h = A.shape
    inverse = _inverses(p)[multipliers]
    k = inverse[:, None, None] * torch.arange(p)[None, :, None] % p
    column = inverse[:, None, None] * torch.arange(h)[None, None, :] % p
    # The other half of the coefficients are conjugates of the stored ones.
    stored = column < h
    row, column = torch.where(stored, k, -k % p), torch.where(stored, column, p - column)
    turned = A[torch.arange(n)[:, None, None], row, column]
    return torch.where(stored, turned, turned.conj())


def search_multipliers(
    A: Spectra, B: Spectra, found: SearchResult, candidates: int
) -> Float[Tensor, " q"]:
    """Search for the largest correlation of each map of `A` in `B` over shifts and multipliers.

    The result is a lower bound of it. Of all multipliers and partners the `candidates` with the
    largest bounds, from the sum's part and the norm of the rest, are evaluated at all shifts of the
    sum, with either sign of the multiplier; the best of them at all p² shifts. The correlation of
    `found` is kept if it is larger.

    Args:
        A, B: spectra of q and of n maps; p is prime.
        found: result of the search over translations alone.
        candidates: pairs of multiplier and partner to evaluate for each map.
    """
    p, n = A.shape[1], len(B)
    of_a, of_b = sum_coefficients(A), sum_coefficients(B)
    classes = torch.arange(1, of_a.shape[1] + 1)
    chosen = _largest_bounds(of_a, of_b, candidates)
    best = []
    for i, places in enumerate(chosen):
        partners = (places % n).repeat(2)
        multipliers = classes[places // n]
        multipliers = torch.cat([multipliers, p - multipliers])
        again = A[i : i + 1].expand(len(multipliers), -1, -1)
        profile = _multiplied_sum_coefficients(of_a[i], multipliers, p)
        at = int(profile_surfaces(profile, of_b[partners]).amax(dim=1).argmax())
        there = multiply_arguments(again[:1], multipliers[at : at + 1])
        best.append(surfaces(there, B[partners[at : at + 1]]).max())
    return torch.maximum(torch.stack(best), found.best)


def _largest_bounds(
    of_a: Complex[Tensor, "q f"], of_b: Complex[Tensor, "n f"], candidates: int
) -> Int[Tensor, "q c"]:
    """Return the places of the largest bounds: multiplier, up to sign, times n plus partner."""
    size_a, size_b = magnitudes(of_a), magnitudes(of_b)
    rest_a, rest_b = ((1.0 - size.square().sum(dim=1)).relu().sqrt() for size in (size_a, size_b))
    f = size_a.shape[1]
    k = torch.arange(1, f + 1)
    turned = _inverses(2 * f + 1)[k][:, None] * k[None, :] % (2 * f + 1)
    # A coefficient and its conjugate have the same magnitude.
    at = torch.minimum(turned, 2 * f + 1 - turned) - 1
    bound = size_a[:, at] @ size_b.T + rest_a[:, None, None] * rest_b
    flat = bound.flatten(1)
    return flat.topk(min(candidates, flat.shape[1]), dim=1).indices


def _multiplied_sum_coefficients(
    a: Complex[Tensor, " f"], multipliers: Int[Tensor, " c"], p: int
) -> Complex[Tensor, "c f"]:
    f = len(a)
    k = _inverses(p)[multipliers][:, None] * torch.arange(1, f + 1)[None, :] % p
    stored = k <= f
    turned = a[torch.where(stored, k, p - k) - 1]
    return torch.where(stored, turned, turned.conj())


def _inverses(p: int) -> Int[Tensor, " p"]:
    """Return the inverses modulo p of 0 … p − 1, by Fermat's little theorem; 0 for 0."""
    return torch.tensor([pow(u, p - 2, p) for u in range(p)])
