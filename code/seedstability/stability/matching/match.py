"""Which latent of one dictionary is which of another: the best one-to-one assignment.

The assignment maximises the summed signed cosine (definitions: `matched_cosine`, `shared`,
`agreeing`). It is exact at any size: small problems go to SciPy's `linear_sum_assignment`, larger
ones, whose cosines would not fit into memory, to `certified`. Either way prices u, v with
S_ij ≤ u_i + v_j for all pairs prove it: no assignment has a total above Σ u + Σ v.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seedstability.errors import UserError
from seedstability.progress import progress_bar, report
from seedstability.stability.cosine import cosines, normalized_pair
from seedstability.stability.matching.prices import dual_prices

_SMALL = 2048 * 2048
"""Cosines up to which SciPy is as fast as what needs no matrix."""


class Prices(NamedTuple):
    """The proof of an assignment: S_ij ≤ u_i + v_j for every pair."""

    of_a: Float[Tensor, "n_a"]
    """u, in double precision."""
    of_b: Float[Tensor, "n_b"]
    """v."""


class Matching(NamedTuple):
    """The assignment of A's latents to B's; with n_A ≠ n_B the smaller side is matched whole."""

    partner: Int[Tensor, "n_a"]
    """Row of B matched with each row of A; −1 where none was left."""
    cosine: Float[Tensor, "n_a"]
    """Signed cosine with the partner; NaN where there is none."""
    total: float
    """The maximised sum of cosines."""
    bound: float = float("nan")
    """No assignment of these unit rows has a total larger by more; NaN where that was not asked."""
    prices: Prices | None = None
    """What proves it; `None` where that was not asked."""
    passes: float = 0.0
    """Passes over all products that it took; 0 where SciPy had the matrix."""

    @property
    def matched_cosines(self) -> Float[Tensor, "matched"]:
        """Cosines of the latents that have a partner."""
        return self.cosine[self.partner >= 0]


class Agreement(NamedTuple):
    """What two separate assignments, on decoders and on encoders, say of each latent of A."""

    shared: Bool[Tensor, "n_a"]
    """Same partner, and both cosines above the threshold (Paulo & Belrose, 2501.16615)."""
    shared_decoder_only: Bool[Tensor, "n_a"]
    """The decoders' assignment alone, and its cosine above the threshold."""
    agreeing: Bool[Tensor, "n_a"]
    """Same partner, whatever the cosines."""


def match(
    A: Float[Tensor, "n_a d"],
    B: Float[Tensor, "n_b d"],
    certify: bool = True,
    cores: int | None = None,
) -> Matching:
    """One-to-one assignment of the rows of `A` to those of `B` with the largest summed cosine.

    Rows of zeros have cosine 0 with all and are matched like others; of equal rows it is open
    which gets which partner. Lengths of rows do not matter. Takes some 30 ms for 1,024 unrelated
    latents; how long for 131,072, see `benchmarks/`. The n × n cosines are never held: beyond a few
    thousand latents memory is that of A and B in single precision, half of that again where
    products are taken in bfloat16, and some 5 kB a latent. On a terminal a bar shows how far it is.

    Args:
        A, B: one latent a row; on a card, products are taken there.
        certify: give the bound and the prices. Only for small problems does that cost anything.
        cores: threads for large problems, as many as torch uses if left out.

    Raises:
        UserError: when one is no dictionary, or they live in spaces of different width.
    """
    if len(A) * len(B) <= _SMALL:
        return match_cosines(cosines(A, B), certify)
    from seedstability.stability.matching.certified import best_assignment  # numba takes its time

    A, B = normalized_pair(A, B)
    with progress_bar(f"matching {len(A):,} with {len(B):,} latents"):
        found = best_assignment(A, B, cores or torch.get_num_threads(), lambda at: report(at, 1.0))
    partner = torch.from_numpy(found.columns).long()
    prices = Prices(torch.from_numpy(found.row_prices), torch.from_numpy(found.column_prices))
    cosine = torch.from_numpy(found.scores).to(A.dtype)
    total = float(np.nansum(found.scores))
    matching = Matching(partner, cosine, total, found.bound, prices, found.passes)
    return matching if certify else matching._replace(bound=float("nan"), prices=None)


