"""Section "Planted truth": recurrence by kind of unit, spans, predictions, published figures."""

from dataclasses import replace

import numpy as np
import pytest

from audit.experiments.common.tolerance import with_platform_tolerance
from audit.experiments.planted import experiment as planted
from audit.experiments.planted.measurements import (
    blocks,
    frequency,
    prediction,
    quality,
    singles,
    sweeps,
)
from audit.experiments.planted.prediction import (
    OwnedLatents,
    fit_logistic,
    mean_squared_error,
    owned_latents,
)
from audit.experiments.planted.recurrence import PlantedArm
from audit.experiments.planted.song import between_seeds, song, with_directions
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import Scalar

SEEDS, SINGLES, BLOCKS = 6, 4, 2
CONFIG = replace(
    planted.paper,
    truth=replace(planted.paper.truth, singles=SINGLES, blocks=BLOCKS, d=32),
    seeds=tuple(range(SEEDS)),
    few=SEEDS,
    classes=2,
)
OWNER = np.array([0, 1, 2, 3, 4, 4, 5, 5, -1])


def pairs(shape=(), value=0.0):
    table = np.full((SEEDS, SEEDS, *shape), value, np.float32)
    table[range(SEEDS), range(SEEDS)] = np.nan
    return table


def arm(p_blocks=0.0, overlap=0.9, expected=0.3, rank=4):
    """Singles always recur, latents of blocks with a given probability, spans with an overlap."""
    best = pairs((9,), 0.2)
    best[..., :SINGLES] = 0.95
    found = np.random.default_rng(0).random((SEEDS, SEEDS, 4)) < p_blocks
    best[..., SINGLES:8] = np.where(found, 0.8, 0.3)
    # If the unassigned latent counted, it would change every mean.
    best[..., 8] = 1.0
    best[range(SEEDS), range(SEEDS)] = np.nan
    law = pairs((9,), 1.0)
    law[..., SINGLES:8] = expected
    law[..., 8] = np.nan
    levels = {"value": overlap, "turned": 0.85, "gauge": 0.1, "other": 0.05}
    return {
        "seeds": np.arange(SEEDS),
        "owner": np.tile(OWNER, (SEEDS, 1)),
        "share": np.full((SEEDS, 9), 0.9),
        "share_gauge": np.full((SEEDS, 9), 0.2),
        "live": np.tile(np.arange(9) < 9, (SEEDS, 1)),
        "best": best,
        "best_turned": np.where(np.isnan(best), np.nan, 0.1),
        "best_gauge": np.where(np.isnan(best), np.nan, 0.1),
        "nearest": pairs((9,), 0.8),
        "nearest_gauge": pairs((9,), 0.4),
        "expected": law,
        "overlap": {k: pairs((BLOCKS,), v) for k, v in levels.items()}
        | {"isotropic": pairs((BLOCKS,), 4 / 32)},
        "angle": {k: pairs((BLOCKS,), 90 * (1 - v)) for k, v in levels.items()},
        "recovered": np.full((SEEDS, SINGLES), 0.97),
        "spanned": np.full((SEEDS, BLOCKS), 0.5),
        "quality": {
            "explained_variance": np.full(SEEDS, 0.8),
            "l0": np.full(SEEDS, 2.0),
            "dead_fraction": np.zeros(SEEDS),
        },
        "frequency": np.array([0.003, 0.01, 0.05, 0.1, 0.003, 0.1]),
        "rank": np.array([1] * SINGLES + [rank] * BLOCKS),
        "singles": SINGLES,
    }


def test_claimed_differences_have_their_signs_if_the_claim_holds():
    node = blocks(CONFIG, arm())
    assert node["reproducibility"].value == 0.0
    assert node["reproducibility_difference"].value == pytest.approx(-1.0)
    assert node["span_excess"].value == pytest.approx(0.85)
    assert node["span_excess_gauge"].value == pytest.approx(0.8)
    assert node["span_excess_turned"].value == pytest.approx(0.05, abs=1e-5)
    assert singles(CONFIG, arm())["reproducibility"].value == 1.0


def test_claimed_differences_vanish_if_the_claim_fails():
    node = blocks(CONFIG, arm(p_blocks=1.0, overlap=0.05))
    assert node["reproducibility_difference"].value == pytest.approx(0.0)
    assert node["span_excess"].value == pytest.approx(0.0)
    assert node["oriented"].value == pytest.approx(1.0)
    assert node["more_than_expected"].value == pytest.approx(0.7)


def test_stricter_cosine_lowers_reproducibility():
    node = blocks(CONFIG, arm(p_blocks=1.0))
    assert node["reproducibility"].value == 1.0
    assert node["reproducibility_strict"].value == 0.0
    assert node["strict_difference"].value == pytest.approx(-1.0)


def test_missing_block_counts_at_no_level():
    given = arm()
    for level, value in (("value", 0.0), ("gauge", 1.0), ("turned", 1.0)):
        given["overlap"][level][..., 1] = value
    given["overlap"]["other"][..., 1] = np.nan
    assert blocks(CONFIG, given)["span_excess"].value == pytest.approx(0.85)
    assert blocks(CONFIG, given)["overlap"]["gauge"].value == pytest.approx(0.1)


