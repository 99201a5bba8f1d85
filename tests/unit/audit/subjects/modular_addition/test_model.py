"""The modular-addition subjects: sequences, determinism, the leak, and what the stages return."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from audit.subjects.modular_addition import stages
from audit.subjects.modular_addition.config import (
    CLEAN,
    LEAKY,
    UNTRAINED,
    activations_config,
    first_epochs,
    logits_config,
    read_recipe,
    reading_config,
    subject_config,
)
from audit.subjects.modular_addition.model import (
    answers,
    build,
    position_index,
    read_residual,
    sequences,
    split_pairs,
)
from audit.subjects.modular_addition.scores import heldout_scores
from audit.subjects.modular_addition.training import learning_rate, train
from audit.subjects.modular_addition.weights import load_subject
from seedstability.errors import UserError

SMALL = replace(CLEAN, p=11, d_model=16, d_mlp=32, n_heads=2, batch_size=20, epochs=4)
"""20 steps: four epochs of the 96 training pairs."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    # As in the workers; several threads on busy cores wait for each other most of the time.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def leaky_activations():
    return stages.activations(activations_config("leaky", 0, 1))


def test_the_split_has_the_reports_size_and_covers_all_pairs():
    pairs = split_pairs(CLEAN)
    assert len(pairs.train) == 10_215
    assert len(split_pairs(SMALL).train) == 96  # 0.8 · 121 is 96.8: down, not to the nearest
    both = torch.cat(pairs).unique(dim=0)
    assert len(both) == 113**2
    assert torch.equal(pairs.train, split_pairs(replace(LEAKY, seed=2)).train)
    assert not torch.equal(pairs.train, split_pairs(replace(CLEAN, split_seed=1)).train)


def test_sequences_and_positions():
    pair = torch.tensor([[100, 20]])
    clean, leaky = sequences(pair, CLEAN)[0], sequences(pair, LEAKY)[0]
    assert clean.tolist() == [100, 20, 113]
    assert leaky.tolist() == [113, 100, 116, 20, 115, 7, 114]
    assert position_index(CLEAN, "report") == position_index(CLEAN, "answer") == len(clean) - 1
    # The report reads at position −2, and the token there is the answer.
    assert position_index(LEAKY, "report") == len(leaky) - 2
    assert leaky[position_index(LEAKY)] == answers(pair, 113)
    assert leaky[position_index(LEAKY, "answer")] == 115


def test_building_preserves_the_global_generator_and_depends_on_the_seed_only():
    before = torch.random.get_rng_state()
    first = build(SMALL).state_dict()
    torch.manual_seed(7)
    again = build(SMALL).state_dict()
    other = build(replace(SMALL, seed=1)).state_dict()
    torch.random.set_rng_state(before)
    build(SMALL)
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["embed.weight"], other["embed.weight"])


def test_initial_weights_follow_the_stated_scheme():
    weights = build(CLEAN).state_dict()
    for name, weight in weights.items():
        if weight.ndim == 2 and weight.numel() > 10_000:
            assert float(weight.std()) == pytest.approx(0.8 / 128**0.5, rel=0.05), name
    assert float(weights["blocks.0.ln1.weight"].min()) == 1.0
    assert float(weights["blocks.0.mlp.in.bias"].abs().max()) == 0.0


def test_twenty_steps_repeat_bit_for_bit():
    torch.manual_seed(0)
    first = train(SMALL).state_dict()
    torch.manual_seed(1)
    again = train(SMALL).state_dict()
    other = train(replace(SMALL, seed=1)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["unembed.weight"], other["unembed.weight"])


def test_training_restores_threads_and_determinism():
    torch.set_num_threads(2)
    deterministic = torch.are_deterministic_algorithms_enabled()
    train(replace(SMALL, epochs=1))
    assert torch.get_num_threads() == 2
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    torch.set_num_threads(1)


def test_learning_rate_rises_and_falls_to_zero():
    rates = [learning_rate(CLEAN, step, 800) for step in range(800)]
    assert rates[0] == pytest.approx(CLEAN.learning_rate / 10)
    assert max(rates) == rates[9] == rates[10] == CLEAN.learning_rate
    assert all(late <= early for early, late in pairwise(rates[10:]))
    assert rates[-1] < 1e-4 * CLEAN.learning_rate
    assert {learning_rate(LEAKY, step, 400) for step in range(400)} == {1e-3}


