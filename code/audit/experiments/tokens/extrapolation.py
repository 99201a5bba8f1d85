"""Stability on more tokens, predicted from fewer, and held against what was then measured.

Two laws are fitted to the two largest numbers of tokens up to the base configuration's: κ as a line
in the logarithm of the tokens, and its log-odds as such a line. The first can exceed one and the
second levels off by construction, so neither says where stability ends; they test how well a
small experiment predicts a larger one.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from audit.experiments.common.summary import scalar
from audit.experiments.tokens.contrasts import HEADLINE, with_interval_tolerance
from audit.experiments.tokens.experiment import TokensSettings
from audit.experiments.tokens.pair_tables import MeasuredArm, TokensArm
from audit.pipeline.results import Scalar
from seedstability.stability.statistics.jackknife import jackknife_statistic

_EDGE = 1e-3
"""κ is kept this far from 0 and 1 where its log-odds are taken."""


def extrapolation(config: TokensSettings, sweep: Mapping[str, TokensArm]) -> dict:
    """Predict κ of the live median for each number of tokens above the base configuration's.

    Args:
        config: the section's settings.
        sweep: arms by their distinct tokens, at equal passes.
    """
    values = sorted(map(int, sweep))
    fitted = [value for value in values if value <= config.base.tokens][-2:]
    beyond = [value for value in values if value > config.base.tokens]
    tree = {
        f"beyond{place}": _prediction(sweep, fitted, value) for place, value in enumerate(beyond)
    }
    return with_interval_tolerance(tree | {"fitted_from": fitted[0], "fitted_to": fitted[1]})


def line(at: np.ndarray, kappas: np.ndarray, wanted: float) -> float:
    """Extend a line in the logarithm through two points.

    Args:
        at: two numbers of tokens.
        kappas: κ at each.
        wanted: number of tokens at which κ is predicted.
    """
    steps = (math.log(wanted / at[0])) / math.log(at[1] / at[0])
    return float(kappas[0] + steps * (kappas[1] - kappas[0]))


def log_odds(at: np.ndarray, kappas: np.ndarray, wanted: float) -> float:
    """Extend a line through the log-odds of two points; arguments as for `line`."""
    inside = np.clip(kappas, _EDGE, 1 - _EDGE)
    return float(1 / (1 + math.exp(-line(at, np.log(inside / (1 - inside)), wanted))))


Law: TypeAlias = Callable[[np.ndarray, np.ndarray, float], float]
LAWS: dict[str, Law] = {
    "line": line,
    "log_odds": log_odds,
}


def _prediction(sweep: Mapping[str, TokensArm], fitted: list[int], value: int) -> dict:
    """Prediction, measurement and error of each law at one number of tokens.

    All are over the seeds that the three arms have in common.
    """
    seeds = sorted(set.intersection(*(set(_seeds(sweep[str(v)])) for v in (*fitted, value))))
    kappas = [_kappa(MeasuredArm(sweep[str(v)], seeds)) for v in (*fitted, value)]
    at = np.array(fitted, float)

    def measured(chosen: np.ndarray) -> float:
        return kappas[2](chosen)

    def interval(of: Callable[[np.ndarray], float]) -> Scalar:
        return scalar(jackknife_statistic(of, len(seeds), group=2), 3)

    def of_law(law: Law) -> dict[str, Scalar]:
        def predicted(chosen: np.ndarray) -> float:
            return law(at, np.array([kappas[0](chosen), kappas[1](chosen)]), value)

        def error(chosen: np.ndarray) -> float:
            return predicted(chosen) - measured(chosen)

        return {"predicted": interval(predicted), "error": interval(error)}

    return {
        "at": value,
        "seeds": len(seeds),
        "measured": interval(measured),
        **{name: of_law(law) for name, law in LAWS.items()},
    }


def _seeds(arm: TokensArm) -> list[int]:
    return arm["partners"]["seeds"].tolist()


def _kappa(arm: MeasuredArm) -> Callable[[np.ndarray], float]:
    """κ of some seeds' pairs against the gauge level of all."""
    table = arm.table(HEADLINE)
    level = float(np.nanmean(MeasuredArm(arm.found).table(HEADLINE, "gauge")))

    def kappa(chosen: np.ndarray) -> float:
        return (float(np.nanmean(table[np.ix_(chosen, chosen)])) - level) / (1 - level)

    return kappa