def test_left_out_seed_is_dropped_on_both_sides():
    given = arm()
    given["best"][0, 1:, SINGLES:8] = 0.9
    mean = PlantedArm(given).p("blocks")
    assert mean(np.arange(SEEDS)) == pytest.approx(1 / SEEDS)
    assert mean(np.arange(1, SEEDS)) == 0.0


def test_unassigned_latents_are_live_but_have_no_reproducibility():
    node = quality(CONFIG, arm())
    assert node["owned"].value == pytest.approx(100 * 8 / 9)
    assert node["owned_gauge"].value == 0.0
    assert blocks(CONFIG, arm())["latents"].value == 2.0


def test_frequency_classes_hold_their_own_units():
    given = arm()
    given["best"][:, :, [0, 1]] = 0.1
    node = frequency(CONFIG, given)
    assert node["singles"]["measured"].values == pytest.approx([0.0, 1.0])
    assert node["singles"]["rarest_present"].value == 100.0


def test_class_without_latents_has_none_present():
    given = arm()
    given["owner"][given["owner"] == 4] = -1
    node = frequency(CONFIG, given)
    assert node["blocks"]["present"].values == pytest.approx([0.0, 1.0])
    assert node["blocks"]["rarest_measured"].value == 0.0


def test_class_without_units_is_finite():
    """Eight classes and two blocks: most classes have no block."""
    node = frequency(replace(CONFIG, classes=8), arm())
    for kind in ("singles", "blocks"):
        for name in ("measured", "expected", "turned", "present", "latents"):
            assert np.isfinite(node[kind][name].values).all()
    assert node["blocks"]["present"].values[1:-1] == pytest.approx(np.zeros(6))


def test_platform_tolerance_is_at_least_its_floor():
    tree = {
        "none": Scalar(0.0, 3, "", 0.0, 0.0, "95% jackknife over 5 seeds"),
        "wide": {"half": Scalar(50.0, 1, "%", 40.0, 60.0, "95% jackknife over 5 seeds")},
        "exact": Scalar(0.7, 1, tolerance=0.0),
        "count": 3,
    }
    loose = with_platform_tolerance(tree)
    assert loose["none"].allowed_difference == 0.03
    assert loose["wide"]["half"].allowed_difference == 20.0
    assert loose["exact"].allowed_difference == 0.0
    assert loose["count"] == 3
    assert with_platform_tolerance(tree, 0.01)["none"].allowed_difference == 0.01


def test_sweep_arrays_are_levels_in_order():
    arms = {
        factor: {level: arm(overlap=0.9 - 0.1 * place) for place, level in enumerate(levels)}
        for factor, levels in planted.FACTORS.items()
    }
    node = sweeps(CONFIG, arms)
    assert node["rank"]["figure"]["level"].values.tolist() == [1, 2, 4, 8]
    drawn = node["rank"]["figure"]["overlap_value"].values
    assert drawn == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert node["rank"]["eight"]["overlap"]["value"].value == pytest.approx(0.6)
    assert node["samples"]["some"]["level"] == 8192


def drawn_latents(coefficients, generator, count=6000):
    frequency = 10 ** generator.uniform(-3, -1, count)
    rank = generator.choice([1.0, 2.0, 4.0, 8.0], count)
    score = np.stack([np.ones(count), np.log10(frequency), np.log2(rank)], 1) @ coefficients
    p = generator.binomial(9, 1 / (1 + np.exp(-score))) / 9
    return OwnedLatents(frequency, rank, p, np.full(count, 0.5))


def test_fit_logistic_recovers_the_true_coefficients():
    truth = np.array([3.0, 1.2, -0.8])
    given = drawn_latents(truth, np.random.default_rng(1))
    law = fit_logistic(given)
    assert law.coefficients == pytest.approx(truth, abs=0.15)
    other = drawn_latents(truth, np.random.default_rng(2))
    assert mean_squared_error(law.predict(other), other) < 0.6 * mean_squared_error(
        float(given.p.mean()), other
    )


def test_fit_logistic_is_finite_if_every_latent_recurs():
    given = drawn_latents(np.array([3.0, 1.2, -0.8]), np.random.default_rng(1), 50)
    assert np.isfinite(fit_logistic(given._replace(p=np.ones(50))).coefficients).all()


def test_owned_latents_have_the_properties_of_their_unit():
    given = owned_latents([PlantedArm(arm(rank=8))], np.arange(SEEDS))
    assert len(given.p) == SEEDS * 8
    assert set(given.rank) == {1.0, 8.0}
    assert given.p[given.rank == 1].mean() == 1.0
    assert given.expected[given.rank == 8] == pytest.approx(0.3)
    assert set(given.frequency) == {0.003, 0.01, 0.05, 0.1}


def test_owned_latents_are_of_the_seeds_asked_for_wherever_they_stand():
    given = arm()
    given["owner"][0] = -1
    moved = given | {"seeds": np.array([7, *range(1, SEEDS)])}
    assert len(owned_latents([PlantedArm(given)], np.arange(3)).p) == 2 * 8
    assert len(owned_latents([PlantedArm(moved)], np.arange(1, 4)).p) == 3 * 8
    assert len(owned_latents([PlantedArm(moved)], np.array([1, 7])).p) == 8


