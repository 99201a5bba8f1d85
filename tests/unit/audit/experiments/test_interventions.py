"""The table of interventions: equal steps, one factor a row, and verdicts by rule."""

from dataclasses import fields, replace

import numpy as np
import pytest

from audit.experiments.interventions import experiment as interventions
from audit.experiments.interventions.experiment import ARMS
from audit.experiments.interventions.measurements import (
    drift,
    language_rows,
    rows,
    transport,
)
from audit.experiments.interventions.rules import (
    VERDICTS,
    direction,
    truth_verdict,
    verdict,
)
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import Scalar, leaves
from audit.training.variants.config import VariantConfig
from seedstability.dictionaries.config import TrainingConfig
from seedstability.stability.statistics.jackknife import jackknife

SEEDS = 5


def interval(mean, spread=0.001):
    return jackknife(mean + spread * np.array([-1.0, 0.5, 0.0, -0.5, 1.0]))


UP, DOWN, WIDE = interval(0.2), interval(-0.2), interval(0.0, 0.1)
TINY = interval(0.01, 0.0001)


def test_a_change_within_the_margin_is_none_even_if_it_can_be_told_from_zero():
    assert TINY.low > 0
    said = [direction(each) for each in (UP, DOWN, WIDE, TINY)]
    assert said == ["rises", "falls", "no change seen", "equivalent"]


def test_few_seeds_have_no_interval_for_equivalence():
    assert direction(jackknife(np.array([0.001, 0.002, 0.003]))) == "rises"


@pytest.mark.parametrize(
    ("between", "reference", "gained", "shared", "said"),
    [
        (UP, UP, UP, False, "raises, confirmed"),
        (UP, WIDE, UP, False, "raises, not confirmed"),
        (UP, DOWN, UP, False, "raises, not confirmed"),
        (UP, TINY, UP, False, "raises, not confirmed"),
        # one start for all: κ begins at 1, and what it gains cannot be asked
        (UP, UP, None, True, "shared, and more"),
        (UP, WIDE, None, True, "shared, no more seen"),
        # drawn together from separate starts
        (UP, UP, UP, True, "shared, and more"),
        # alike before training, and less so after it
        (UP, UP, DOWN, False, "inherited, and more"),
        (UP, WIDE, DOWN, False, "inherited, no more seen"),
        (UP, UP, WIDE, False, "raises, confirmed"),
        (WIDE, UP, UP, False, "no change seen"),
        (TINY, UP, UP, True, "equivalent"),
        (DOWN, DOWN, UP, False, "lowers"),
        (DOWN, UP, None, True, "lowers"),
    ],
)
def test_the_rule_says(between, reference, gained, shared, said):
    assert verdict(between, reference, gained, shared) == said
    assert said in VERDICTS


def test_the_truth_has_a_rule_of_its_own():
    assert [truth_verdict(each) for each in (UP, WIDE, DOWN)] == [
        "more of it",
        "no change seen",
        "less of it",
    ]


def judged(between, judge, truth, untrained=0.3):
    """One training's results: similarity between seeds, with the judges, and with the truth."""
    generator = np.random.default_rng(0)
    noise = 0.002 * generator.standard_normal((SEEDS, SEEDS))

    def table(value):
        found = value + noise + noise.T
        np.fill_diagonal(found, np.nan)
        return {"max_cosine": found, "matched_mean": found - 0.05}

    each = 0.001 * np.arange(SEEDS)
    return {
        "explained_variance": 0.85 + each,
        "l0": 16 + each,
        "dead_fraction": 0.01 + each,
        "full": table(between),
        "gauge": table(0.4),
        "untrained": table(untrained),
        "isotropic": {"max_cosine": 0.25, "matched_mean": 0.2},
        "data": {"max_cosine": 0.42, "matched_mean": 0.35},
        "judge": judge + each,
        "judge_gauge": np.full(SEEDS, 0.4),
        "start_gauge": table(0.25),
        "judge_start": judge - 0.2 + each,
        "judge_start_gauge": np.full(SEEDS, 0.3),
        "judge_matched": judge - 0.05 + each,
        "judge_matched_gauge": np.full(SEEDS, 0.35),
        "cosine_with_start": 0.5 + each,
        "truth": truth + each,
        "truth_gauge": np.full(SEEDS, 0.4),
        "truth_singles": truth + 0.1 + each,
    }


