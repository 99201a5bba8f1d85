"""Power of few seeds: worked examples, and simulated."""

import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from seedstability.stability import statistics
from seedstability.stability.statistics.power import minimum_detectable_effect


def rng(seed=0):
    return np.random.default_rng(seed)


def test_minimum_detectable_effects_of_five_and_twenty_seeds():
    # definitions.md §3: 1.7 and 2.0 sd, 0.67 and 0.91 (paired at twenty: 0.660 by noncentral t).
    assert minimum_detectable_effect(1.0, 5, paired=True) == pytest.approx(1.7, abs=0.03)
    assert minimum_detectable_effect(1.0, 5, paired=False) == pytest.approx(2.0, abs=0.03)
    assert minimum_detectable_effect(1.0, 20, paired=True) == pytest.approx(0.67, abs=0.011)
    assert minimum_detectable_effect(1.0, 20, paired=False) == pytest.approx(0.91, abs=0.005)
    assert minimum_detectable_effect(0.01, 5, paired=True) == pytest.approx(0.0168, abs=0.0001)
    assert minimum_detectable_effect(0.0, 5, paired=True) == 0.0


@pytest.mark.parametrize("paired", [True, False])
def test_minimum_detectable_effect_has_80_percent_power(paired):
    generator, seeds = rng(5), 6
    difference = minimum_detectable_effect(1.0, seeds, paired)
    first = generator.normal(difference, size=(4000, seeds))
    second = np.zeros((4000, seeds)) if paired else generator.normal(size=(4000, seeds))
    test = stats.ttest_rel if paired else stats.ttest_ind
    seen = np.mean(test(first, second, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.02)


def test_invalid_designs_are_refused():
    for bad in ({"seeds": 1}, {"power": 0.01}, {"power": 1.0}, {"alpha": 0.0}, {"sd": -1.0}):
        settings = {"sd": 1.0, "seeds": 5, "paired": True} | bad
        with pytest.raises(ValueError, match="at least 2 seeds"):
            minimum_detectable_effect(**settings)


def test_statistics_need_no_torch():
    names = [module.name for module in pkgutil.iter_modules(statistics.__path__)]
    assert len(names) > 5
    modules = ", ".join(f"{statistics.__name__}.{name}" for name in names)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
