"""One-to-one matching of the latents of two dictionaries: the exact optimal assignment.

The assignment maximizes the total signed cosine (definitions: `matched_cosine`, `shared`,
`agreeing`). It is exact at any size: small problems go to SciPy's `linear_sum_assignment`, larger
ones, whose cosines would not fit into memory, to `certified`. In both cases dual prices u, v with
S_ij ≤ u_i + v_j for all pairs certify it: no assignment has a total above Σ u + Σ v.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.stability.cosine import cosines, normalized_pair
from seedstability.stability.matching.prices import dual_prices
from seedstability.terminal import progress_bar

_SMALL = 2048 * 2048
"""Number of cosines up to which SciPy is as fast as `certified`."""


class Prices(NamedTuple):
    """Dual prices that certify an assignment: S_ij ≤ u_i + v_j for every pair."""

    of_a: Float[Tensor, " n_a"]
    """u, in double precision."""
    of_b: Float[Tensor, " n_b"]
    """v."""


class Matching(NamedTuple):
    """One-to-one assignment of A's latents to B's; all of the smaller side are matched."""

    partner: Int[Tensor, " n_a"]
    """Row of B matched with each row of A; −1 for an unmatched row."""
    cosine: Float[Tensor, " n_a"]
    """Signed cosine with the partner; NaN for an unmatched row."""
    total: float
    """The maximized sum of cosines."""
    bound: float = float("nan")
    """No assignment of these unit rows exceeds `total` by more; NaN without a certificate."""
    prices: Prices | None = None
    """Dual prices; `None` without a certificate."""
    passes: float = 0.0
    """Passes over all products; 0 if SciPy solved it."""

    @property
    def matched_cosines(self) -> Float[Tensor, " matched"]:
        """Cosines of the latents that have a partner."""
        return self.cosine[self.partner >= 0]


class Agreement(NamedTuple):
    """Agreement of separate decoder and encoder assignments on each latent of A."""

    shared: Bool[Tensor, " n_a"]
    """Same partner, and both cosines above the threshold (Paulo & Belrose, 2501.16615)."""
    shared_decoder_only: Bool[Tensor, " n_a"]
    """Decoder cosine of the assigned pair above the threshold; encoders are not used."""
    agreeing: Bool[Tensor, " n_a"]
    """Same partner at any cosine."""


def match(
    A: Float[Tensor, "n_a d"],
    B: Float[Tensor, "n_b d"],
    certify: bool = True,
    cores: int | None = None,
) -> Matching:
    """Match the rows of `A` one-to-one to rows of `B`, maximizing the total cosine.

    Rows of zeros have cosine 0 with all and are matched like others. Among equal rows, the choice
    of partner is arbitrary. Row lengths do not matter. 1,024 unrelated latents take about 30 ms;
    for 131,072 see `benchmarks/`. The n × n cosines are never held: beyond a few thousand latents,
    memory is that of A and B in single precision, half of that again if products are taken in
    bfloat16, and about 5 kB per latent. On a terminal, a progress bar is shown.

    Args:
        A, B: one latent per row; products are taken on their device.
        certify: return the bound and the dual prices. Only small problems take longer with it.
        cores: threads for large problems, by default as many as torch uses.

    Raises:
        UserError: when one is not a dictionary, or their widths differ.
    """
    if len(A) * len(B) <= _SMALL:
        return match_cosines(cosines(A, B), certify)
    # Not at the top: importing numba is slow.
    from seedstability.stability.matching.certified import best_assignment

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
    """As `match`, from cosines already computed."""
    # The solver works in double precision anyway.
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
    """Add dual prices, and the bound that they prove over all pairs."""
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
    """Agreement of the decoder and the encoder assignment of a pair of dictionaries.

    Raises:
        UserError: when the assignments have different numbers of latents.
    """
    if decoders.partner.shape != encoders.partner.shape:
        raise UserError(
            f"{len(decoders.partner)} decoder rows were matched but {len(encoders.partner)} "
            "encoder rows; both must be of the same dictionaries, one row per latent"
        )
    agreeing = (decoders.partner == encoders.partner) & (decoders.partner >= 0)
    # Comparisons with NaN are false: a latent without a partner is not shared.
    close = decoders.cosine > threshold
    return Agreement(agreeing & close & (encoders.cosine > threshold), close, agreeing)