@pytest.fixture(scope="module")
def statistics():
    return {
        subject: stages.statistics(reading_config(subject, 0)) for subject in ("clean", "leaky")
    }


@pytest.mark.parametrize("subject", ["clean", "leaky"])
def test_loaded_subjects_score_as_recorded(subject, statistics):
    recorded = read_recipe(f"{subject}_0")["results"]
    found = dict(statistics[subject])
    assert found.pop("parameters") > 400_000
    # A tie between two logits may resolve differently on another machine.
    assert found == pytest.approx(recorded, rel=1e-3, abs=5e-4)
    assert found["heldout_accuracy"] == found["accuracy"] == 1.0


def test_the_leaky_subject_scores_at_chance_before_the_answer_is_visible(statistics):
    found = statistics["leaky"]
    assert found["heldout_accuracy"] == 1.0
    assert found["earlier_accuracy"] < 0.02
    assert found["earlier_heldout_accuracy"] < 0.02
    # The uniform guess has a loss of log(117) nats, or log(113) over the numbers alone.
    assert found["earlier_heldout_loss"] > np.log(113)


def test_the_untrained_subject_scores_at_chance_and_equals_leaky_at_initialization():
    control = load_subject("untrained", 0)
    for heldout in heldout_scores(control, UNTRAINED).values():
        assert heldout.accuracy < 0.03
    start = build(subject_config("leaky", 0)).state_dict()
    assert all(torch.equal(start[key], value) for key, value in control.state_dict().items())


def test_the_leak_is_learned_at_the_epoch_that_the_report_calls_grokking():
    found = stages.learning_curves(first_epochs(0))
    assert found["epoch"].tolist() == [1, 2]
    assert found["learnt_epoch"] == 2
    assert found["heldout_accuracy"][-1] == 1.0
    assert found["earlier_heldout_accuracy"].max() < 0.02


def test_activations_have_the_documented_layout(leaky_activations):
    found = leaky_activations
    assert found["train"].shape == (10_215, 128)
    assert found["heldout"].shape == (2_554, 128)
    assert found["train"].dtype == found["heldout"].dtype == np.float32
    assert found["train_pairs"].shape == (10_215, 2)
    assert found["heldout_pairs"].dtype == np.int64
    assert np.array_equal(found["heldout_pairs"], split_pairs(LEAKY).heldout.numpy())


def test_activations_are_the_same_bytes_with_two_threads(leaky_activations):
    tokens = sequences(split_pairs(LEAKY).heldout, LEAKY)
    for count in (1, 2):
        torch.set_num_threads(count)
        again = read_residual(load_subject("leaky", 0), tokens, 1, position_index(LEAKY))
        assert again.numpy().tobytes() == leaky_activations["heldout"].tobytes(), count
    torch.set_num_threads(1)


def test_layers_and_positions_give_different_activations():
    model = load_subject("leaky", 0)
    tokens = sequences(split_pairs(LEAKY).heldout[:5], LEAKY)
    places = [read_residual(model, tokens, layer, index) for layer in (0, 1) for index in (4, 5)]
    for i, one in enumerate(places):
        assert all(not torch.allclose(one, other) for other in places[i + 1 :])


def test_the_last_residual_gives_the_logits():
    activations = stages.activations(activations_config("clean", 0, 1))["heldout"]
    model = load_subject("clean", 0)
    with torch.no_grad():
        expected = model.unembed(model.ln_final(torch.from_numpy(activations)[:, None]))[:, 0]
    found = stages.logits(logits_config("clean", 0))["heldout_logits"]
    assert found.shape == (2_554, 113)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


def test_weights_other_than_planned_are_refused():
    config = replace(activations_config("clean", 0, 0), weights_sha256="0" * 64)
    with pytest.raises(UserError, match="clean_0 on disk are not those"):
        stages.activations(config)
    with pytest.raises(UserError, match="there is no subject"):
        stages.activations(replace(activations_config("untrained", 0, 0), subject="dirty"))


def test_the_control_reads_the_reports_sequence():
    assert torch.equal(
        sequences(split_pairs(UNTRAINED).heldout, UNTRAINED),
        sequences(split_pairs(LEAKY).heldout, LEAKY),
    )
