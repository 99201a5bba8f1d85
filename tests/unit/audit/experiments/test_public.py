"""The public model is measured as the small one is, under names of its own."""

import math
from dataclasses import replace

import pytest

from audit.experiments.public import experiment as public
from audit.experiments.public.base import HOOKS
from audit.experiments.public.experiment import SubjectNames
from audit.experiments.public.measurements import subject
from audit.experiments.registry import parts
from audit.experiments.tokens import experiment as tokens
from audit.pipeline.graph.stage import in_order
from audit.subjects.language_model.config import PUBLIC


def test_its_sections_are_measured_by_the_functions_of_the_small_models():
    ours = public.parts(public.PROFILES["long"])
    theirs = tokens.parts(tokens.paper)
    for part in ("centre", "layers", "sizes", "amounts", "report"):
        assert ours[part].function == theirs[part].function
    assert ours["layers"].needed.keys() == theirs["layers"].needed.keys()


def test_more_passes_change_the_steps_and_nothing_else():
    long = public.PROFILES["long"]
    stage = tokens.passes(long.tokens, long.passes)
    sweep = stage.inputs["sweep"]
    assert set(sweep) == {"1", "4", "16"}
    trained = {n: arm["partners"].needed["dictionaries"].config for n, arm in sweep.items()}
    for passes, config in trained.items():
        assert config.dictionary.epochs == int(passes)
        assert replace(config.dictionary, epochs=4) == trained["4"].dictionary
        assert config.samples == trained["4"].samples


@pytest.mark.parametrize("profile", public.PROFILES)
def test_every_dictionary_of_it_is_trained_on_the_public_model_without_massive_norms(profile):
    stages = in_order(public.parts(public.PROFILES[profile]).values())
    read = [each for each in stages if "/activations/" in each.name]
    assert len(read) >= 4
    assert {each.config.model for each in read} == {PUBLIC}
    assert {each.config.max_norm_multiple for each in read} == {10.0}
    trained = [each for each in stages if each.name.endswith("/train")]
    assert trained
    assert all(each.name.startswith("public/") for each in trained)


def test_smoke_holds_both_models_and_no_two_stages_share_a_name():
    stages = in_order(stage for part in parts("smoke").values() for stage in part.values())
    names = {each.name for each in stages}
    assert {"tokens/layers/first/train", "public/tokens/layers/first/train"} <= names


def test_no_seed_that_chose_a_setting_is_among_the_arms():
    long = public.PROFILES["long"]
    assert 1000 not in {*long.tokens.base.seeds, *long.seeds.base.seeds}


def test_hook_points_that_are_read_together_are_those_that_are_described():
    long = public.PROFILES["long"]
    assert set(long.tokens.base.together) == set(long.hooks.values()) == set(HOOKS.values())
    most = tokens._read(long.tokens.base, long.tokens.base.hook, long.tokens.most)
    assert most.config.together == ()


def described(nats: float, size: float) -> dict:
    return {"nats_per_token": nats, "bytes_per_token": size}


def test_losses_are_in_bits_a_byte():
    losses = {
        "small": {d: described(2 * math.log(2), 2.0) for d in ("code", "prose")},
        "public": {d: described(3 * math.log(2), 4.0) for d in ("code", "prose")},
    }
    ngrams = {"ngram": {"1": 4 * math.log(2), "5": 2.5 * math.log(2)}}
    at = dict.fromkeys(
        [
            "share",
            "share_at_beginning",
            "contexts",
            "variance",
            "largest_dimension",
            "mean_share",
            "largest",
            "effective_rank",
        ],
        0.25,
    )
    texts = {"small": {"train": {}}, "public": {"train": {}}}
    found = subject(
        SubjectNames(("first",)), texts, losses, dict.fromkeys(("code", "prose"), ngrams), {"0": at}
    )
    code = found["loss"]["code"]
    assert (code["small"].value, code["public"].value) == (pytest.approx(1.0), pytest.approx(0.75))
    # n-grams are of the small model's tokens, of two bytes each
    assert code["ngram5"].value == pytest.approx(1.25)
    assert found["massive"]["first"]["variance"].value == 25.0
    assert found["massive"]["first"]["largest"].value == 0.25


def test_conditions_of_the_report_lie_at_the_models_own_hook_points():
    settings = replace(public.PROFILES["long"].tokens)
    arms = tokens._conditions(settings)
    hooks = {name: arm["partners"].needed["activations"].config.hook for name, arm in arms.items()}
    assert hooks["at_first"] == HOOKS["first"]
    assert hooks["at_last"] == HOOKS["last"]
    assert {hooks[name] for name in ("at_middle", "at_middle_512")} == {HOOKS["middle"]}
