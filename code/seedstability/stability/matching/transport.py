"""Entropic optimal transport between two dictionaries, instead of a one-to-one assignment.

With uniform masses on n_A and n_B latents, a plan P ≥ 0 has row sums 1/n_A and column sums 1/n_B.
Of all plans

    P = argmin Σ_ij P_ij (1 − S_ij) − ε H(P),      H(P) = −Σ_ij P_ij (log P_ij − 1),

has the form exp((f_i + g_j − 1 + S_ij) / ε); Sinkhorn's iterations find f and g (Cuturi, 1306.0895;
Peyré and Cuturi, 1803.00567, section 4). As ε falls to 0 and n_A = n_B, n P becomes the assignment.
The assignment maximizes Σ P S over all plans (Birkhoff), so the transported cosine of any plan is
at most the matched one. A mixture of partners, however, may be nearer to a latent than any partner.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from seedstability.errors import UserError

_ITERATIONS_PER_CHECK = 20
"""Iterations between checks of convergence, at which potentials are absorbed into the kernel."""


class Plan(NamedTuple):
    """A transport plan from the latents of A to those of B."""

    plan: Float[ndarray, "n_a n_b"]
    """Transported masses, which sum to one."""
    error: float
    """Summed absolute error of the row sums; column sums are exact."""
    iterations: int
    """Number of Sinkhorn iterations."""


def sinkhorn(
    S: Float[ndarray, "n_a n_b"],
    epsilon: float,
    tolerance: float = 1e-4,
    max_iterations: int = 2000,
) -> Plan:
    """Entropic transport plan between uniform masses, for cosines `S`.

    Sinkhorn iterations in the stabilized form (Schmitzer, 1610.06519): potentials are repeatedly
    absorbed into the kernel's exponent, so that it does not underflow. ε is halved from 1 down.

    Raises:
        UserError: for an ε that is not positive, or cosines that are not finite.
    """
    S = np.asarray(S, dtype=float)
    if S.ndim != 2 or not np.isfinite(S).all():
        raise UserError(f"cosines have shape {S.shape}; transport needs a matrix of finite numbers")
    if not epsilon > 0:
        raise UserError(f"epsilon is {epsilon}; it must be above 0")
    of_a, of_b = (np.full(n, 1.0 / n) for n in S.shape)
    f, g = np.zeros(len(of_a)), np.zeros(len(of_b))
    iterations, error = 0, np.inf
    for step in _annealing_schedule(epsilon):
        limit = max_iterations if step == epsilon else 2 * _ITERATIONS_PER_CHECK
        done, error = 0, np.inf
        while done < limit and error > tolerance:
            f, g, error = _iterate(S, f, g, step, of_a, of_b)
            done += _ITERATIONS_PER_CHECK
        iterations += done
    return Plan(_kernel(S, f, g, epsilon), error, iterations)


def transported_cosine(plan: Float[ndarray, "n_a n_b"], S: Float[ndarray, "n_a n_b"]) -> float:
    """Mean transported cosine Σ P S / Σ P."""
    return float((plan * S).sum() / plan.sum())


def barycentric_cosine(
    plan: Float[ndarray, "n_a n_b"], A: Float[ndarray, "n_a d"], B: Float[ndarray, "n_b d"]
) -> float:
    """Mean cosine of each row of `A` with its barycenter: `B`'s rows weighted by the plan.

    Args:
        plan: transport plan between the two.
        A, B: rows of length 1.
    """
    made = (plan / plan.sum(axis=1, keepdims=True)) @ B
    length = np.linalg.norm(made, axis=1)
    return float(np.mean((made * A).sum(axis=1) / np.where(length > 0, length, 1.0)))


def effective_partners(plan: Float[ndarray, "n_a n_b"]) -> float:
    """Mean effective number of partners of a latent: 1 / Σ_j q_ij² with q_ij its mass shares."""
    shares = plan / plan.sum(axis=1, keepdims=True)
    return float((1.0 / np.square(shares).sum(axis=1)).mean())


def _annealing_schedule(epsilon: float) -> list[float]:
    """Values from 1 down to ε, each half of the last: potentials of one warm-start the next."""
    steps = []
    step = 1.0
    while step > 1.5 * epsilon:
        steps.append(step)
        step /= 2
    return [*steps, epsilon]


def _iterate(
    S: ndarray, f: ndarray, g: ndarray, epsilon: float, of_a: ndarray, of_b: ndarray
) -> tuple[ndarray, ndarray, float]:
    """Run `_ITERATIONS_PER_CHECK` iterations; return new potentials and the error of row sums."""
    # One exact log-domain iteration first: after it no row or column of the kernel can underflow.
    f = epsilon * (np.log(of_a) - _log_sum(_exponent(S, 0.0 * f, g, epsilon), axis=1))
    g = epsilon * (np.log(of_b) - _log_sum(_exponent(S, f, 0.0 * g, epsilon), axis=0))
    kernel = _kernel(S, f, g, epsilon)
    u, v = np.ones(len(f)), np.ones(len(g))
    for _ in range(_ITERATIONS_PER_CHECK):
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
