"""The public model's latents are measured as the small one's are."""

import pytest

from audit.experiments.alignment import experiment as alignment
from audit.experiments.domains import experiment as domains
from audit.experiments.explanations import experiment as explanations
from audit.experiments.interventions import experiment as interventions
from audit.experiments.public.base import base
from audit.experiments.public_latents import experiment as latents
from audit.experiments.subspaces import experiment as subspaces
from audit.pipeline.graph.stage import in_order
from audit.subjects.language_model.config import PUBLIC

LONG = latents.PROFILES["long"]


def test_its_sections_are_measured_by_the_functions_of_the_small_models():
    ours = {part: stage.function for part, stage in latents.parts(LONG).items()}
    theirs = {
        **{f"aligned_{n}": each for n, each in alignment.parts(alignment.paper).items()},
        **{f"explained_{n}": each for n, each in explanations.parts(explanations.paper).items()},
        **subspaces.parts(subspaces.paper),
        **{f"domains_{n}": each for n, each in domains.parts(domains.paper).items()},
    }
    shared = set(ours) & set(theirs)
    assert {theirs[part].function == ours[part] for part in shared} == {True}
    assert set(theirs) - shared == {"aligned_hub", "explained_figure"}
    assert set(ours) - shared == {"interventions"}


@pytest.mark.parametrize("profile", latents.PROFILES)
def test_all_is_read_from_the_public_model_without_massive_norms(profile):
    stages = in_order(latents.parts(latents.PROFILES[profile]).values())
    read = [each.config for each in stages if "/activations/" in each.name]
    assert {(each.model, each.max_norm_multiple) for each in read} == {(PUBLIC, 10.0)}
    assert {each.domains for each in read} == {("code",), ("prose",), ("code", "prose")}
    assert all(each.name.startswith("public/") for each in stages)
    assert not any("modular" in each.name or "planted" in each.name for each in stages)


def test_unstable_latents_and_interventions_are_those_of_the_base_configuration():
    stages = {each.name: each for each in in_order(latents.parts(LONG).values())}
    trained = stages["public/language/centre/train"]
    assert trained.config.seeds == base.seeds
    for name in ("camps", "spans", "worth", "responses", "clusters"):
        read = stages[f"public/subspaces/language/{name}"].needed["dictionaries"]
        assert (read.name, read.config) == (trained.name, trained.config)
    judged = stages["public/interventions/language/judged"]
    assert set(judged.config.names) == set(latents.RAISING)
    assert judged.needed["activations"].config == trained.needed["activations"].config


def test_rules_are_learned_for_dictionaries_that_are_also_aligned():
    stages = {each.name: each for each in in_order(latents.parts(LONG).values())}
    explained = stages["public/explanations/explain"].needed["dictionaries"]
    assert explained.config == stages["public/alignment/size2048/train"].config


def test_no_seed_that_chose_a_setting_is_among_the_arms():
    chosen = {*range(1000, 1005)}
    used = {*LONG.alignment.seeds, *LONG.interventions.seeds, *LONG.interventions.references}
    assert not chosen & (used | {*LONG.subspaces.base.seeds})


def test_every_intervention_is_one_of_the_small_models_in_its_order():
    names = [each.name for each in LONG.interventions.arms]
    assert names == [each.name for each in interventions.ARMS if each.name in latents.RAISING]
    assert set(names) == set(latents.RAISING)
    assert names[0] == "plain"
