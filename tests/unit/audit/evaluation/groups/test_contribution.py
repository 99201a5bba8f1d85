"""Groups of latents set to zero within a model, with known losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.evaluation.groups.config import (
    AdditionContributionConfig,
    ContributionConfig,
    LanguageContributionConfig,
)
from audit.evaluation.groups.contribution import (
    contribution_in_addition,
    contribution_in_language_model,
)
from audit.subjects.language_model.checkpoint import open_model
from audit.subjects.modular_addition.config import activations_config, reading_config
from audit.subjects.modular_addition.stages import activations
from audit.training.stages import stacked
from helpers import tiny_checkpoints as tiny
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.stability.config import GroupsConfig

HOOK, CONTEXTS, LENGTH, SEEDS = "blocks.1.hook_resid_pre", 10, 12, 3


def identity(d):
    """Reconstruct the input exactly: one latent for each sign of each coordinate."""
    rows = torch.cat([torch.eye(d), -torch.eye(d)])
    nothing = torch.zeros(2 * d)
    config = DictionaryConfig(architecture="relu", n_latents=2 * d)
    return SAE(rows, nothing, rows.clone(), torch.zeros(d), nothing, config)


def camps(d):
    """Latents of positive signs recur in all seeds, the others in none."""
    best = np.tile(np.where(np.arange(2 * d) < d, 0.9, 0.1), (SEEDS, SEEDS, 1))
    best[range(SEEDS), range(SEEDS)] = np.nan
    rate = np.full((SEEDS, 2 * d), 0.5)
    return {"best": best, "live": np.ones((SEEDS, 2 * d), bool), "firing_rate": rate}


def contribution(d):
    return ContributionConfig(identity(d).config, GroupsConfig(fewest=d), seeds=(7,))


def dictionaries(d):
    made = stacked([identity(d)] * SEEDS, [identity(d).decoder] * SEEDS)
    return {**made, "seeds": np.arange(7, 7 + SEEDS)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.save(tmp_path_factory.mktemp("gpt2"), "gpt2"))


@pytest.fixture(scope="module")
def text(model):
    tokens = tiny.contexts(CONTEXTS, LENGTH)
    kept = {}
    hook = (HOOK, lambda value, hook: kept.update(x=value))
    with torch.no_grad():
        open_model(model, False).run_with_hooks(tokens, fwd_hooks=[hook])
    x = kept["x"][:, 1:].flatten(0, 1)
    return {"heldout": x.numpy(), "heldout_contexts": tokens.numpy()}


def plain_loss(model, tokens, edit):
    """Cross-entropy after all positions but the separator, with edited activations."""

    def at(value, hook):
        value[:, 1:] = edit(value[:, 1:])
        return value

    with torch.no_grad():
        logits = open_model(model, False).run_with_hooks(tokens, fwd_hooks=[(HOOK, at)])[:, 1:-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 2:].flatten()).item()


def test_loss_without_a_group_equals_the_loss_of_the_remaining_activations(model, text):
    d = tiny.D_MODEL
    config = LanguageContributionConfig(contribution(d), model, "any", HOOK, contexts=CONTEXTS)
    found = contribution_in_language_model(config, dictionaries(d), text, camps(d))
    tokens = torch.from_numpy(text["heldout_contexts"])
    clean = plain_loss(model, tokens, lambda x: x)
    assert found["loss_clean"] == pytest.approx(clean, abs=1e-5)
    assert found["nothing"]["loss"] == pytest.approx([clean], abs=1e-5)
    negative = plain_loss(model, tokens, lambda x: x.clamp(max=0))
    assert negative != pytest.approx(clean, abs=1e-3)
    assert found["stable"]["loss"] == pytest.approx([negative], abs=1e-5)
    mean = torch.from_numpy(text["heldout"]).mean(0)
    assert found["loss_mean"] == pytest.approx(
        plain_loss(model, tokens, lambda x: mean.expand_as(x)), abs=1e-5
    )


def test_addition_without_removal_scores_like_the_clean_subject():
    read = activations(activations_config("clean", 0, 1, "report"))
    few = {name: read[name][:300] for name in ("heldout", "heldout_pairs")}
    d = few["heldout"].shape[1]
    groups = replace(contribution(d), caliper=1.0)
    config = AdditionContributionConfig(groups, reading_config("clean", 0))
    found = contribution_in_addition(config, dictionaries(d), few, camps(d))
    assert found["accuracy_clean"] == 1.0
    assert found["nothing"]["accuracy"] == [1.0]
    assert found["nothing"]["loss"] == pytest.approx([found["loss_clean"]], abs=1e-4)
    assert found["accuracy_mean"] < 0.1
    # half of every activation is removed: still correct, but with a larger loss
    assert found["stable"]["loss"][0] > 2 * found["loss_clean"]
