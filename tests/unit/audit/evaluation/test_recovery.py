"""Loss recovered: one for a perfect dictionary, zero for an empty one."""

import numpy as np
import pytest
import torch

from audit.evaluation.config import RecoveryConfig
from audit.evaluation.intervention import DownstreamModel
from audit.evaluation.recovery import NextTokenLoss, loss_recovered
from audit.subjects.language_model.checkpoint import open_model
from audit.training.stages import stacked
from helpers import tiny_checkpoints as tiny
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE

HOOK = "blocks.1.hook_resid_pre"
D = tiny.D_MODEL
RELU = DictionaryConfig(architecture="relu", n_latents=2 * D)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture(scope="module")
def inputs(folder):
    """Activations of the tiny model at the hook, without those at the separator."""
    tokens = tiny.contexts(10, 12)
    kept = {}
    hook = (HOOK, lambda value, hook: kept.update(x=value))
    with torch.no_grad():
        open_model(str(folder), False).run_with_hooks(tokens, fwd_hooks=[hook])
    x = kept["x"][:, 1:].flatten(0, 1)
    return {"train": x.numpy(), "heldout": x.numpy(), "heldout_contexts": tokens.numpy()}


def identity(scale=1.0):
    """A dictionary that reconstructs its input exactly: each coordinate with both signs."""
    rows = torch.cat([torch.eye(D), -torch.eye(D)])
    nothing = torch.zeros(2 * D)
    return SAE(scale * rows, nothing, rows.clone(), torch.zeros(D), nothing, RELU)


def measured(folder, inputs, *dictionaries, contexts=10):
    config = RecoveryConfig(RELU, str(folder), "any", HOOK, contexts=contexts)
    return loss_recovered(
        config, stacked(dictionaries, [sae.decoder for sae in dictionaries]), inputs
    )


def test_loss_recovered_is_one_for_a_perfect_and_zero_for_an_empty_dictionary(folder, inputs):
    found = measured(folder, inputs, identity(), identity(scale=0.0))
    assert found["loss"][0] == pytest.approx(found["clean"], abs=1e-5)
    assert found["loss"][1] == pytest.approx(found["zero"], abs=1e-6)
    np.testing.assert_allclose(found["recovered_zero"], [1, 0], atol=1e-4)
    assert found["recovered_mean"][0] == pytest.approx(1, abs=1e-3)


def test_the_clean_loss_equals_the_models_loss(folder, inputs):
    """Over tokens that follow any position but the separator."""
    tokens = torch.from_numpy(inputs["heldout_contexts"])
    with torch.no_grad():
        logits = open_model(str(folder), False)(tokens)[:, 1:-1]
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 2:].flatten())
    assert measured(folder, inputs, identity())["clean"] == pytest.approx(plain.item(), abs=1e-5)


def test_the_separator_is_never_changed(folder, inputs):
    tokens = torch.from_numpy(inputs["heldout_contexts"])
    downstream = DownstreamModel(open_model(str(folder), False), HOOK)
    seen = []
    changed = downstream.final_residual
    downstream.final_residual = lambda entering, change: (
        seen.append(change) or changed(entering, change)
    )
    NextTokenLoss(downstream, tokens).with_change(torch.ones(10, 11, D))
    assert not seen[0][:, 0].any()
    assert seen[0][:, 1:].all()


def test_zero_and_mean_ablation_give_different_shares(folder, inputs):
    found = measured(folder, inputs, identity(scale=0.5))
    assert found["zero"] != found["mean"]
    expected = (found["mean"] - found["loss"]) / (found["mean"] - found["clean"])
    np.testing.assert_allclose(found["recovered_mean"], expected)


def test_fewer_contexts_are_a_prefix(folder, inputs):
    few = {
        **inputs,
        "heldout": inputs["heldout"][:44],
        "heldout_contexts": inputs["heldout_contexts"][:4],
    }
    whole = measured(folder, inputs, identity(scale=0.5), contexts=4)
    assert whole["loss"] == pytest.approx(measured(folder, few, identity(scale=0.5))["loss"])
