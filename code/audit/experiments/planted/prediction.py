"""Predicting p̂ of a latent from its unit: a fitted logistic law, and one without a fit."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import optimize, special

from audit.experiments.planted.experiment import THRESHOLD
from audit.experiments.planted.recurrence import PlantedArm

_PENALTY = 1e-5


class OwnedLatents(NamedTuple):
    """Latents that belong to a unit, with properties of the unit and p̂."""

    frequency: Float[ndarray, " N"]
    """Share of samples in which the unit is active."""
    rank: Float[ndarray, " N"]
    """Dimensions of the unit."""
    p: Float[ndarray, " N"]
    """p̂."""
    expected: Float[ndarray, " N"]
    """p̂ by the covering law, from the number of latents of the unit in other seeds."""


class Logistic(NamedTuple):
    """A law logit p = b · (1, log₁₀ frequency, log₂ rank)."""

    coefficients: Float[ndarray, "3"]
    """b."""

    def predict(self, owned_latents: OwnedLatents) -> Float[ndarray, " N"]:
        """Predict p for each latent."""
        return special.expit(_design(owned_latents) @ self.coefficients)


def owned_latents(arms: list[PlantedArm], seeds: ndarray) -> OwnedLatents:
    """Collect the owned latents of some seeds of several arms."""
    columns = []
    for arm in arms:
        at = arm.at(seeds)
        owner = arm.result["owner"][at]
        owned = owner >= 0
        columns.append(
            (
                arm.result["frequency"][owner[owned]],
                arm.result["rank"][owner[owned]].astype(float),
                arm.each("best", at, THRESHOLD)[owned],
                arm.each("expected", at)[owned],
            )
        )
    return OwnedLatents(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def fit_logistic(given: OwnedLatents) -> Logistic:
    """Fit the logistic law by maximum likelihood, with equal weight for each latent.

    Recurrence enters by its rate p̂: −Σ p̂ log p + (1 − p̂) log (1 − p). A penalty on the squared
    coefficients keeps them finite if every latent recurs, and is negligible otherwise.
    """
    design, p = _design(given), given.p

    def loss(b: ndarray) -> tuple[float, ndarray]:
        score = design @ b
        # log(1 + e^score) − p · score is the cross entropy, stable for large scores.
        value = np.logaddexp(0.0, score) - p * score
        slope = design.T @ (special.expit(score) - p) / len(p) + 2 * _PENALTY * b
        return float(value.mean() + _PENALTY * b @ b), slope

    found = optimize.minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B")
    return Logistic(found.x)


def mean_squared_error(predicted: ndarray | float, given: OwnedLatents) -> float:
    """Mean squared error of p̂."""
    return float(np.mean((given.p - predicted) ** 2))


def _design(given: OwnedLatents) -> Float[ndarray, "N 3"]:
    return np.stack([np.ones_like(given.p), np.log10(given.frequency), np.log2(given.rank)], axis=1)
