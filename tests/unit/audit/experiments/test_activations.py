"""Section "What latents do": chance levels of each value, and weights of sampled latents."""

import numpy as np
import pytest
from scipy import stats

from audit.evaluation.behavior.config import CorrelationConfig
from audit.evaluation.behavior.correlation import agreement_statistics
from audit.experiments.activations import experiment as activations
from audit.experiments.activations import measurements as measurements
from audit.experiments.activations.measurements import (
    has_interval,
    latent_weights,
    ring,
    weighted_means,
)
from audit.experiments.language import experiment as language
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import Scalar, leaves

SEEDS, LATENTS = 5, 40
STRATA = (0.3, 0.5, 0.7, 0.9)


@pytest.fixture(autouse=True)
def planned(monkeypatch):
    # Planning needs a hash of the weights, which a test need not have.
    for module in (activations, language):
        monkeypatch.setattr(module, "weights_sha256", lambda model: "0" * 64)
    monkeypatch.setattr(
        language, "read", lambda *a, **k: activations.Stage("activations/x", "m:f", None)
    )


def config(profile="paper"):
    return activations.parts(activations.PROFILES[profile])["ablation"].config


def correlations(gauge=0.2, shuffled=0.1):
    """Result of the stage: the same value for every statistic, with a little spread over pairs."""
    levels = {"value": 0.6, "gauge": gauge, "shuffled": shuffled}
    random = np.random.default_rng(0)
    spread = random.normal(scale=0.01, size=(SEEDS, SEEDS))
    spread += spread.T + np.diag([np.nan] * SEEDS)
    names = (*measurements.MEANS, *measurements.SHARES, *measurements.RANKS)
    bins = np.linspace(-0.1, 0.9, 10)
    found = {
        level: dict.fromkeys(names, value + spread)
        | {
            "binned_correlation": value * bins + spread[..., None],
            "binned_share": np.full((SEEDS, SEEDS, 10), 0.1) + spread[..., None] * 0,
        }
        for level, value in levels.items()
    }
    found["gauge"]["correlation_of_same"] = np.full((SEEDS, SEEDS), np.nan)
    return found | {"live": np.full(SEEDS, 500)}


def ablations():
    """Effects that depend on the cosine of partners, and chance levels that do not."""
    random = np.random.default_rng(1)
    cosine = random.uniform(0.1, 1.0, (SEEDS, LATENTS))
    cosine[2, -3:] = np.nan

    def effects(slope):
        noise = random.normal(scale=0.05, size=cosine.shape)
        return dict.fromkeys(measurements.ABLATION_SIMILARITIES, slope * cosine + noise)

    return {
        "cosine": cosine,
        "correlation": cosine + random.normal(scale=0.1, size=cosine.shape),
        "population": np.tile([0.5, 0.2, 0.1, 0.1, 0.1], (SEEDS, 1)),
        "partner": effects(0.9),
        "other": effects(0.05),
        "gauge": effects(0.0),
        "kl": np.where(np.isnan(cosine), np.nan, 0.002),
    }


@pytest.fixture
def correlation():
    return measurements.correlation(config(), correlations())


@pytest.fixture
def ablation():
    return measurements.ablation(config(), ablations())


def test_every_stage_reads_the_base_configuration(planned):
    for profile in activations.PROFILES.values():
        stages = in_order(activations.parts(profile).values())
        names = [stage.name for stage in stages]
        assert "language/centre/train" in names
        assert len(set(names)) == len(names)


def test_latents_are_ablated_at_the_hook_point_of_the_activations():
    for profile in activations.PROFILES.values():
        stage = activations.parts(profile)["ablation"].needed["found"]
        assert stage.config.hook == profile.base.hook
        assert stage.config.model == profile.base.model


def test_measuring_stage_has_the_config_of_its_input():
    parts = activations.parts(activations.paper)
    for part, field in (("correlation", "correlation"), ("ablation", "ablation")):
        measurement = getattr(parts[part].config, field)
        assert measurement == parts[part].needed["found"].config


def test_every_share_and_mean_has_its_chance_levels(correlation):
    for name in (*measurements.MEANS, *measurements.SHARES):
        node = correlation[name]
        assert node["value"].low < node["value"].value < node["value"].high
        if name not in measurements.CONDITIONAL:
            assert {"gauge", "kappa_gauge"} <= set(node), name
        assert ("shuffled" in node) == (name != "matched_cosine")
    assert correlation["same_partner"]["value"].unit == "%"
    kappa = correlation["matched_correlation"]["kappa_gauge"]
    assert kappa.value == pytest.approx((0.6 - 0.2) / (1 - 0.2), abs=0.01)
    assert kappa.interval.startswith("90%")
    assert correlation["matched_correlation"]["kappa_shuffled"].value == pytest.approx(0.556, 0.02)


