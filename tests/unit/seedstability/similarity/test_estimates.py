"""One estimate of each similarity."""

import numpy as np
import pytest

from seedstability.similarity.estimates import (
    compared_seeds,
    estimate_similarity,
    estimate_statistic,
)
from seedstability.stability.statistics.jackknife import jackknife, jackknife_kappa


def table(n_seeds: int, value: float, seed: int = 0) -> np.ndarray:
    """Symmetric values near `value`, NaN on the diagonal."""
    noise = np.random.default_rng(seed).normal(0, 0.01, (n_seeds, n_seeds))
    values = value + (noise + noise.T) / 2
    np.fill_diagonal(values, np.nan)
    return values


def without(values: np.ndarray, seed: int) -> np.ndarray:
    values = values.copy()
    values[seed] = values[:, seed] = np.nan
    return values


def test_value_levels_and_kappa_are_those_of_the_jackknife():
    values, gauge = table(6, 0.5), table(6, 0.3, seed=1)
    found = estimate_similarity(values, {"untrained": 0.9, "isotropic": 0.2, "gauge": gauge}, 0.03)
    assert found.value == jackknife(values)
    assert found.kappa == {
        "isotropic": jackknife_kappa(values, 0.2),
        "gauge": jackknife_kappa(values, gauge),
    }
    assert found.chance["untrained"].mean == 0.9
    assert found.chance["untrained"].spread == 0
    assert found.chance["gauge"].mean == np.nanmean(gauge)
    assert found.chance["gauge"].spread == np.nanmax(gauge) - np.nanmin(gauge)
    assert (found.p_gauge, found.n_seeds) == (0.03, 6)


def test_seeds_in_no_pair_are_left_out_only_where_asked():
    values, gauge = table(6, 0.5), table(6, 0.3, seed=1)
    comparison = {
        "full": {"x": values},
        "isotropic": {"x": 0.2},
        "p_gauge": {"x": 0.03},
        "live": {"x": without(values, 2)},
        "gauge_live": {"x": without(without(gauge, 2), 5)},
    }
    assert estimate_statistic(comparison, "x").p_gauge == 0.03
    with pytest.raises(ValueError, match="in no pair"):
        estimate_statistic(comparison, "x", "live")
    found = estimate_statistic(comparison, "x", "live", some_seeds=True)
    kept = np.delete(np.delete(values, 2, 0), 2, 1)
    assert compared_seeds(comparison["live"]["x"]).tolist() == [0, 1, 3, 4, 5]
    assert found.value == jackknife(kept)
    # Seed 5 has no level of its own, so that the level is one number.
    assert found.kappa["gauge"] == jackknife_kappa(kept, found.chance["gauge"].mean)
    assert found.chance["gauge"].mean == pytest.approx(np.nanmean(comparison["gauge_live"]["x"]))
    assert found.p_gauge is None
    comparison["live"]["x"] = np.full((6, 6), np.nan)
    assert estimate_statistic(comparison, "x", "live", some_seeds=True) is None
