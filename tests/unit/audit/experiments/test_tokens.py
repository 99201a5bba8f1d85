"""Section "Layers, sizes and tokens": tables of pairs, frequency matching, steps."""

import numpy as np
import pytest
import torch

from audit.analyses.config import PartnersConfig
from audit.analyses.partners import partners, ring_pairs
from audit.experiments.common.arms import NoSettings
from audit.experiments.tokens import experiment as tokens
from audit.experiments.tokens import measurements as measurements
from audit.experiments.tokens.contrasts import contrast, with_interval_tolerance
from audit.experiments.tokens.pair_tables import MeasuredArm, frequency_weights, statistic
from audit.experiments.tokens.sweeps import sweep_values
from audit.pipeline.results import Array, Scalar, leaves
from helpers.seeds_data import arm, planted
from helpers.stability_data import similarity_matrices
from seedstability.errors import UserError
from seedstability.similarity.chance_levels import isotropic_closed_form

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def arms():
    """The base configuration, and an arm that shares less."""
    return {"centre": arm(), "less": arm(shared=12)}


@pytest.fixture(scope="module")
def base(arms):
    return MeasuredArm(arms["centre"])


@pytest.mark.parametrize("scope", ["full", "live"])
def test_tables_equal_the_plain_functions(base, scope):
    dictionaries, evaluation, _ = planted()
    live = torch.from_numpy(evaluation["live"]) if scope == "live" else None
    plain = similarity_matrices(torch.from_numpy(dictionaries["decoder"]), live)
    for ours, theirs in (
        ("max_cosine", "max_cosine"),
        ("matched_mean", "matched_mean"),
        ("matched_median", "matched_median"),
        ("at_least_07", "matched_at_least_07"),
    ):
        np.testing.assert_allclose(base.table(ours, scope=scope), plain[theirs], atol=1e-6)


def test_partners_of_live_latents_keep_their_indices(base):
    dictionaries, evaluation, _ = planted()
    found = base.partners["live"]["trained"]
    at = base.partners["pairs"].tolist().index([0, 2])  # both have dead latents
    cosine, partner = found["cosine"][at], found["partner"][at]
    decoders = torch.nn.functional.normalize(torch.from_numpy(dictionaries["decoder"]), dim=2)
    matched = partner >= 0
    assert evaluation["live"][0][matched].all()
    assert evaluation["live"][2][partner[matched]].all()
    plain = (decoders[0][matched] * decoders[2][partner[matched]]).sum(1)
    np.testing.assert_allclose(plain, cosine[matched], atol=1e-6)
    assert np.isnan(cosine[~matched]).all()


def test_chance_of_live_latents_is_the_closed_form_for_their_number(base):
    counts = base.evaluation["live"].sum(axis=1)
    for at, (i, j) in enumerate(base.partners["chance_pairs"]):
        expected = isotropic_closed_form(counts[i], counts[j], 32)["max_cosine"]
        assert base.partners["live"]["isotropic"]["max_cosine"][at] == pytest.approx(expected)


def test_trained_latents_are_above_every_level(base):
    value = np.nanmean(base.table("matched_mean"))
    for level in ("isotropic", "untrained", "data", "gauge"):
        assert value > 0.1 + np.nanmean(base.table("matched_mean", level))


def test_every_seed_has_a_neighbor_and_no_pair_repeats():
    assert ring_pairs(2) == [(0, 1)]
    assert ring_pairs(3) == [(0, 1), (0, 2), (1, 2)]
    assert {seed for pair in ring_pairs(20) for seed in pair} == set(range(20))
    assert len(set(ring_pairs(20))) == 20


def test_with_few_chance_pairs_their_mean_stands_for_all():
    made = planted(seeds=3)
    found = partners(PartnersConfig(chance_pairs=1), *made)
    few = MeasuredArm({"evaluation": made[1], "partners": found})
    assert isinstance(few.chance("matched_mean", "gauge"), float)
    assert (
        measurements.arm_values(few)["live"]["matched_mean"]["kappa_gauge"].interval
        == "range of 3 seeds"
    )


def test_dictionaries_without_live_latents_have_no_live_similarity():
    dictionaries, evaluation, activations = planted(seeds=2)
    evaluation = evaluation | {"live": np.zeros_like(evaluation["live"])}
    found = partners(PartnersConfig(), dictionaries, evaluation, activations)
    assert np.isnan(found["live"]["trained"]["cosine"]).all()
    assert np.isfinite(found["full"]["trained"]["cosine"]).all()