def test_prediction_is_tested_on_the_other_truth_against_the_mean():
    levels = planted.FACTORS["rank"]
    fitted = {level: arm(p_blocks=0.0) for level in levels}
    judged = {level: arm(p_blocks=0.0, expected=0.0) for level in levels}
    node = prediction(CONFIG, fitted, judged)
    assert node["covering"]["error"].value == 0.0
    assert node["covering"]["explained"].value == 100.0
    assert node["mean"]["error"].value == pytest.approx(0.25)
    assert node["logistic"]["explained"].value > 50
    misled = prediction(CONFIG, fitted, judged | {"one": arm(1.0), "two": arm(1.0)})
    assert misled["covering"]["explained"].value < 100


def test_matches_with_the_truth_and_between_seeds_are_one_to_one():
    truth = np.eye(4, dtype=np.float32)
    shuffled = truth[[2, 0, 3, 1]]
    twice = truth[[0, 0, 0, 0]]
    assert with_directions(np.stack([shuffled, twice]), truth) == pytest.approx([1.0, 0.25])
    assert between_seeds(np.stack([truth, shuffled, twice])) == pytest.approx((1 + 0.25 + 0.25) / 3)


def test_published_figures_have_their_kappa():
    generator = np.random.default_rng(0)
    truth = generator.standard_normal((32, 16)).astype(np.float32)
    decoders = np.stack([truth] * 5)
    value, level = pairs_of(1.0), pairs_of(0.45)
    comparison = {
        "full": {"matched_mean": value, "max_cosine": value},
        "chance": {},
        "gauge": {"matched_mean": level, "max_cosine": level},
        "data": {"matched_mean": 0.5, "max_cosine": 0.55},
        "isotropic": {"matched_mean": 0.45, "max_cosine": 0.5},
        "untrained": {"matched_mean": level, "max_cosine": level},
    }
    heldout = {n: np.full(5, 0.9) for n in ("explained_variance", "l0", "dead_fraction")}
    train = {n: np.full(5, 0.9) for n in ("explained_variance", "mse")}
    train |= {"explained_variance_scalar_mean": np.full(5, 0.9)}
    moments = {"step": np.array([0, 10]), "decoder": np.stack([decoders[::-1], decoders])}
    names = ("relu", "topk", "double")
    traced = {"decoder": decoders, "trace": moments}
    arm = {"comparison": comparison, "evaluation": {"heldout": heldout, "train": train}}
    node = song(
        planted.paper,
        {"directions": truth},
        dict.fromkeys(names, traced),
        dict.fromkeys(names, arm),
    )
    assert node["relu"]["truth"].value == pytest.approx(1.0)
    assert node["relu"]["published"]["between"].value == 0.609
    assert node["topk"]["published"]["kappa"].value == pytest.approx(
        (0.951 - 0.45) / 0.55, abs=1e-6
    )
    assert node["topk"]["trace"]["between"].values == pytest.approx([1.0, 1.0])
    assert "published" not in node["double"]


def pairs_of(value):
    table = np.full((5, 5), value)
    np.fill_diagonal(table, np.nan)
    return table


@pytest.mark.parametrize("profile", list(planted.PROFILES))
def test_every_arm_differs_from_the_shared_base_configuration_in_one_factor(profile):
    settings = planted.PROFILES[profile]
    arms = planted.sweeps(settings)
    base = arms["noise"]["low"]
    names = [stage.name for levels in arms.values() for stage in levels.values()]
    assert names.count(base.name) >= len(planted.FACTORS)
    assert base.config.training.seeds == settings.seeds
    for factor, levels in arms.items():
        for stage in levels.values():
            truth, dictionary = stage.config.truth, stage.config.training.dictionary
            planted_dimensions = truth.singles + truth.blocks * truth.rank
            if factor != "latents":
                assert dictionary.n_latents == planted_dimensions
            if factor != "steps":
                steps = dictionary.epochs * truth.samples
                assert steps == settings.epochs * settings.truth.samples
            few = settings.seeds[: settings.few]
            assert stage.name == base.name or stage.config.training.seeds == few


def test_full_profile_is_the_recipe_of_song_et_al_and_paper_shortens_it():
    full, paper = planted.PROFILES["full"], planted.paper
    assert (full.song.steps, full.song.learning_rate, full.song.l1) == (30_000, 1e-4, 1e-2)
    assert (full.song_samples.samples, full.song.seeds) == (50_000, (42, 43, 44, 45, 46))
    assert paper.song.steps * paper.song.learning_rate == pytest.approx(
        full.song.steps * full.song.learning_rate
    )
    trained = [
        stage.config
        for stage in in_order(planted.parts(full).values())
        if stage.function == "audit.training.song:song"
    ]
    assert {config.initial_row_length for config in trained} == {0.1, 1.0}
    assert sorted(config.k for config in trained) == [3, 3, 6]
