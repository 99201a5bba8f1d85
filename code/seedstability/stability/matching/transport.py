"""Entropic optimal transport between two dictionaries, instead of a one-to-one assignment.

With uniform masses on n_A and n_B latents, a plan P ≥ 0 has row sums 1/n_A and column sums 1/n_B.
Of all plans

    P = argmin Σ_ij P_ij (1 − S_ij) − ε H(P),      H(P) = −Σ_ij P_ij (log P_ij − 1),

has the form exp((f_i + g_j − 1 + S_ij) / ε); Sinkhorn's iterations find f and g (Cuturi, 1306.0895;
Peyré and Cuturi, 1803.00567, section 4). As ε falls to 0 and n_A = n_B, n P becomes the assignment.
Since that one maximises Σ P S over all plans (Birkhoff), the transported cosine of any plan is
below the matched one; a mixture of partners, in contrast, may lie nearer to a latent than any.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from seedstability.errors import UserError

_ROUNDS_BETWEEN_LOOKS = 20
"""The plan is looked at, and numbers are brought back to size, after so many rounds."""


class Plan(NamedTuple):
    """How the latents of A are sent to those of B."""

    plan: Float[ndarray, "n_a n_b"]
    """Masses; all of them together are one."""
    error: float
    """Summed deviation of the row sums from what they should be; columns are exact."""
    rounds: int
    """Rounds that it took."""


def sinkhorn(
    S: Float[ndarray, "n_a n_b"],
    epsilon: float,
    tolerance: float = 1e-4,
    most_rounds: int = 2000,
) -> Plan:
    """The entropic plan between uniform masses, for cosines `S`.

    Rounds are products with a kernel whose potentials are taken up into its exponent again and
    again (Schmitzer, 1610.06519), so that no ε makes it vanish; ε itself is halved from 1 down.

    Raises:
        UserError: for an ε that is not positive, or cosines that are not finite.
    """
    S = np.asarray(S, dtype=float)
    if S.ndim != 2 or not np.isfinite(S).all():
        raise UserError("cosines are no matrix of finite numbers; nothing can be transported")
    if not epsilon > 0:
        raise UserError(f"epsilon is {epsilon}; it must be above 0")
    of_a, of_b = (np.full(n, 1.0 / n) for n in S.shape)
    f, g = np.zeros(len(of_a)), np.zeros(len(of_b))
    rounds, error = 0, np.inf
    for now in _falling(epsilon):
        last = now == epsilon
        done, error = 0, np.inf
        while done < (most_rounds if last else 2 * _ROUNDS_BETWEEN_LOOKS) and error > tolerance:
            f, g, error = _rounds(S, f, g, now, of_a, of_b)
            done += _ROUNDS_BETWEEN_LOOKS
        rounds += done
    return Plan(_kernel(S, f, g, epsilon), error, rounds)


def transported_cosine(plan: Float[ndarray, "n_a n_b"], S: Float[ndarray, "n_a n_b"]) -> float:
    """Σ P S / Σ P: cosine of a latent with the one that its mass is sent to, in the mean."""
    return float((plan * S).sum() / plan.sum())


def barycentric_cosine(
    plan: Float[ndarray, "n_a n_b"], A: Float[ndarray, "n_a d"], B: Float[ndarray, "n_b d"]
) -> float:
    """Mean cosine of each row of `A` with the mean of `B`'s rows, weighed as its mass is sent.

    Args:
        plan: between the two.
        A, B: rows of length one.
    """
    made = (plan / plan.sum(axis=1, keepdims=True)) @ B
    length = np.linalg.norm(made, axis=1)
    return float(np.mean((made * A).sum(axis=1) / np.where(length > 0, length, 1.0)))


def effective_partners(plan: Float[ndarray, "n_a n_b"]) -> float:
    """In how many parts the mass of a latent goes out, in the mean: 1 / Σ_j q_ij², q its shares."""
    shares = plan / plan.sum(axis=1, keepdims=True)
    return float((1.0 / np.square(shares).sum(axis=1)).mean())


def _falling(epsilon: float) -> list[float]:
    """From 1 down to ε by halves: potentials found at one are near those of the next."""
    steps = []
    now = 1.0
    while now > 1.5 * epsilon:
        steps.append(now)
        now /= 2
    return [*steps, epsilon]


def _rounds(
    S: ndarray, f: ndarray, g: ndarray, epsilon: float, of_a: ndarray, of_b: ndarray
) -> tuple[ndarray, ndarray, float]:
    """Some rounds from potentials, the new ones, and how far the rows are off after them."""
    # One exact round in logarithms first: after it no row or column of the kernel can vanish.
    f = epsilon * (np.log(of_a) - _log_sum(_exponent(S, 0.0 * f, g, epsilon), axis=1))
    g = epsilon * (np.log(of_b) - _log_sum(_exponent(S, f, 0.0 * g, epsilon), axis=0))
    kernel = _kernel(S, f, g, epsilon)
    u, v = np.ones(len(f)), np.ones(len(g))
    for _ in range(_ROUNDS_BETWEEN_LOOKS):
        u = of_a / (kernel @ v)
        v = of_b / (kernel.T @ u)
    error = float(np.abs(u * (kernel @ v) - of_a).sum())
    return f + epsilon * np.log(u), g + epsilon * np.log(v), error


def _exponent(S: ndarray, f: ndarray, g: ndarray, epsilon: float) -> ndarray:
    return (f[:, None] + g[None, :] - 1.0 + S) / epsilon


def _kernel(S: ndarray, f: ndarray, g: ndarray, epsilon: float) -> Float[ndarray, "n_a n_b"]:
    return np.exp(_exponent(S, f, g, epsilon))


def _log_sum(values: ndarray, axis: int) -> ndarray:
    highest = values.max(axis=axis, keepdims=True)
    return np.squeeze(highest, axis) + np.log(np.exp(values - highest).sum(axis=axis))
