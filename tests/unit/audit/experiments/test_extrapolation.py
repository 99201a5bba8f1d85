"""Stability on more tokens is predicted from two smaller numbers of them, and held against it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from audit.experiments.tokens import experiment as tokens
from audit.experiments.tokens.extrapolation import extrapolation, line, log_odds

AT = np.array([32.0, 128.0])


def test_a_line_goes_on_in_the_logarithm_of_the_tokens():
    assert line(AT, np.array([0.1, 0.3]), 512) == pytest.approx(0.5)
    assert line(AT, np.array([0.1, 0.3]), 256) == pytest.approx(0.4)


def test_log_odds_stay_below_one_and_agree_with_the_line_at_both_points():
    found = np.array([0.4, 0.8])
    assert [log_odds(AT, found, at) for at in AT] == pytest.approx(found)
    assert line(AT, found, 10**6) > 1 > log_odds(AT, found, 10**6) > 0.99
    assert math.isfinite(log_odds(AT, np.array([-0.01, 0.2]), 512))


def arm(kappa, seeds=5, gauge=0.2, wobble=0.0):
    """Results of an arm whose pairs have one κ against the gauge level, seed 0 more by `wobble`."""
    pairs = np.array([(i, j) for i in range(seeds) for j in range(i + 1, seeds)])
    values = kappa + wobble * (pairs == 0).any(axis=1)
    cosine = (gauge + values * (1 - gauge))[:, None] * np.ones(8)
    partner = np.tile(np.arange(8), (len(pairs), 1))
    found = {"cosine": cosine, "partner": partner}
    level = {"cosine": np.full((1, 8), gauge), "partner": partner[:1]}
    return {
        "evaluation": {},
        "partners": {
            "seeds": np.arange(seeds),
            "pairs": pairs,
            "chance_pairs": pairs[:1],
            "live": {"trained": found, "gauge": level},
        },
    }


SETTINGS = replace(tokens.paper, base=replace(tokens.paper.base, tokens=128))
SWEEP = {"8": arm(0.0), "32": arm(0.1), "128": arm(0.3), "512": arm(0.45), "2048": arm(0.7, 3)}


def test_points_up_to_the_base_predict_those_above_and_the_error_is_prediction_minus_measurement():
    found = extrapolation(SETTINGS, SWEEP)
    assert (found["fitted_from"], found["fitted_to"]) == (32, 128)
    first, second = found["beyond0"], found["beyond1"]
    assert (first["at"], second["at"]) == (512, 2048)
    assert first["measured"].value == pytest.approx(0.45)
    assert first["line"]["predicted"].value == pytest.approx(0.5)
    assert first["line"]["error"].value == pytest.approx(0.05)
    assert second["line"]["error"].value == pytest.approx(0.7 - 0.7, abs=1e-9)
    expected = log_odds(AT, np.array([0.1, 0.3]), 2048)
    assert second["log_odds"]["error"].value == pytest.approx(expected - 0.7, abs=1e-6)


def test_seeds_are_those_that_all_three_arms_have_and_give_the_interval():
    few = extrapolation(SETTINGS, SWEEP)["beyond1"]
    assert few["seeds"] == 3
    assert few["measured"].interval.startswith("range")
    uneven = SWEEP | {"512": arm(0.45, wobble=0.1)}
    wide = extrapolation(SETTINGS, uneven)["beyond0"]["line"]["error"]
    assert wide.low < wide.value < wide.high
