"""Graphs of all experiments: functions, inputs and estimates of stages, parts of profiles."""

import importlib
import re

import pytest

from audit.experiments.common.estimates import estimate
from audit.experiments.registry import EXPERIMENTS, PROFILES, parts
from audit.pipeline.graph.stage import in_order
from seedstability.errors import UserError


def graph(profile):
    return in_order(stage for part in parts(profile).values() for stage in part.values())


@pytest.mark.parametrize("profile", PROFILES)
def test_every_stage_names_a_function_that_exists(profile):
    for stage in graph(profile):
        module, _, function = stage.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), stage.name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_input_is_an_argument_of_its_function(profile):
    for stage in graph(profile):
        module, _, function = stage.function.partition(":")
        code = getattr(importlib.import_module(module), function).__code__
        takes_any = bool(code.co_flags & 0x08)
        named = set(code.co_varnames[: code.co_argcount])
        assert takes_any or set(stage.inputs) <= named, stage.name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_stage_has_an_estimate_or_none(profile):
    """A stage without an estimate has an unknown cost, and planning goes on."""
    for stage in graph(profile):
        found = estimate(stage)
        assert found is None or found.seconds >= 0, stage.name


def test_finetuning_costs_as_much_as_training_of_equal_length():
    stages = {stage.name: stage for stage in graph("paper")}
    short, long = (estimate(stages[f"pooling/language/{arm}/train"]) for arm in ("votes", "long"))
    # Four passes and twenty, over as many dictionaries of the same size.
    assert 5 * short.seconds == pytest.approx(long.seconds)
    assert short.dictionaries == long.dictionaries == 5


def test_smoke_has_all_parts_of_the_paper_and_of_the_profiles_beside_it():
    shapes = {
        profile: {name: set(part) for name, part in parts(profile).items()} for profile in PROFILES
    }
    assert shapes["smoke"] == shapes["full"] | shapes["long"]
    assert shapes["paper"] == {n: part for n, part in shapes["full"].items() if n != "grid"}
    assert not shapes["long"].keys() & shapes["full"].keys()


def test_the_reports_seeds_come_first():
    from audit.experiments.consistency import experiment as consistency
    from audit.experiments.modular import experiment as modular

    assert modular.paper.seeds[:5] == (42, 123, 456, 789, 1011)
    assert len(set(modular.paper.seeds)) == 20
    assert consistency.paper.pairs[0] == (42, 123)


def test_no_reference_has_a_seed_of_a_pair():
    from audit.experiments.consistency import experiment as consistency

    for settings in consistency.PROFILES.values():
        members = {seed for pair in settings.pairs for seed in pair}
        assert not members & set(settings.reference_seeds)
        assert len(settings.reference_seeds) == len(settings.pairs)


@pytest.mark.parametrize(
    ("profile", "only", "named"),
    [("papr", (), "smoke, paper, long, full"), ("paper", ("modlar",), ", ".join(EXPERIMENTS))],
)
def test_unknown_profile_or_experiment_error_lists_the_known_ones(profile, only, named):
    with pytest.raises(UserError, match=re.escape(named)):
        parts(profile, only)