FOUND = {
    "plain": judged(0.7, 0.7, 0.8),
    "longer": judged(0.8, 0.75, 0.85) | {"cosine_with_start": 0.3 + 0.001 * np.arange(SEEDS)},
    "same_start": judged(0.9, 0.7, 0.8, untrained=1.0),
    "consistency": judged(0.9, 0.75, 0.7),
    "relu": judged(0.6, 0.6, 0.8) | {"cosine_with_start": 0.7 + 0.001 * np.arange(SEEDS)},
    "data_points": judged(0.8, 0.7, 0.7, untrained=0.9),
    "data_points_shared": judged(0.95, 0.74, 0.7, untrained=1.0),
}
CONFIG = interventions.ArmsConfig(tuple(arm for arm in ARMS if arm.name in FOUND))
TITLES = {arm.name: arm.title for arm in ARMS}


@pytest.fixture(scope="module")
def tree():
    return rows(CONFIG, FOUND, FOUND)


def test_rows_get_the_verdict_that_their_numbers_ask_for(tree):
    said = {row: tree[row]["verdict"]["quoted"] for row in FOUND if row != "plain"}
    assert said == {
        "longer": "raises, confirmed",
        "same_start": "shared, no more seen",
        "consistency": "shared, and more",
        "relu": "lowers",
        "data_points": "inherited, no more seen",
        "data_points_shared": "shared, and more",
    }
    assert tree["longer"]["truth_verdict"]["quoted"] == "more of it"
    assert tree["consistency"]["truth_verdict"]["quoted"] == "less of it"


def test_kappa_is_corrected_for_each_level(tree):
    row = tree["longer"]
    for level, chance in (("isotropic", 0.25), ("untrained", 0.3), ("data", 0.42), ("gauge", 0.4)):
        expected = (0.8 - chance) / (1 - chance)
        assert row[f"kappa_{level}"].value == pytest.approx(expected, abs=2e-3), level
    assert tree["same_start"]["kappa_untrained"].value == pytest.approx(-0.1, abs=2e-3)
    assert row["judge"].value == pytest.approx(0.352 / 0.6, abs=1e-3)


def test_differences_are_against_plain_and_say_what_could_have_been_seen(tree):
    change = tree["longer"]["difference"]
    assert change["value"].value == pytest.approx(0.1 / 0.6, abs=2e-3)
    assert change["smallest_seen"].value > 0
    assert tree["longer"]["truth_difference"].value == pytest.approx(0.05)
    assert "difference" not in tree["plain"]


def test_what_is_gained_is_against_the_same_dictionaries_before_training(tree):
    before, after = (0.9 - 0.25) / 0.75, (0.8 - 0.4) / 0.6
    gained = tree["data_points"]["gained"]
    assert gained.value == pytest.approx(after - before, abs=2e-3)
    assert gained.low <= gained.value <= gained.high
    for row in ("same_start", "data_points_shared"):
        assert "gained" not in tree[row], "κ of one and the same start is 1 and cannot be exceeded"


def test_what_sharing_brings_is_against_the_row_with_its_own(tree):
    found = tree["data_points_shared"]["less_own"]
    assert found["between"].value == pytest.approx(0.15 / 0.6, abs=2e-3)
    assert found["judge"].value == pytest.approx(0.04 / 0.6)
    assert "less_own" not in tree["data_points"]


def test_the_summary_lists_rows_by_verdict(tree):
    found = tree["summary"]
    shared = f"{TITLES['data_points_shared']}; {TITLES['consistency']}"
    assert found["shared_and_more"]["quoted"] == shared
    assert found["raises_confirmed"]["quoted"] == TITLES["longer"]
    assert found["no_change_seen"]["quoted"] == "none"
    less = ("data_points", "data_points_shared", "consistency")
    assert found["truth"]["less_of_it"]["quoted"] == "; ".join(TITLES[row] for row in less)
    assert found["rows"] == 6


def test_the_summary_says_how_many_intervals_exclude_zero_and_how_many_would_by_luck(tree):
    found = tree["summary"]
    counts = {part: scalar.value for part, scalar in found["excluding_zero"].items()}
    assert counts == {"between": 6, "judge": 4, "truth": 4}
    assert found["by_luck"].value == pytest.approx(6 / 20)


def test_rows_that_stay_near_their_start_are_told_from_those_that_move(tree):
    moved = tree["summary"]["moved"]
    # plain, longer and relu share nothing: the further they move, the more stable they are
    assert moved["rows"] == 3
    assert moved["rank_correlation"].value == pytest.approx(-1.0)


