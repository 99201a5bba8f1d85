"""Section "Unstable latents": signs, chance levels and addresses of its values."""

from types import SimpleNamespace

import numpy as np
import pytest

from audit.experiments.language import experiment as language
from audit.experiments.modular import experiment as modular
from audit.experiments.subspaces import experiment as subspaces
from audit.experiments.subspaces.camps import camps_of
from audit.experiments.subspaces.effects import responses, worth
from audit.experiments.subspaces.measurements import clusters, spans
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import leaves

SEEDS, N = 6, 200
CONFIG = subspaces.SubspacesMeasurementConfig(
    subspaces.paper.groups, subspaces.paper.camps, 0.1, firings=32, scored=20, parts=5
)


def camps_found(cosines: np.ndarray) -> dict:
    """Latents with given cosines in all other seeds, shuffled for each seed."""
    draw = np.random.default_rng(0)
    rows = [draw.permuted(cosines) + 0.02 * draw.standard_normal(N) for _ in range(SEEDS)]
    best = np.stack([[row] * SEEDS for row in rows]).astype(np.float32)
    best[range(SEEDS), range(SEEDS)] = np.nan
    gauge = np.where(np.isnan(best), np.nan, 0.2 + 0.1 * draw.random(best.shape))
    return {
        "best": best,
        "gauge": gauge.astype(np.float32),
        "live": np.ones((SEEDS, N), bool),
        "firing_rate": np.full((SEEDS, N), 0.1),
        "data": np.full((2, 3), 0.02),
        "rank": {"participation": 12.0, "entropy": 15.0, "ninety_nine": 20},
        "width": 32,
    }


