"""Stages of the language model: rows of activations, their contexts, and errors in one line."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.subjects.language_model import activation_store as store
from audit.subjects.language_model import stages
from audit.subjects.language_model.activation_store import read, stored_samples
from audit.subjects.language_model.config import ActivationsConfig, TextConfig, text_config
from helpers.tiny_checkpoints import save, tokenizer
from seedstability.errors import UserError


def contexts(seed: int, count: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).integers(1, tokenizer().get_vocab_size(), (count, 8))
    drawn[:, 0] = 0
    return drawn.astype(np.int32)


@pytest.fixture
def text():
    return {
        "train": {"code": contexts(0, 30), "prose": contexts(1, 20)},
        "heldout": {"code": contexts(2, 8), "prose": contexts(3, 6)},
    }


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDSTABILITY_ACTIVATIONS", str(tmp_path / "activations"))
    model = str(save(tmp_path / "model", "pythia"))
    return ActivationsConfig(model, "", "blocks.1.hook_mlp_out", tokens=100, heldout_contexts=6)


def test_heldout_rows_are_in_the_order_of_the_text(config, text):
    result = stages.activations(config, text)
    assert result["heldout"].shape == (6 * 7, 32)
    (again,) = (x[config.hook][0] for x in read(config, result["heldout_contexts"][4:5]))
    assert np.allclose(result["heldout"][4 * 7 : 5 * 7], again.numpy(), atol=1e-6)


def test_heldout_contexts_with_a_massive_token_are_left_out(config, text, monkeypatch):
    unusual = int(text["heldout"]["code"][0, 3])

    def inflated(model, tokens, hooks):
        scale = torch.where(tokens == unusual, 1000.0, 1.0)[..., None]
        return {hook: x * scale for hook, x in plain(model, tokens, hooks).items()}

    plain = store._at_hooks
    monkeypatch.setattr(store, "_at_hooks", inflated)
    config = replace(config, tokens=50, heldout_contexts=3, max_norm_multiple=10.0)
    result = stages.activations(config, text)
    assert not (result["heldout_contexts"][:, 1:] == unusual).any()
    assert result["heldout"].shape[0] == 3 * 7
    (again,) = (x[config.hook][0] for x in read(config, result["heldout_contexts"][2:3]))
    assert np.allclose(result["heldout"][2 * 7 :], again.numpy(), atol=1e-6)


def test_heldout_contexts_come_with_their_domain(config, text):
    result = stages.activations(config, text)
    for context, domain in zip(result["heldout_contexts"], result["heldout_domain"], strict=True):
        source = text["heldout"][("code", "prose")[domain]]
        assert (source == context).all(axis=1).any()


def test_a_single_domain_can_be_read(config, text):
    result = stages.activations(replace(config, domains=("prose",)), text)
    assert set(result["heldout_domain"].tolist()) == {1}
    prose = text["train"]["prose"]
    assert all((prose == context).all(axis=1).any() for context in result["train_contexts"])


def test_the_store_continues_where_the_sample_ends(config, text, monkeypatch):
    monkeypatch.setattr(stages, "SAMPLE", 40)
    result = stages.activations(config, text)
    samples = stored_samples(result)
    assert result["train"].shape[0] == 40
    assert samples.shape[0] == 100
    assert np.array_equal(samples.rows(torch.arange(40)).numpy(), result["train"])


def test_no_training_context_is_held_out(config, text):
    result = stages.activations(config, text)
    train, heldout = (
        {row.tobytes() for row in result[name]} for name in ("train_contexts", "heldout_contexts")
    )
    assert not train & heldout
    assert len(train) == 15  # of seven tokens each for a hundred


def test_held_out_contexts_do_not_depend_on_the_number_of_training_tokens(config, text):
    few, many = (stages.activations(replace(config, tokens=n), text) for n in (50, 200))
    assert np.array_equal(few["heldout_contexts"], many["heldout_contexts"])


def test_too_many_tokens_are_refused(config, text):
    with pytest.raises(UserError, match="58 contexts of code and prose are wanted, there are 50"):
        stages.activations(replace(config, tokens=400), text)


def test_another_corpus_than_the_recorded_one_is_refused():
    config = replace(text_config(), corpus_sha256="0" * 64)
    with pytest.raises(UserError, match=r"sympy [\d.]+ are installed, .* install requirements"):
        stages.text(config)


def test_settings_name_the_tokenizer_and_the_corpus():
    config = text_config()
    assert isinstance(config, TextConfig)
    assert len(config.tokenizer_sha256) == len(config.corpus_sha256) == 64
