import numpy as np
import pytest

from audit.experiments.common.arm_results import of_seeds

SEEDS = (42, 7, 9, 1)


def arm() -> dict:
    pairs = np.add.outer(10.0 * np.array(SEEDS), np.array(SEEDS))
    each = np.array(SEEDS, float)
    return {
        "evaluation": {
            "train": {"mse": each},
            "heldout": {"mse": each, "firing_rate": each[:, None]},
            "live": each[:, None] > 5,
            "seeds": np.array(SEEDS),
        },
        "comparison": {
            "full": {"max_cosine": pairs},
            "gauge": {"max_cosine": pairs},
            "isotropic": {"max_cosine": 0.1},
            "p_gauge": {"max_cosine": 0.5},
            "rank": {"span": 3.0},
            "cosine_with_start": each,
            "reproducibility": each[:, None],
            "seeds": np.array(SEEDS),
        },
    }


def test_seeds_are_taken_by_value_in_the_arms_own_order():
    found = of_seeds(arm(), (1, 42))
    assert found["comparison"]["seeds"].tolist() == [42, 1]
    assert found["comparison"]["full"]["max_cosine"].tolist() == [[462, 421], [52, 11]]
    assert found["comparison"]["cosine_with_start"].tolist() == [42, 1]
    assert found["evaluation"]["heldout"]["mse"].tolist() == [42, 1]
    assert found["evaluation"]["live"].tolist() == [[True], [False]]


def test_levels_of_all_pairs_stay_as_they_are():
    found = of_seeds(arm(), (1, 42))["comparison"]
    assert found["isotropic"] == {"max_cosine": 0.1}
    assert found["rank"] == {"span": 3.0}
    assert found["p_gauge"] == {"max_cosine": 0.5}


def test_a_seed_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"\[3\] are not among \[42, 7, 9, 1\]"):
        of_seeds(arm(), (42, 3))
