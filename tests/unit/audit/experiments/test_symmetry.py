"""Section "A known symmetry": values of searches with known outcomes, and planned stages."""

import numpy as np
import pytest

from audit.experiments.common.arms import NoSettings
from audit.experiments.modular import experiment as modular
from audit.experiments.symmetry import experiment as symmetry
from audit.experiments.symmetry.measurements import (
    FIGURE_WAYS,
    WAYS,
    example,
    figure,
    invariance,
    pooled,
    search_values,
    subjects,
)
from audit.pipeline.graph.stage import in_order
from audit.pipeline.results import leaves

LEVELS = {
    "value": (0.5, 0.55, 0.9, 0.92, 0.4),
    "gauge": (0.45, 0.46, 0.6, 0.65, 0.42),
    "phase": (0.2, 0.2, 0.25, 0.26, 0.2),
    "planted": (0.5, 0.5, 1.0, 1.0, 0.5),
}


def search(seeds=5, shift=0.0, noise=0.0) -> dict:
    """Result for a ring of pairs with `LEVELS`; `shift` is added to the search's own values."""
    generator = np.random.default_rng(0)
    tree: dict = {"seeds": seeds, "pairs": np.array([(s, (s + 1) % seeds) for s in range(seeds)])}
    for kind, levels in LEVELS.items():
        more = shift if kind == "value" else 0.0
        tree[kind] = {
            way: np.full(seeds, level + more) + noise * generator.standard_normal(seeds)
            for way, level in zip(WAYS, levels, strict=True)
        }
        for name in ("entropy", "common", "nearly", "certified", "moved", "covered"):
            tree[kind][name] = np.full(seeds, 0.5)
        tree[kind]["lines"] = np.tile([0.9, 0.1, 0.2, 0.3], (seeds, 1))
    return tree


def test_jump_is_the_gain_of_a_shift_minus_the_gain_of_each_null():
    tree = search_values([search()])
    assert tree["jump"]["raw"].value == pytest.approx(0.4)
    assert tree["jump"]["gauge"]["value"].value == pytest.approx(0.4 - 0.15)
    assert tree["jump"]["phase"]["value"].value == pytest.approx(0.4 - 0.05)
    assert tree["global_jump"]["gauge"]["value"].value == pytest.approx(0.05 - 0.01)
    assert tree["unit_jump"]["gauge"]["value"].value == pytest.approx(0.02 - 0.05)
    assert tree["position"]["raw"].value == pytest.approx(0.1)
    assert tree["position"]["gauge"]["value"].value == pytest.approx(0.1 - 0.03)


def test_each_way_has_its_own_levels():
    node = search_values([search()])["latent_shift"]
    assert node["value"].value == pytest.approx(0.9)
    assert node["gauge"].value == pytest.approx(0.6)
    assert node["excess_gauge"].value == pytest.approx(0.3)
    assert node["excess_phase"].value == pytest.approx(0.65)


def test_equal_change_of_all_ways_is_no_jump():
    tree = search_values([search(shift=0.07)])
    assert tree["jump"]["gauge"]["value"].value == pytest.approx(0.4 - 0.15)
    assert tree["plain"]["excess_gauge"].value == pytest.approx(0.05 + 0.07)


def test_subjects_have_equal_weight():
    tree = pooled(NoSettings(), {"clean0": search(seeds=10), "clean1": search(shift=0.3)})
    assert tree["plain"]["value"].value == pytest.approx(0.65)
    assert tree["plain"]["value"].interval == "95% jackknife over 15 seeds"


def test_noise_between_pairs_widens_interval_and_minimum_detectable_effect():
    quiet, loud = (search_values([search(noise=noise)])["jump"]["gauge"] for noise in (0.001, 0.01))
    for name in ("value", "ninety"):
        width = [node[name].high - node[name].low for node in (quiet, loud)]
        assert width[1] == pytest.approx(10 * width[0])
    assert loud["smallest_seen"].value == pytest.approx(10 * quiet["smallest_seen"].value)


def test_interval90_without_a_jump_lies_within_the_margin():
    level = search(noise=1e-4)
    level["value"]["latent_shift"] = level["value"]["plain"] + 0.151
    node = search_values([level])["jump"]["gauge"]
    assert node["value"].value == pytest.approx(0.0, abs=2e-3)
    assert -0.02 < node["ninety"].low < node["ninety"].high < 0.02