def test_means_over_different_latents_have_no_kappa(correlation):
    for name in measurements.CONDITIONAL:
        assert "kappa_gauge" not in correlation[name]
    assert "gauge" in correlation["correlation_of_unlike"]
    same = correlation["same_by_decoder"]
    assert same["value"].value == pytest.approx(120, abs=5)
    assert same["gauge"].value == pytest.approx(40, abs=5)


def test_missing_chance_level_is_left_out(correlation):
    assert "gauge" not in correlation["correlation_of_same"]


def test_statistic_without_any_pair_is_left_out():
    found = correlations()
    found["value"]["correlation_of_same"] = np.full((SEEDS, SEEDS), np.nan)
    tree = measurements.correlation(config(), found)
    assert "correlation_of_same" not in tree
    assert "correlation_of_unlike" in tree


def test_rank_correlation_has_its_minimum_detectable_effect(correlation, ablation):
    for node in (correlation["spearman"], ablation["spearman"], ablation["spearman_correlation"]):
        assert node["above_gauge"].value == pytest.approx(node["value"].value - node["gauge"].value)
        assert node["smallest_seen"].value > 0


def test_curves_have_a_level_only_where_they_have_a_value():
    found = correlations()
    found["value"]["binned_correlation"][..., 9] = np.nan
    curve = measurements.correlation(config(), found)["curve"]
    for name in ("value", "low", "high", "gauge", "shuffled"):
        assert np.isnan(curve[name].values).tolist() == [False] * 9 + [True], name
    np.testing.assert_allclose(curve["cosine"].values, np.arange(0.05, 1, 0.1))
    np.testing.assert_allclose(curve["share"].values, 10.0)


def test_latents_are_weighted_by_the_population_of_their_stratum():
    found = ablations()
    weights = latent_weights(found, STRATA)
    place = np.digitize(found["cosine"], STRATA)
    for stratum, share in enumerate(found["population"][0]):
        inside = (place == stratum) & np.isfinite(found["cosine"])
        np.testing.assert_allclose((weights * inside).sum(axis=1), share)
    assert not weights[2, -3:].any()


def test_weighted_means_skip_nan():
    values = np.array([[1.0, 3.0, np.nan], [np.nan] * 3])
    weights = np.array([[1.0, 3.0, 5.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(weighted_means(values, weights), [2.5, np.nan])


def test_mean_effect_is_over_the_population_and_not_the_sample(ablation):
    found = ablations()
    mean = np.nanmean(0.9 * found["cosine"])
    ours = ablation["all"]["effect"]["value"].value
    # Half of all latents have a cosine below 0.3, and a quarter of the sample.
    assert ours < mean - 0.05
    assert ablation["same"]["effect"]["value"].value > 0.7
    assert ablation["unlike"]["effect"]["value"].value < 0.3
    assert ablation["same"]["effect"]["kappa_gauge"].value > 0.6
    assert ablation["kl_millinats"].value == pytest.approx(2.0)


def test_effects_of_partners_correlate_with_cosine_and_chance_does_not(ablation):
    found = ablations()
    there = np.isfinite(found["cosine"])
    each = [
        stats.spearmanr(c[ok], e[ok]).statistic
        for c, e, ok in zip(found["cosine"], found["partner"]["effect"], there, strict=True)
    ]
    assert ablation["spearman"]["value"].value == pytest.approx(np.mean(each))
    assert ablation["spearman"]["value"].low > 0.9
    assert abs(ablation["spearman"]["gauge"].value) < 0.2


def test_ring_gives_each_seed_its_two_neighbors():
    table = ring(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert table[0, 1] == table[1, 0] == 1.0
    assert table[4, 0] == table[0, 4] == 5.0
    assert np.isfinite(table).sum() == 10


@pytest.mark.parametrize(("gone", "left"), [((), True), ((0,), True), ((0, 4), False)])
def test_an_interval_needs_every_seed_in_a_pair(gone, left):
    values = np.arange(5.0)
    values[list(gone)] = np.nan
    assert has_interval(ring(values)) == left


def test_subset_with_too_few_latents_is_left_out():
    found = ablations()
    high = found["cosine"] >= 0.7
    found["cosine"][high & (np.arange(SEEDS) != 0)[:, None]] = 0.6
    tree = measurements.ablation(config(), found)
    assert "same" not in tree
    assert {"all", "unlike"} <= set(tree)


def test_all_values_can_be_printed(correlation, ablation):
    for tree in (correlation, ablation, activations.printed(activations.paper)):
        for address, leaf in leaves(tree):
            if isinstance(leaf, Scalar):
                assert np.isfinite(leaf.value), address
                assert leaf.allowed_difference > 0, address


def test_names_of_statistics_match_the_stage():
    two = type("Two", (), {"cosine": np.eye(4), "correlation": np.eye(4)})
    stated = {
        *measurements.MEANS, *measurements.SHARES, *measurements.RANKS,
        "binned_correlation", "binned_share",
    }  # fmt: skip
    assert (
        set(agreement_statistics(two, CorrelationConfig(config().correlation.dictionary, (0, 1))))
        == stated
    )