def test_weighted_statistics_equal_those_of_repeated_values():
    values = np.array([0.9, 0.2, 0.6, 0.75])
    weights = np.array([1.0, 4.0, 2.0, 2.0])
    repeated = np.repeat(values, weights.astype(int))
    for name in ("matched_mean", "matched_median", "at_least_05", "at_least_07", "at_least_09"):
        plain = statistic(name, repeated, np.ones(len(repeated)))
        assert statistic(name, values, weights) == pytest.approx(plain)
    assert np.isnan(statistic("matched_mean", values, np.zeros(4)))


def rated(rates, cosines):
    """An arm of two seeds whose latents are matched in order, with these rates and cosines."""
    n = len(rates)
    rows = {"cosine": np.array([cosines], np.float32), "partner": np.arange(n)[None]}
    evaluation = {
        "heldout": {"firing_rate": np.array([rates, rates])},
        "live": np.ones((2, n), bool),
    }
    found = {
        "live": {"trained": rows},
        "pairs": np.array([[0, 1]]),
        "seeds": np.arange(2),
    }
    return MeasuredArm({"evaluation": evaluation, "partners": found})


def test_frequency_matching_removes_differences_in_firing_rate():
    # In both arms frequent latents have 0.9 and rare ones 0.3; only their numbers differ.
    frequent = rated([0.1] * 30 + [0.001] * 10, [0.9] * 30 + [0.3] * 10)
    rare = rated([0.1] * 10 + [0.001] * 30, [0.9] * 10 + [0.3] * 30)
    ours, theirs, covered = frequency_weights(rare, frequent)
    assert covered == 1.0
    assert np.nanmean(rare.table("matched_mean")) == pytest.approx(0.45)
    for name in ("matched_mean", "matched_median", "at_least_07"):
        one = np.nanmean(rare.table(name, weights=ours))
        assert one == pytest.approx(np.nanmean(frequent.table(name, weights=theirs)))


def test_rates_of_one_arm_alone_are_left_out_of_both():
    both = rated([0.1] * 20 + [0.001] * 20, [0.9] * 20 + [0.3] * 20)
    alone = rated([0.1] * 20, [0.8] * 20)
    ours, theirs, covered = frequency_weights(alone, both)
    assert covered == 0.5
    assert np.nanmean(both.table("matched_mean", weights=theirs)) == pytest.approx(0.9)
    assert np.nanmean(alone.table("matched_mean", weights=ours)) == pytest.approx(0.8)


def test_arm_minus_itself_is_zero(base):
    tree = contrast(base, base)
    assert tree["live"]["matched_mean"]["kappa"].value == 0.0
    assert tree["frequency_matched"]["matched_mean"]["value"].value == 0.0
    assert tree["frequency_matched"]["covered"].value == 100.0


def test_dead_latents_deflate_the_full_median():
    tree = measurements.report(NoSettings(), {"report": arm(shared=18, dead=22)})
    assert tree["deflation"]["matched_median"].low > 0
    assert {"highest", "lowest", "p_pair", "smallest_pair"} <= set(tree["pairs"])


def sweep(arms, *names):
    by_value = {str(value): arms[name] for value, name in enumerate(names, start=1)}
    return sweep_values(by_value, arms["centre"], (1, 2), range(5))


def test_a_sweep_rises_where_more_is_shared_and_then_levels_off(arms):
    steps = sweep(arms, "less", "centre", "centre")["steps"]["live"]["matched_mean"]
    assert steps["first"].low > 0.02
    assert steps["last"].value == 0.0
    assert steps["levels_off"].value == 2


def test_a_sweep_that_rises_to_its_end_levels_off_nowhere_before(arms):
    assert sweep(arms, "less", "centre")["steps"]["live"]["matched_mean"]["levels_off"].value == 2
    flat = sweep(arms, "centre", "centre")["steps"]["live"]["matched_mean"]
    assert flat["levels_off"].value == 1


def test_a_sweep_is_read_in_the_order_of_its_values(arms):
    by_value = {"10": arms["centre"], "9": arms["less"]}
    tree = sweep_values(by_value, arms["centre"], (9, 10), range(5))
    assert tree["at"].values.tolist() == [9, 10]
    assert tree["steps"]["live"]["matched_mean"]["first"].value > 0


def test_seeds_are_read_by_value(base, arms):
    found = arms["centre"]
    named = MeasuredArm({**found, "partners": found["partners"] | {"seeds": np.arange(10, 15)}})
    some = MeasuredArm(named.found, (99, 14, 11))
    assert some.seeds == [11, 14]
    assert some.table("matched_mean")[0, 1] == named.table("matched_mean")[1, 4]
    assert (some.bins() < base.bins()).any()


def test_arms_are_compared_over_common_seeds(arms):
    tree = sweep(arms | {"few": arm(seeds=3)}, "centre", "few")
    assert tree["steps"]["live"]["matched_mean"]["last"].interval == "range of 3 seeds"
    assert tree["points"]["p1"]["seeds"] == 3


