"""Section "Pooling": differences between pooled dictionaries and baselines of equal budget."""

from dataclasses import replace

import numpy as np
import pytest

from audit.experiments.pooling import experiment as pooling
from audit.experiments.pooling.measurements import ARMS, language, planted
from audit.pipeline.graph.stage import in_order

SEEDS, N, D = 5, 8, 6
NAMES = ("max_cosine", "matched_mean", "shared")


def comparison(value, chance=0.2):
    def table(at):
        values = at + 0.01 * np.random.default_rng(0).standard_normal((SEEDS, SEEDS))
        values = 0.5 * (values + values.T)
        np.fill_diagonal(values, np.nan)
        return dict.fromkeys(NAMES, values)

    return {"full": table(value), "gauge": table(chance)}


def evaluation(variance):
    of = {
        "explained_variance": variance + 1e-3 * np.arange(SEEDS),
        "explained_variance_scalar_mean": np.full(SEEDS, variance),
        "mse": np.ones(SEEDS),
        "l0": np.full(SEEDS, 4.0),
        "dead_fraction": np.zeros(SEEDS),
    }
    return {"train": of, "heldout": of}


def recovery(share):
    return {
        "clean": 2.0,
        "zero": 8.0,
        "mean": 7.0,
        "loss": np.full(SEEDS, 2.5),
        "recovered_zero": np.full(SEEDS, share),
        "recovered_mean": share + 1e-3 * np.arange(SEEDS),
    }


POOL = {
    "votes": np.array([[4, 4, 4, 4, 2, 2, 1, 1]] * SEEDS),
    "clusters": np.full(SEEDS, 12),
    "pooled": np.full(SEEDS, 30),
}


ARM_RESULTS = {
    name: {"comparison": comparison(0.3 + 0.1 * i), "evaluation": evaluation(0.8 + 0.01 * i)}
    for i, name in enumerate(ARMS)
}
LOSSES = {name: recovery(0.9 + 0.01 * i) for i, name in enumerate(ARMS)}


@pytest.fixture(scope="module")
def tree():
    return language(pooling.paper, POOL, ARM_RESULTS, LOSSES)


def test_differences_are_pooled_minus_baseline_in_kappa(tree):
    # Pooled dictionaries have 0.8 and single seeds 0.3, with a chance level of 0.2.
    assert tree["pooled_less_single"]["kappa"].value == pytest.approx(0.5 / 0.8, abs=0.02)
    assert tree["pooled_less_long"]["kappa"].value == pytest.approx(0.4 / 0.8, abs=0.02)
    assert tree["pooled_less_single"]["explained_variance"].value == pytest.approx(0.05)
    assert tree["pooled_less_single"]["recovered_mean"].value == pytest.approx(0.05)
    smallest = tree["pooled_less_long"]["kappa_smallest_seen"]
    # Another processor may find three times as much.
    assert smallest.tolerance > 2 * smallest.value > 0


def test_figure_has_one_point_per_arm_in_order(tree):
    figure = tree["figure"]
    assert (np.diff(figure["kappa"].values) > 0).all()
    assert (np.diff(figure["explained_variance"].values) > 0).all()
    assert (figure["low"].values < figure["kappa"].values).all()


def test_recurrence_shares_are_of_pooled_latents(tree):
    pools = tree["pools"]
    assert pools["unanimous"].value == 50.0
    assert pools["alone"].value == 25.0
    assert pools["shares"].values.tolist() == [25, 25, 0, 50]


def test_recovery_of_the_truth_counts_single_directions_alone():
    directions = np.eye(D, dtype=np.float32)
    truth = {
        "directions": directions,
        "unit": np.array([0, 1, 2, 2, 2, 2]),
        "rank": np.array([1, 1, 4]),
    }
    # Both singles are recovered, at any norm, and nothing of the block.
    rows = np.tile(3 * directions[[0, 1, 1, 1]], (SEEDS, 1, 1))
    dictionaries = {name: {"decoder": rows} for name in ARMS}
    dictionaries["long"] = {"decoder": np.tile(directions[[0, 2, 3, 4]], (SEEDS, 1, 1))}
    tree = planted(pooling.paper, POOL, truth, ARM_RESULTS, dictionaries)
    assert tree["votes"]["truth"].value == pytest.approx(1.0)
    assert tree["long"]["truth"].value == pytest.approx(0.5)
    assert tree["pooled_less_long"]["truth"].value == pytest.approx(0.5)


@pytest.mark.parametrize("profile", ["smoke", "paper", "full"])
def test_long_arm_has_the_steps_of_a_whole_pool(profile):
    chosen = pooling.PROFILES[profile]
    stages = {stage.name: stage for stage in in_order(pooling.parts(chosen).values())}
    long = stages["pooling/language/long/train"].config.dictionary.epochs
    single = chosen.base.epochs
    on = stages["pooling/language/votes/train"].config.training.dictionary.epochs
    assert long == chosen.group_size * single + on
    assert pooling.printed(chosen)["long_epochs"] == long


def test_groups_share_no_seed_and_each_arm_has_one_dictionary_per_group():
    chosen = replace(pooling.paper, group_size=5)
    assert chosen.seeds == chosen.base.seeds
    stages = {stage.name: stage for stage in in_order(pooling.parts(chosen).values())}
    assert len(stages["pooling/language/votes/train"].config.training.seeds) == 4
    assert stages["pooling/language/votes/pool"].config.group_size == 5


def test_dictionaries_of_the_base_configuration_are_pooled_if_seeds_are_equal():
    names = {
        profile: {stage.name for stage in in_order(pooling.parts(chosen).values())}
        for profile, chosen in pooling.PROFILES.items()
    }
    assert "language/centre/train" in names["paper"]
    assert "pooling/language/single/train" not in names["paper"]
    assert "pooling/language/single/train" in names["smoke"]