def match_cosines(S: Float[Tensor, "n_a n_b"], certify: bool = False) -> Matching:
    """As `match`, from cosines already at hand."""
    # In double precision: the solver works in it anyway.
    exact = S.detach().cpu().double().numpy()
    rows, columns = linear_sum_assignment(exact, maximize=True)
    rows, columns = torch.from_numpy(rows), torch.from_numpy(columns)
    partner = torch.full((S.shape[0],), -1, dtype=torch.long)
    partner[rows] = columns
    cosine = torch.full((S.shape[0],), torch.nan, dtype=S.dtype)
    cosine[rows] = S.detach().cpu()[rows, columns]
    matching = Matching(partner, cosine, cosine[rows].sum(dtype=torch.float64).item())
    return _certified(matching, exact) if certify else matching


def _certified(matching: Matching, S: np.ndarray) -> Matching:
    """With prices, and the bound that they prove over all pairs."""
    partner = matching.partner.numpy()
    if S.shape[0] <= S.shape[1]:
        u, v = dual_prices(S, partner)
    else:
        rows = np.flatnonzero(partner >= 0)
        v, u = dual_prices(S.T, rows[np.argsort(partner[rows])])
    u += np.maximum((S - u[:, None] - v).max(axis=1), 0.0)
    prices = Prices(torch.from_numpy(u), torch.from_numpy(v))
    # float64 sums of up to a few thousand terms of size 1
    bound = max(0.0, u.sum() + v.sum() - matching.total) + 1e-12 * len(u)
    return matching._replace(bound=float(bound), prices=prices)


def agreement(decoders: Matching, encoders: Matching, threshold: float = 0.7) -> Agreement:
    """The three readings of "the same latent" from the two assignments.

    Raises:
        UserError: when the assignments are not over the same latents.
    """
    if decoders.partner.shape != encoders.partner.shape:
        raise UserError(
            f"{len(decoders.partner)} decoder rows were matched but {len(encoders.partner)} "
            "encoder rows; both must be of the same dictionaries, one row a latent"
        )
    agreeing = (decoders.partner == encoders.partner) & (decoders.partner >= 0)
    # Comparisons with NaN are false: a latent without a partner is shared with nobody.
    close = decoders.cosine > threshold
    return Agreement(agreeing & close & (encoders.cosine > threshold), close, agreeing)


def shared(
    dec_a: Float[Tensor, "n_a d"],
    dec_b: Float[Tensor, "n_b d"],
    enc_a: Float[Tensor, "n_a d"],
    enc_b: Float[Tensor, "n_b d"],
    threshold: float = 0.7,
) -> Bool[Tensor, "n_a"]:
    """Latents of A to which decoders and encoders give one partner, both cosines > `threshold`."""
    return agreement(match(dec_a, dec_b), match(enc_a, enc_b), threshold).shared


def shared_decoder_only(
    dec_a: Float[Tensor, "n_a d"], dec_b: Float[Tensor, "n_b d"], threshold: float = 0.7
) -> Bool[Tensor, "n_a"]:
    """Latents of A whose decoder's partner has a cosine > `threshold`."""
    return match(dec_a, dec_b).cosine > threshold


def agreeing(
    dec_a: Float[Tensor, "n_a d"],
    dec_b: Float[Tensor, "n_b d"],
    enc_a: Float[Tensor, "n_a d"],
    enc_b: Float[Tensor, "n_b d"],
) -> Bool[Tensor, "n_a"]:
    """Latents of A to which decoders and encoders give one partner, whatever the cosines."""
    return agreement(match(dec_a, dec_b), match(enc_a, enc_b)).agreeing