def test_two_groups_of_cosines_are_two_camps_by_recurrence_and_by_dip():
    draw = np.random.default_rng(1)
    cosines = np.where(np.arange(N) < N // 2, 0.95, 0.2) + 0.01 * draw.standard_normal(N)
    node = camps_of(camps_found(cosines), CONFIG)
    assert node["dip_excess"].value > 1.0
    assert node["pooled"]["dip_excess"].value > 1.0
    assert node["u_shape_07"].value > 0.9
    assert node["shares_07"]["stable"].value == pytest.approx(50.0)
    assert node["shares_07"]["unstable"].value == pytest.approx(50.0)
    assert node["gauge"]["dip_excess"].value < 0
    assert node["groups"] == "camps"


def test_one_broad_group_is_one_mode_although_a_threshold_splits_it():
    draw = np.random.default_rng(1)
    node = camps_of(camps_found(0.65 + 0.1 * draw.standard_normal(N)), CONFIG)
    assert node["dip_excess"].value < 0
    assert node["pooled"]["dip_excess"].value < 0
    # Each latent has one cosine in all seeds, so it recurs in all or none: two camps by recurrence.
    assert node["u_shape_07"].value > 0.9


def test_latents_that_never_recur_are_one_camp():
    node = camps_of(camps_found(np.full(N, 0.3)), CONFIG)
    assert node["u_shape_07"].value == -1.0
    assert node["shares_07"]["unstable"].value == 100.0
    assert node["groups"] == "quarters"


def test_the_histogram_holds_every_live_latent_once():
    draw = np.random.default_rng(1)
    found = camps_found(draw.random(N))
    # Some recur in half of the seeds, so they are in neither camp.
    found["best"][:, ::2, :40] = 0.9
    found["best"][range(SEEDS), range(SEEDS)] = np.nan
    node = camps_of(found, CONFIG)
    assert node["figure"]["between"].values.sum() > 10.0
    bars = sum(node["figure"][name].values.sum() for name in ("stable", "between", "unstable"))
    assert bars == pytest.approx(100.0)
    assert node["figure"]["gauge"].values.sum() == pytest.approx(100.0)
    assert node["figure"]["votes"].values.sum() == pytest.approx(100.0)


def removed(variance: float, loss: float, size: int = 20) -> dict:
    draw = np.random.default_rng(size)
    return {
        "explained_variance": variance + 0.001 * draw.random(SEEDS),
        "loss": loss + 0.001 * draw.random(SEEDS),
        "size": np.full(SEEDS, float(size)),
        "rate": np.full(SEEDS, 0.1),
    }


CONTRIBUTIONS = {
    "nothing": removed(0.9, 2.0, 0),
    "stable": removed(0.4, 3.5),
    "unstable": removed(0.8, 2.2),
    "random": removed(0.6, 2.6),
    "equal_stable": removed(0.5, 3.0),
    "equal_unstable": removed(0.85, 2.1),
    "matched_stable": removed(0.8, 2.1),
    "matched_unstable": removed(0.7, 2.3),
    "kind": "camps",
    "loss_clean": 1.9,
    "loss_mean": 6.9,
}


def test_larger_contribution_of_stable_latents_is_positive():
    node = worth(CONFIG, {"language": CONTRIBUTIONS})["language"]
    assert node["stable"]["explained_variance"].value == pytest.approx(0.5, abs=0.01)
    assert node["stable"]["loss"].value == pytest.approx(1.5, abs=0.01)
    assert node["equal"]["explained_variance"].value == pytest.approx(0.35, abs=0.01)
    assert node["equal"]["loss"].value == pytest.approx(0.9, abs=0.01)
    assert node["matched"]["explained_variance"].value == pytest.approx(-0.1, abs=0.01)
    assert node["matched"]["loss"].value == pytest.approx(-0.2, abs=0.01)
    assert node["loss_recovered"]["nothing"].value == pytest.approx(98.0, abs=0.1)
    assert node["groups"] == "camps"


def responded() -> dict:
    """Six latents per seed; the first four are unstable, and two pairs have equal firing rates."""
    stable = np.tile([0.0, 0.0, 0.0, 0.0, 1.0, 1.0], (SEEDS, 1))
    pair = np.tile([0.0, 1.0, -1.0, -1.0, 0.0, 1.0], (SEEDS, 1))
    values = np.tile([3.0, 5.0, 9.0, 9.0, 2.0, 1.0], (SEEDS, 1))
    hidden = values.copy()
    hidden[:, 1] = np.nan
    return {
        "stable": stable,
        "pair": pair,
        "log_frequency": values,
        "token_rank": values,
        "entropy": hidden,
        "rule": values,
        "random": dict.fromkeys(("token_rank", "entropy", "rule"), values * 0.0),
        "rare": np.tile([0.1, 0.0], (SEEDS, 1)),
        "kind": "camps",
    }


def test_differences_are_unstable_minus_stable_over_complete_pairs():
    node = responses(CONFIG, {"language": responded()})["language"]
    assert node["token_rank"]["difference"].value == pytest.approx(6.5 - 1.5)
    assert node["token_rank"]["matched"].value == pytest.approx(4.0 - 1.5)
    assert node["token_rank"]["random_difference"].value == 0.0
    # One latent of the second pair was not measured, so neither counts.
    assert node["entropy"]["matched"].value == pytest.approx(3.0 - 2.0)
    assert node["entropy"]["measured_pairs"].value == 1.0
    assert node["entropy"]["difference"].value == pytest.approx(7.0 - 1.5)
    assert node["n_pairs"].value == 2.0


def table(value: float, *shape: int) -> np.ndarray:
    draw = np.random.default_rng(round(1000 * value))
    values = value + 0.002 * draw.random((*shape, SEEDS, SEEDS))
    values = 0.5 * (values + values.swapaxes(-1, -2))
    values[..., range(SEEDS), range(SEEDS)] = np.nan
    return values


LEVEL = {
    "found": 0.6,
    "covariance": 0.5,
    "stable": 0.3,
    "components": 0.4,
    "gauge": 0.2,
    "anybody": 0.45,
    "partners": 0.55,
    "leftover": 0.35,
    "among_stable": 0.7,
}
KINDS = ("unstable", "stable", "drawn", "anybody", "leftover")
SPANS = {
    "dimensions": np.array([12, 4, 8]),
    **{name: table(value, 3) for name, value in LEVEL.items()},
    "random": np.array([0.1, 0.05, 0.07]),
    "member": table(0.25),
    "member_gauge": table(0.15),
    **{what: {k: np.full(SEEDS, 9.0) for k in KINDS} for what in ("participation", "ninety")},
    "data_participation": 20.0,
    "data_ninety": 30,
    "kind": "quarters",
    "n_stable": np.full(SEEDS, 20),
    "n_unstable": np.full(SEEDS, 20),
}


def test_excess_is_overlap_minus_each_level_at_the_same_dimension():
    node = spans(CONFIG, {"clean": SPANS})["clean"]
    for level in ("covariance", "stable", "components", "gauge", "anybody", "partners"):
        assert node[f"excess_{level}"].value == pytest.approx(0.6 - LEVEL[level], abs=0.01)
    assert node["excess_random"].value == pytest.approx(0.5, abs=0.01)
    assert node["eight"]["excess_random"].value == pytest.approx(0.53, abs=0.01)
    assert node["main_dimension"].value == 12
    assert node["figure"]["dimension"].values.tolist() == [4, 8]
    assert node["kappa"].value == pytest.approx(0.4 / 0.8, abs=0.01)
    assert node["kappa_member"].value == pytest.approx(0.1 / 0.85, abs=0.01)
    assert node["kappa_difference"].value == pytest.approx(0.5 - 0.1176, abs=0.01)
    assert node["groups"] == "quarters"
    # Seeds agree more closely than two instruction sets do.
    assert node["overlap"].allowed_difference >= 0.01


CLUSTERS = {
    "found": table(0.3),
    "gauge": table(0.1),
    "covariance": table(0.2),
    "member": table(0.5),
    "member_gauge": table(0.4),
    "member_matched": table(0.35),
    "square": table(0.25),
    "square_gauge": table(0.16),
    **{name: np.full(SEEDS, 3.0) for name in ("dimension", "members", "clusters", "between")},
    "covered": np.full(SEEDS, 0.9),
}


def test_span_excess_of_clusters_is_over_the_higher_level():
    found = {"unstable": CLUSTERS, "stable": CLUSTERS, "kind": "camps"}
    node = clusters(CONFIG, {"language": found})["language"]
    assert node["span_excess"].value == pytest.approx(0.1, abs=0.01)
    assert node["span_excess_gauge"].value == pytest.approx(0.2, abs=0.01)
    assert node["span_excess_covariance"].value == pytest.approx(0.1, abs=0.01)
    assert node["member_excess"].value == pytest.approx(0.1, abs=0.01)
    assert node["kappa_difference"].value == pytest.approx(0.2 / 0.9 - 0.09 / 0.84, abs=0.01)


@pytest.mark.parametrize("profile", subspaces.PROFILES)
def test_all_dictionaries_are_trained_by_other_sections(profile):
    settings = subspaces.PROFILES[profile]
    mine = in_order(subspaces.parts(settings).values())
    known = in_order(modular.parts(settings.addition).values())
    known += in_order([language.base_arm(settings.base).compare])
    names = {stage.name: stage for stage in known}
    for stage in mine:
        if not stage.name.startswith("subspaces/") and not stage.name.startswith("text/"):
            same = names[stage.name]
            assert (stage.function, stage.config) == (same.function, same.config)


def test_every_leaf_is_finite():
    trees = (
        worth(CONFIG, {"language": CONTRIBUTIONS, "clean": CONTRIBUTIONS}),
        responses(CONFIG, {"language": responded()}),
        spans(CONFIG, {"clean": SPANS}),
    )
    for tree in trees:
        for address, leaf in leaves(tree):
            value = getattr(leaf, "value", 0.0)
            assert np.isfinite(value), address


def test_settings_print_what_the_text_mentions():
    printed = subspaces.printed(subspaces.paper)
    assert printed["caliper_percent"].value == pytest.approx(25.9, abs=0.1)
    assert printed["response_seeds"] == 10
    small = SimpleNamespace(**{**vars(subspaces.paper), "contribution_seeds": 99})
    assert subspaces.printed(small)["worth_seeds"] == len(subspaces.paper.base.seeds)
