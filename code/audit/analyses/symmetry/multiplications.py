"""Functions on the grid Z_p × Z_p, p prime, compared up to translation and multiplication.

Multiplying both summands by a unit u of Z_p is a symmetry of addition too: it exchanges
frequencies. A map f(ua, ub) has the coefficients F(k/u, l/u).
"""

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from audit.analyses.symmetry.translations import (
    Found,
    Spectra,
    of_the_sum,
    profile_surfaces,
    sizes,
    surfaces,
)


def stretched(A: Spectra, units: Int[Tensor, " n"]) -> Spectra:
    """Each map with both arguments multiplied by a unit of its own."""
    n, p, h = A.shape
    inverse = _inverses(p)[units]
    k = inverse[:, None, None] * torch.arange(p)[None, :, None] % p
    column = inverse[:, None, None] * torch.arange(h)[None, None, :] % p
    # The half that is not stored is the conjugate of the one that is.
    stored = column < h
    row, column = torch.where(stored, k, -k % p), torch.where(stored, column, p - column)
    turned = A[torch.arange(n)[:, None, None], row, column]
    return torch.where(stored, turned, turned.conj())


def search_units(A: Spectra, B: Spectra, found: Found, candidates: int) -> Float[Tensor, " q"]:
    """Largest correlation of each map of `A` in `B` over translations and multiplications.

    A lower bound of it. Of all units and partners the `candidates` with the largest bounds, from
    the sum's part and the length of the rest, are looked at over all shifts of the sum, with either
    sign of the unit; the best of them over all p² shifts. What `found` has is kept if it is more.

    Args:
        A, B: spectra of q and of n maps; p is prime.
        found: of the search over translations alone.
        candidates: units and partners to look at for each map.
    """
    p, n = A.shape[1], len(B)
    of_a, of_b = of_the_sum(A), of_the_sum(B)
    classes = torch.arange(1, of_a.shape[1] + 1)
    chosen = _largest_bounds(of_a, of_b, candidates)
    best = []
    for i, places in enumerate(chosen):
        partners = (places % n).repeat(2)
        units = classes[places // n]
        units = torch.cat([units, p - units])
        again = A[i : i + 1].expand(len(units), -1, -1)
        profile = _of_the_sum_stretched(of_a[i], units, p)
        at = int(profile_surfaces(profile, of_b[partners]).amax(dim=1).argmax())
        there = stretched(again[:1], units[at : at + 1])
        best.append(surfaces(there, B[partners[at : at + 1]]).max())
    return torch.maximum(torch.stack(best), found.best)


def _largest_bounds(
    of_a: Complex[Tensor, "q f"], of_b: Complex[Tensor, "n f"], candidates: int
) -> Int[Tensor, "q c"]:
    """Places, unit times n plus partner, of the largest bounds; units up to their sign."""
    size_a, size_b = sizes(of_a), sizes(of_b)
    rest_a, rest_b = ((1.0 - size.square().sum(dim=1)).relu().sqrt() for size in (size_a, size_b))
    f = size_a.shape[1]
    k = torch.arange(1, f + 1)
    turned = _inverses(2 * f + 1)[k][:, None] * k[None, :] % (2 * f + 1)
    # A coefficient and its twin have the same size.
    at = torch.minimum(turned, 2 * f + 1 - turned) - 1
    bound = size_a[:, at] @ size_b.T + rest_a[:, None, None] * rest_b
    flat = bound.flatten(1)
    return flat.topk(min(candidates, flat.shape[1]), dim=1).indices


def _of_the_sum_stretched(
    a: Complex[Tensor, " f"], units: Int[Tensor, " c"], p: int
) -> Complex[Tensor, "c f"]:
    f = len(a)
    k = _inverses(p)[units][:, None] * torch.arange(1, f + 1)[None, :] % p
    stored = k <= f
    turned = a[torch.where(stored, k, p - k) - 1]
    return torch.where(stored, turned, turned.conj())


def _inverses(p: int) -> Int[Tensor, " p"]:
    """1/u modulo p at place u, by Fermat; 0 at 0."""
    return torch.tensor([pow(u, p - 2, p) for u in range(p)])