def test_the_figure_has_the_most_stable_row_first(tree):
    figure = tree["figure"]
    declared = figure["declared"]["quoted"].split(", ")
    shown = [declared.index(row) for row in figure["rows"]["quoted"].split(", ")]
    values = figure["kappa_gauge"]["value"].values
    assert (np.diff(values[shown]) <= 0).all()
    assert values[declared.index("plain")] == tree["plain"]["kappa_gauge"].value
    assert figure["rows"]["quoted"].split(", ")[-1] == "relu"
    assert len(figure["names"]["quoted"].split(", ")) == 7


def test_an_estimate_may_land_as_far_off_as_its_interval_is_wide_on_another_processor(tree):
    for row in ("plain", "longer"):
        for leaf in ("judge", "cosine_with_start", "truth"):
            found = tree[row][leaf]
            assert found.allowed_difference == max(0.02, found.high - found.low)


def test_words_that_may_turn_are_not_compared_across_machines(tree):
    words = [address for address, leaf in leaves(tree) if isinstance(leaf, str)]
    free = ("name", "shared", "quoted")
    assert all(address.rpartition(".")[2] in free for address in words)


@pytest.mark.parametrize("profile", interventions.PROFILES)
@pytest.mark.parametrize("subject", interventions.SUBJECTS)
def test_all_rows_have_the_same_steps_but_the_longer_one(profile, subject):
    config = interventions.PROFILES[profile]
    every = interventions.trainings(config, subject)
    plain = every["plain"]

    def seen(training):
        return training.dictionary.epochs * training.samples

    for name, training in every.items():
        times = config.longer if name == "longer" else 1
        assert seen(training) == times * seen(plain), name
        assert training.dictionary.batch_size == plain.dictionary.batch_size
        assert training.dictionary.n_latents == plain.dictionary.n_latents
        assert training.seeds == plain.seeds


def test_rows_differ_from_plain_in_what_their_name_says():
    every = interventions.trainings(interventions.paper, "language")
    plain = every.pop("plain")
    as_variant = VariantConfig(plain.dictionary, plain.seeds, samples=plain.samples)
    changed = {
        name: _changed(training, plain if isinstance(training, TrainingConfig) else as_variant)
        for name, training in every.items()
    }
    assert changed["same_order"] == {"order"}
    assert changed["same_start"] == {"init_seeds"}
    assert changed["data_points"] == {"init"}
    assert changed["data_points_shared"] == {"init", "shared_init"}
    assert changed["archetypal_shared"] - changed["archetypal"] == {"shared_init"}
    assert changed["archetypal_shared"] - changed["centroids_shared"] == {"form", "weights_rate"}
    assert changed["batch_topk"] == {"architecture"}
    assert changed["longer"] == {"epochs"}
    assert changed["mfr"] == changed["l2"] == {"term", "weight"}
    assert all(changed.values())


def _changed(config, beside) -> set[str]:
    found = set()
    for field in fields(config):
        ours, theirs = getattr(config, field.name), getattr(beside, field.name)
        if field.name == "dictionary":
            found |= _changed(ours, theirs)
        elif ours != theirs:
            found.add(field.name)
    return found


def test_arms_say_what_their_seeds_share_and_whether_they_are_drawn():
    every = interventions.trainings(interventions.paper, "language")
    for arm in ARMS:
        training = every[arm.name]
        if isinstance(training, TrainingConfig):
            shares = training.init_seeds is not None or training.dictionary.order == "shared"
            assert arm.drawn, arm.name
        else:
            shares = training.shared_init or training.term in ("consistency", "mfr")
            assert arm.drawn == (training.init == "drawn"), arm.name
        assert bool(arm.shared) == shares, arm.name
        if arm.own:
            assert replace(every[arm.own], shared_init=True) == training