def test_shares_are_percentages_and_lines_keep_their_names():
    tree = pooled(NoSettings(), {"clean0": search()})
    assert tree["shifts"]["certified"]["value"].value == 50.0
    assert tree["shifts"]["entropy"]["gauge"].value == 0.5
    assert tree["kept"]["sum"]["value"].value == pytest.approx(0.9)
    assert tree["kept"]["second"]["gauge"].value == pytest.approx(0.3)
    assert tree["planted"]["latent_shift"].value == 1.0


def test_platform_tolerances_are_those_of_a_few_latents():
    tree = pooled(NoSettings(), {"clean0": search(noise=0.001)})
    assert tree["shifts"]["moved"]["value"].tolerance == 50.0
    assert tree["shifts"]["covered"]["value"].tolerance == 10.0
    for found in (tree["plain"]["value"], tree["jump"]["gauge"]["value"]):
        assert found.allowed_difference == max(0.03, found.high - found.low)


def test_each_subject_has_its_own_node():
    tree = subjects(NoSettings(), {"topk": {"clean0": search(), "clean1": search(shift=0.1)}})
    assert tree["topk"]["clean1"]["plain"]["value"].value == pytest.approx(0.6)
    assert tree["topk"]["clean0"]["plain"]["value"].value == pytest.approx(0.5)


def test_figure_has_the_values_of_the_table_in_its_own_order():
    drawn = figure(NoSettings(), {"topk": {"clean0": search(noise=0.01)}})["topk"]
    tree = search_values([search(noise=0.01)])
    for place, way in enumerate(FIGURE_WAYS):
        assert drawn["value"].values[place] == tree[way]["value"].value
        assert drawn["low"].values[place] == tree[way]["value"].low
        assert drawn["high"].values[place] == tree[way]["value"].high
        assert drawn["phase"].values[place] == tree[way]["phase"].value


def test_any_other_example_is_within_tolerance():
    maps = {name: np.eye(3) for name in ("latent", "plain", "shifted")}
    shown = {**maps, "plain_correlation": 0.3, "shifted_correlation": 0.9}
    for _, leaf in leaves(example(NoSettings(), {"example": shown})):
        assert leaf.allowed_difference >= 1.0


def test_invariant_share_has_the_relabeled_share_as_chance():
    variance = {"sum": 0.9, "difference": 0.0, "first": 0.0, "second": 0.0, "rest": 0.1}
    found = {"relabelled": np.array([0.01, 0.03]), "permuted": np.array([0.01])}
    kernels = [{"share": share, "variance": variance, **found} for share in (0.6, 0.8)]
    tree = invariance(NoSettings(), {"clean0": kernels[0], "clean1": kernels[1]})
    assert tree["all"]["share"].value == pytest.approx(70.0)
    assert tree["all"]["share"].chance == pytest.approx(2.0)
    assert tree["clean1"]["share"].value == pytest.approx(80.0)
    assert tree["all"]["variance"]["sum"].value == pytest.approx(90.0)


@pytest.mark.parametrize("profile", symmetry.PROFILES)
def test_subject_zero_is_the_modular_sections_and_others_follow_its_recipe(profile):
    settings = symmetry.PROFILES[profile]
    stages = {each.name: each for each in in_order(symmetry.parts(settings).values())}
    theirs = {each.name: each for each in in_order(modular.parts(settings.base).values())}
    for architecture in modular.ARCHITECTURES:
        name = f"modular/centre/{architecture}_clean/train"
        assert stages[name].config == theirs[name].config
        for subject in settings.subjects:
            train = stages[f"symmetry/{architecture}_clean{subject}/train"]
            assert train.config.dictionary == stages[name].config.dictionary
            assert train.needed["activations"].config.subject_seed == subject
            assert len(train.config.seeds) >= 5
            searched = stages[f"symmetry/{architecture}_clean{subject}/search"]
            assert searched.config.dictionary == train.config.dictionary
            assert searched.needed["activations"] is train.needed["activations"]
    moved = stages["symmetry/literature_clean0/search"]
    assert moved.needed["dictionaries"].name == "modular/conventions/relu_clean/train"
    assert moved.config.dictionary == moved.needed["dictionaries"].config.dictionary


def test_profiles_have_the_same_stages():
    paper, smoke = (symmetry.parts(symmetry.PROFILES[name]) for name in ("paper", "smoke"))
    assert {stage.name for stage in in_order(paper.values())} == {
        stage.name for stage in in_order(smoke.values())
    }