def test_every_value_can_be_printed(arms):
    from audit.pipeline.locking.values import Values

    sizes = sweep(arms, "less", "centre")
    centre = measurements.centre(NoSettings(), arms["centre"])
    tree = {"tokens": {"sizes": sizes, "centre": centre}}
    values = Values.from_tree(tree)
    assert len(values) == len(list(leaves(tree)))


def test_platform_tolerance_is_the_interval_width():
    wide = Scalar(0.5, 3, low=0.4, high=0.7, interval="95% jackknife over 5 seeds")
    narrow = Scalar(0.5, 3, low=0.4999, high=0.5001, interval="95% jackknife over 5 seeds")
    few = Scalar(0.5, 3, low=0.4, high=0.7, interval="range of 3 seeds")
    tree = with_interval_tolerance(
        {"a": {"wide": wide, "narrow": narrow, "few": few, "text": "x"}}
    )["a"]
    assert tree["wide"].tolerance == pytest.approx(0.3)
    assert tree["narrow"].allowed_difference == pytest.approx(0.0015)
    assert tree["few"].tolerance is None
    assert tree["text"] == "x"


@pytest.mark.parametrize("profile", tokens.PROFILES)
def test_sweeps_hold_one_thing_equal(profile):
    settings = tokens.PROFILES[profile]
    parts = tokens.parts(settings)
    for part, compared in (("sizes", settings.compared), ("amounts", settings.scaled)):
        for name, arms in parts[part].inputs["sweeps"].items():
            assert {str(value) for value in compared} <= set(arms)
            held = {_held(each, name) for each in arms.values()}
            assert len(held) == 1, (part, name, held)


def _held(arm, sweep):
    training = arm["partners"].needed["dictionaries"].config
    seen = training.samples * training.dictionary.epochs
    return {
        "equal_tokens": (training.samples, training.dictionary.epochs),
        "equal_updates": seen / training.dictionary.n_latents,
        "equal_epochs": (training.dictionary.n_latents, training.dictionary.epochs),
        "equal_seen": (training.dictionary.n_latents, seen),
    }[sweep]


@pytest.mark.parametrize("profile", tokens.PROFILES)
def test_all_arms_of_a_layer_are_evaluated_on_the_same_text(profile):
    texts = {}
    for part in tokens.parts(tokens.PROFILES[profile]).values():
        for name, stage in part.needed.items():
            if name.endswith("evaluation"):
                data = stage.needed["activations"]
                layer = data.config.model, data.config.hook
                texts.setdefault(layer, set()).add(data.name)
    assert texts
    assert all(len(names) == 1 for names in texts.values())


def test_tokens_seen_must_be_whole_passes():
    with pytest.raises(UserError, match="no whole number of passes over 1,000"):
        tokens._epochs(4096, 1000)


def test_arrays_have_the_tolerance_of_their_widest_interval(arms):
    curve = sweep(arms, "less", "centre")["curves"]["live"]["matched_mean"]
    assert isinstance(curve["value"], Array)
    widest = max((curve["high"].values - curve["low"].values).max(),
                 (curve["kappa_high"].values - curve["kappa_low"].values).max())  # fmt: skip
    assert curve["value"].tolerance == pytest.approx(widest)


def test_live_on_own_counts_training_tokens():
    from audit.evaluation.config import HeldoutConfig
    from audit.evaluation.heldout import evaluate_heldout
    from audit.training.stages import stacked
    from helpers.comparison_data import sae

    one = sae(torch.eye(4), k=1)
    dictionaries = stacked([one], [one.decoder])
    first, last = np.eye(4, dtype=np.float32)[:2], np.eye(4, dtype=np.float32)[2:]
    samples = {"heldout": first, "train": np.concatenate([last, first])}
    plain = evaluate_heldout(HeldoutConfig(one.config), dictionaries, samples)
    assert plain["live"].tolist() == [[True, True, False, False]]
    assert "own" not in plain
    own = evaluate_heldout(HeldoutConfig(one.config, 2, live_on_own=True), dictionaries, samples)
    assert own["live"].tolist() == [[False, False, True, True]]
    assert own["own"]["dead_fraction"].tolist() == [0.5]
    assert own["heldout"]["dead_fraction"].tolist() == plain["heldout"]["dead_fraction"].tolist()


def test_claims_on_gpt2_read_arms_of_the_full_profile():
    from audit.ledger.loading import load_claims

    (claim,) = [claim for claim in load_claims() if claim.id == "C20"]
    asked = {address.split(".")[2] for address in claim.addresses}
    assert asked == set(tokens.conditions("gpt2"))
    trained = tokens.parts(tokens.PROFILES["full"])["report"].needed
    assert {f"arms/{name}/partners" for name in asked} <= set(trained)
    assert not any("gpt2" in name for name in tokens.parts(tokens.paper)["report"].needed)