@pytest.mark.parametrize("profile", interventions.PROFILES)
def test_judges_share_no_seed_and_every_arm_is_trained_in_the_order_of_the_table(profile):
    config = interventions.PROFILES[profile]
    assert not {*config.references} & {*config.seeds}
    names = [arm.name for arm in ARMS]
    assert list(interventions.trainings(config, "planted")) == names
    trained = [name for family in interventions.FAMILIES for name in family]
    assert sorted(trained) == sorted([*names, interventions.REFERENCES])
    stages = {stage.name for stage in in_order(interventions.parts(config).values())}
    assert {"interventions/language/judged", "interventions/planted/judged"} <= stages
    (first, *_) = interventions.FAMILIES
    trained_there = interventions.family("planted", first, config).config
    by_name = dict(zip(trained_there.names, trained_there.trainings, strict=True))
    assert by_name[interventions.REFERENCES].seeds == config.references
    assert replace(by_name["plain"], seeds=config.references) == by_name[interventions.REFERENCES]


def test_arms_that_are_left_out_are_not_trained_and_the_others_stay_as_they_are():
    few = tuple(arm for arm in ARMS if arm.name in ("plain", "mfr", "l2"))
    config = replace(interventions.paper, arms=few)
    every = interventions.trainings(interventions.paper, "language")
    assert interventions.trainings(config, "language") == {a.name: every[a.name] for a in few}
    assert interventions.families(config) == [("plain", interventions.REFERENCES), ("l2", "mfr")]
    stage = interventions.language_rows(config)
    assert stage.config.arms == few
    names = {each.name for each in in_order([stage])}
    assert "interventions/language/judged" in names
    assert not any("planted" in name for name in names)


def test_rows_of_a_language_model_alone_are_those_beside_a_planted_truth(tree):
    alone = language_rows(CONFIG, FOUND)
    for name, row in alone.items():
        beside = {leaf: node for leaf, node in tree[name].items() if leaf in row}
        assert row == beside
        assert not {"truth", "planted_kappa", "truth_verdict"} & set(row)


def test_nothing_is_resampled_at_the_very_end():
    for config in interventions.PROFILES.values():
        dictionary = interventions.trainings(config, "language")["resampling"].dictionary
        steps = config.epochs * -(-config.tokens // dictionary.batch_size)
        assert steps % dictionary.resample_every
        assert dictionary.resample_every < steps / 2


def test_twins_are_followed_latent_by_latent():
    generator = np.random.default_rng(1)
    start = generator.standard_normal((1, SEEDS, 6, 4))
    start[:] = start[:, :1]
    far = generator.standard_normal((1, SEEDS, 6, 4))
    decoders = np.concatenate([start, far])
    table = np.full((2, SEEDS, SEEDS), 0.6) + 0.01 * np.arange(SEEDS)
    table = (table + table.transpose(0, 2, 1)) / 2
    comparison = {
        "epoch": np.array([0.0, 20.0]),
        "trained": {"max_cosine": table},
        "gauge": {"max_cosine": table - 0.3},
        "cosine_with_start": np.linspace(1.0, 0.5, 2)[:, None] + 0.001 * np.arange(SEEDS),
    }
    strangers = comparison | {"trained": {"max_cosine": table - 0.1}}
    found = drift(interventions.paper, {"trace": {"decoder": decoders}}, comparison, strangers)
    assert found["after0"]["same_latent"].value == pytest.approx(1.0)
    assert found["after20"]["same_latent"].value < 0.6
    assert found["after20"]["twins_less_strangers"].value > 0.1
    assert found["figure"]["epoch"].values.tolist() == [0.0, 20.0]


def test_transport_is_held_against_the_assignment_over_equal_chance():
    ring = np.full((SEEDS, SEEDS), np.nan)
    for s in range(SEEDS):
        ring[s, (s + 1) % SEEDS] = ring[(s + 1) % SEEDS, s] = 0.6 + 0.001 * s
    names = ("transported", "barycentric", "partners")
    trained = {"matched": ring} | {name: np.stack([ring + 0.1] * 3) for name in names}
    gauge = {"matched": ring - 0.4} | {name: np.stack([ring] * 3) for name in names}
    found = transport(
        interventions.paper, {"trained": trained, "gauge": gauge, "error": np.zeros(3)}
    )
    assert found["matched"]["kappa"].value == pytest.approx(0.5, abs=1e-2)
    node = found["middle"]["barycentric"]
    assert node["value"].value > found["matched"]["value"].value
    assert node["less_matched"].value < -0.2
    assert found["weak"]["epsilon"] == "0.02"


def test_settings_are_those_of_the_profile():
    found = interventions.printed(interventions.PROFILES["smoke"])
    assert found["steps"] == 16
    assert isinstance(found["decay_share"], Scalar)
    assert replace(interventions.paper).seeds == tuple(range(found["seeds"]))
