"""Coupling terms and coupled training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.training import stages
from helpers.dictionaries_data import samples
from seedstability.dictionaries.config import HUSAI_TOPK, TOPK, PairedConfig, TrainingConfig
from seedstability.dictionaries.sae import PARTS
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.coupling_terms import (
    best_partners,
    consistency,
    mfr_warm_up,
    mutual_features,
)

X = samples(m=600, d=24)
ACTIVATIONS = {"train": X[:500].numpy(), "heldout": X[500:].numpy()}
SMALL = replace(HUSAI_TOPK, n_latents=64, k=4, suppression=1 / 4, epochs=3, batch_size=64)
PAIRED = PairedConfig(SMALL, pairs=((1, 2), (3, 4)), trace_decoders=True)


def plain_consistency(rows: torch.Tensor) -> torch.Tensor:
    """The term from the whole matrix of cosines."""
    first, second = torch.nn.functional.normalize(rows, dim=2)
    cosines = first @ second.T
    return -(cosines.max(1).values.mean() + cosines.max(0).values.mean()) / 2


def plain_mutual_features(rows: torch.Tensor) -> torch.Tensor:
    first, second = torch.nn.functional.normalize(rows, dim=2)
    return 1 - (first @ second.T).max(0).values.mean()


@pytest.mark.parametrize(
    ("term", "plain"),
    [(consistency, plain_consistency), (mutual_features, plain_mutual_features)],
)
def test_value_and_gradient_equal_those_from_the_matrix_of_cosines(term, plain):
    rows = 3 * torch.randn(2, 80, 12, generator=torch.Generator().manual_seed(0))
    ours, theirs = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    value, expected = term(ours), plain(theirs)
    value.backward()
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (ours.grad - theirs.grad).norm() / theirs.grad.norm() < 1e-5


@pytest.mark.parametrize("term", [consistency, mutual_features])
def test_terms_of_several_dictionaries_are_means_over_pairs(term):
    rows = torch.randn(3, 80, 12, generator=torch.Generator().manual_seed(0))
    pairs = [term(rows[[first, second]]).item() for first, second in ((0, 1), (0, 2), (1, 2))]
    assert term(rows).item() == pytest.approx(sum(pairs) / 3, rel=1e-6)


def test_ties_are_broken_by_the_first_partner():
    once, twice = torch.eye(3)[[1, 0]], torch.eye(3)[[1, 1, 0]]
    there, back = best_partners(once, twice)
    assert (there.tolist(), back.tolist()) == ([0, 2], [0, 0, 1])
    there, back = best_partners(twice, once)
    assert (there.tolist(), back.tolist()) == ([0, 0, 1], [0, 2])


def test_mfr_has_a_cosine_warm_up():
    assert [round(mfr_warm_up(step), 6) for step in (0, 50, 100, 1000)] == [0, 0.5, 1, 1]


@pytest.fixture(scope="module")
def uncoupled():
    return stages.train_pairs(PAIRED, ACTIVATIONS)


def test_a_pair_without_weight_equals_two_seeds_trained_alone(uncoupled):
    dictionary = replace(SMALL, order="shared")
    plain = stages.train(TrainingConfig(dictionary, seeds=(1, 2, 3, 4)), ACTIVATIONS)
    for part in (*PARTS, stages.INITIAL):
        both = uncoupled[part].reshape(plain[part].shape)
        assert np.array_equal(both, plain[part]), part


@pytest.mark.parametrize("regularizer", ["consistency", "mfr"])
def test_a_cut_gradient_changes_no_bit_and_a_connected_one_raises_similarity(
    uncoupled, regularizer
):
    weighted = replace(PAIRED, weight=3.0, regularizer=regularizer)
    cut = stages.train_pairs(replace(weighted, gradient="cut"), ACTIVATIONS)
    assert np.array_equal(cut["decoder"], uncoupled["decoder"])
    connected = stages.train_pairs(weighted, ACTIVATIONS)
    for member in (0, 1):
        moved = connected["decoder"][:, member] != uncoupled["decoder"][:, member]
        assert moved.mean() > 0.5
    drawn = connected["trace"]["max_cosine"][-1] - uncoupled["trace"]["max_cosine"][-1]
    assert (drawn > 0.001).all()


def test_shared_and_own_initialization_and_order():
    def decoders(**changes):
        result = stages.train_pairs(replace(PAIRED, **changes), ACTIVATIONS)
        return result["decoder"], result[stages.INITIAL]

    both, initial = decoders(initialization="shared", order="shared")
    assert np.array_equal(both[:, 0], both[:, 1])
    both, initial = decoders(initialization="shared", order="own")
    assert np.array_equal(initial[:, 0], initial[:, 1])
    assert not np.array_equal(both[:, 0], both[:, 1])
    _, initial = decoders(initialization="own", order="own")
    assert not np.array_equal(initial[:, 0], initial[:, 1])


def test_the_trace_has_every_epoch(uncoupled):
    trace = uncoupled["trace"]
    assert trace["epoch"].tolist() == [0, 1, 2, 3]
    assert np.array_equal(trace["decoder"][0], uncoupled[stages.INITIAL])
    assert np.array_equal(trace["decoder"][-1], uncoupled["decoder"])
    final = plain_consistency(torch.from_numpy(uncoupled["decoder"][1])).item()
    assert trace["max_cosine"][-1, 1] == pytest.approx(-final, rel=1e-5)
    assert trace["explained_variance"].shape == (4, 2, 2)


def test_pairs_of_our_topk_preset_train():
    right = replace(TOPK, n_latents=64, k=4, epochs=1, batch_size=64)
    result = stages.train_pairs(replace(PAIRED, dictionary=right, weight=0.1), ACTIVATIONS)
    assert np.isfinite(result["decoder"]).all()


def test_a_trace_of_both_ends_equals_those_of_the_whole_trace():
    whole = stages.train_pairs(PAIRED, ACTIVATIONS)
    ends = stages.train_pairs(replace(PAIRED, trace_every_epoch=False), ACTIVATIONS)
    assert ends["trace"]["epoch"].tolist() == [0, SMALL.epochs]
    for name, values in whole["trace"].items():
        assert np.array_equal(ends["trace"][name], values[[0, -1]]), name
    assert np.array_equal(ends["decoder"], whole["decoder"])


def test_three_coupled_seeds_become_more_similar():
    def alike(weight: float) -> float:
        trained = train_group(X, replace(PAIRED, weight=weight), seeds=(1, 2, 3))
        return -consistency(torch.stack([sae.decoder for sae in trained])).item()

    assert alike(3.0) > alike(0.0) + 0.001
