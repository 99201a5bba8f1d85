"""Training variants."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audit.training.variants.config import VariantConfig
from audit.training.variants.data_init import centroids, initial_rows
from audit.training.variants.reparametrized import (
    ReparametrizedTrainer,
    Selection,
    gates,
    soft_loss,
)
from audit.training.variants.train import (
    _dense_gradients,
    k_at,
    orthogonality,
    rate_at,
    temperature_at,
    train_variants,
)
from helpers.dictionaries_data import samples
from seedstability.dictionaries.config import TOPK, PairedConfig, TrainingConfig
from seedstability.dictionaries.samples import InMemory
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.initialization import activation_scaling, initial_sae
from seedstability.dictionaries.training.train import feed, train_all
from seedstability.errors import UserError

D, N, K, SEEDS = 12, 24, 3, (3, 4)
PLAIN = replace(TOPK, n_latents=N, k=K, epochs=3, batch_size=32, learning_rate=3e-3, order="own")
X = samples(320, D)
BASE = VariantConfig(PLAIN, SEEDS)
STEPS = 30
PARTS = ("encoder", "encoder_bias", "decoder", "decoder_bias")


def trained(config=BASE, x=X):
    return train_variants(InMemory(x), config).saes


def reparametrized(config, rows=None):
    """A `ReparametrizedTrainer` before its first step, and its feeds."""
    store = InMemory(X)
    scaling = activation_scaling(store, PLAIN)
    starts = [initial_sae(store, scaling, PLAIN, seed) for seed in SEEDS]
    feeds = [feed(store, scaling, PLAIN, 0, seed) for seed in SEEDS]
    made = ReparametrizedTrainer(
        starts, config, STEPS, lambda step: Selection(0.0), rows, [str(seed) for seed in SEEDS]
    )
    return made, feeds


def assert_equal(ours, theirs, **tolerance):
    for mine, other in zip(ours, theirs, strict=True):
        for part in PARTS:
            torch.testing.assert_close(getattr(mine, part), getattr(other, part), **tolerance)


def test_default_variants_have_the_same_bits_as_train_all():
    plain = train_all(X, TrainingConfig(PLAIN, SEEDS))
    assert_equal(trained(), [run.sae for run in plain], rtol=0, atol=0)


def test_default_reparametrized_trainer_agrees_with_train_all():
    made, feeds = reparametrized(BASE)
    made.advance(feeds, 10)
    plain = train_all(X, TrainingConfig(replace(PLAIN, epochs=1), SEEDS))
    scale = activation_scaling(InMemory(X), PLAIN).scale
    ours = [sae.rescaled(scale) for sae in made.saes()]
    assert_equal(ours, [run.sae for run in plain], rtol=1e-3, atol=1e-4)


def test_initialization_with_samples_is_per_seed_or_shared():
    config = replace(BASE, init="data_points", dictionary=replace(PLAIN, epochs=0))
    found = train_variants(InMemory(X), config)
    centered = X - X.mean(0)
    unit = centered / centered.norm(dim=1, keepdim=True)
    for decoder, sae in zip(found.initial_decoders, found.saes, strict=True):
        nearest = (decoder @ unit.t()).amax(1)
        torch.testing.assert_close(nearest, torch.ones(N))
        torch.testing.assert_close(sae.decoder, decoder)
    assert not torch.equal(*found.initial_decoders)
    shared = train_variants(InMemory(X), replace(config, shared_init=True))
    assert torch.equal(*shared.initial_decoders)
    assert torch.equal(shared.initial_decoders[0], found.initial_decoders[0])


def test_training_starts_from_the_samples():
    found = train_variants(InMemory(X), replace(BASE, init="data_points"))
    for sae, decoder in zip(found.saes, found.initial_decoders, strict=True):
        moved = (sae.decoder * decoder).sum(1)
        assert 0.7 < moved.mean() < 0.9999


def test_centroids_of_separated_clusters_are_their_means():
    generator = torch.Generator().manual_seed(0)
    means = 10 * torch.eye(4)
    x = torch.cat([mean + 0.1 * torch.randn(50, 4, generator=generator) for mean in means])
    first = x[[0, 50, 100, 150]]
    expected = torch.stack([part.mean(0) for part in x.split(50)])
    torch.testing.assert_close(centroids(x, first, 3), expected)


def test_a_centroid_without_samples_is_unchanged():
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    far = torch.full((1, 3), 1e3)
    assert torch.equal(centroids(x, torch.cat([x[:2], far]), 4)[2:], far)


def test_more_latents_than_samples_are_refused():
    with pytest.raises(UserError, match="at most 10"):
        initial_rows(X[:10], replace(BASE, init="data_points"))


def test_tied_dictionaries_stay_tied_in_training():
    config = replace(BASE, form="tied")
    found = train_variants(InMemory(X), config)
    for sae, before in zip(found.saes, found.initial_decoders, strict=True):
        gain = (sae.encoder * sae.decoder).sum(1)
        torch.testing.assert_close(gain, gain[:1].expand(N))
        torch.testing.assert_close(sae.encoder, gain[0] * sae.decoder)
        torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(N))
        assert (sae.decoder * before).sum(1).mean() < 0.999


def test_archetypal_rows_are_convex_combinations_of_their_points():
    config = replace(BASE, init="centroids", form="archetypal")
    points = torch.stack(initial_rows(X - X.mean(0), config))
    made, feeds = reparametrized(config, points)
    made.advance(feeds, 20)
    weights = made.weights
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(2), torch.ones(len(SEEDS), N))
    assert (weights.amax(2) < 0.999).any()
    rows = weights @ points
    rows = rows / rows.norm(dim=2, keepdim=True)
    torch.testing.assert_close(torch.stack([sae.decoder for sae in made.saes()]), rows)


def test_archetypal_and_free_rows_have_the_same_initialization():
    still = replace(PLAIN, epochs=0)
    both = [
        train_variants(
            InMemory(X), replace(BASE, dictionary=still, init="centroids", form=form)
        ).saes
        for form in ("free", "archetypal")
    ]
    assert_equal(*both, rtol=0, atol=0)


def test_k_is_annealed_to_k():
    config = replace(BASE, initial_k=4 * K)
    kept = [k_at(config, step, STEPS) for step in range(1, STEPS + 1)]
    assert kept[0] == 4 * K
    assert kept == sorted(kept, reverse=True)
    assert set(kept[STEPS // 2 :]) == {K}
    (sae, _) = trained(replace(config, cosine=True))
    assert sae.config == PLAIN
    assert int((sae.encode(X) != 0).sum(1).max()) <= K


def test_annealed_k_changes_training():
    assert not torch.equal(trained(replace(BASE, initial_k=4 * K))[0].decoder, trained()[0].decoder)


def test_cosine_decay_ends_near_zero():
    config = replace(BASE, cosine=True)
    assert rate_at(config, 1, STEPS) == PLAIN.learning_rate
    assert rate_at(config, STEPS, STEPS) < 0.01 * PLAIN.learning_rate
    assert rate_at(config, 1 + STEPS // 2, STEPS) == pytest.approx(PLAIN.learning_rate / 2)
    assert rate_at(BASE, STEPS, STEPS) == PLAIN.learning_rate
    still = replace(config, dictionary=replace(PLAIN, epochs=1))
    assert not torch.equal(
        trained(still)[0].decoder, trained(replace(still, cosine=False))[0].decoder
    )


def test_the_temperature_is_annealed_to_zero():
    config = replace(BASE, temperature=1.0)
    now = [temperature_at(config, step, STEPS) for step in range(1, STEPS + 1)]
    assert now[0] == 1.0
    assert (torch.tensor(now[:15]).diff() < 0).all()
    assert min(now[:15]) > config.final_temperature
    assert set(now[15:]) == {0.0}


def test_gates_at_low_temperature_equal_topk():
    pre = torch.randn(2, 7, N, generator=torch.Generator().manual_seed(2))
    cold, warm = gates(pre, K, 1e-6), gates(pre, K, 1.0)
    assert torch.equal(cold.round(), cold)
    assert torch.equal(cold.sum(2), torch.full((2, 7), float(K)))
    assert torch.equal(cold.topk(K).indices.sort().values, pre.topk(K).indices.sort().values)
    assert ((warm > 0) & (warm < 1)).all()


def test_soft_loss_at_low_temperature_equals_the_loss_of_topk():
    from seedstability.dictionaries.training.losses import loss

    made, feeds = reparametrized(BASE)
    x = torch.stack([next(each) for each in feeds])
    soft = soft_loss(made.parameters, x, PLAIN, 1e-7)
    hard = loss(made.parameters, x, PLAIN)
    torch.testing.assert_close(soft.total, hard.total)
    torch.testing.assert_close(soft.latents, hard.latents)


def test_soft_loss_is_the_squared_error_of_gated_latents():
    made, feeds = reparametrized(BASE)
    x = torch.stack([next(each) for each in feeds])
    bias = made.parameters.decoder_bias[:, None]
    pre = (x - bias) @ made.parameters.encoder.mT + made.parameters.encoder_bias[:, None]
    latents = pre.clamp_min(0) * gates(pre, K, 2.0)
    error = latents @ made.parameters.decoder + bias - x
    found = soft_loss(made.parameters, x, PLAIN, 2.0)
    torch.testing.assert_close(found.total, error.square().mean((1, 2)))


def test_orthogonality_is_the_squared_maximum_cosine():
    rows = torch.tensor(
        [[[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]]
    )
    best = [(1 + 1 + 0) / 3, (0.36 + 0.64 + 0.64) / 3]
    assert orthogonality(rows).item() == pytest.approx(sum(best))


def test_orthogonality_lowers_the_maximum_cosine_within_a_dictionary():
    def within(saes):
        return orthogonality(torch.stack([sae.decoder for sae in saes])).item()

    strict = replace(BASE, term="orthogonality", weight=1.0)
    assert within(trained(strict)) < 0.9 * within(trained())


def test_a_term_without_weight_changes_no_bit():
    assert_equal(trained(replace(BASE, term="orthogonality")), trained(), rtol=0, atol=0)
    assert_equal(trained(replace(BASE, term="mfr")), trained(), rtol=0, atol=0)
    assert_equal(trained(replace(BASE, term="l2")), trained(), rtol=0, atol=0)


def test_the_l2_term_is_the_mean_squared_norm_of_encoder_rows():
    sae = trained()[0]
    config = replace(BASE, term="l2", weight=0.3)
    (found,) = _dense_gradients([SimpleNamespace(sae=sae)], config)
    encoder = sae.encoder.clone().requires_grad_()
    (0.3 * encoder.square().sum(dim=1).mean()).backward()
    np.testing.assert_allclose(found.encoder, encoder.grad.numpy(), rtol=1e-6)
    assert not found.decoder.size


def test_the_l2_term_shrinks_encoders_and_leaves_decoder_rows_at_length_one():
    def norms(saes, part):
        return torch.stack([getattr(sae, part).norm(dim=1).mean() for sae in saes])

    strict, plain = trained(replace(BASE, term="l2", weight=0.1)), trained()
    assert (norms(strict, "encoder") < 0.9 * norms(plain, "encoder")).all()
    torch.testing.assert_close(norms(strict, "decoder"), torch.ones(len(SEEDS)))


@pytest.mark.parametrize("term", ["consistency", "mfr"])
def test_coupled_variants_equal_train_group(term):
    ours = trained(replace(BASE, term=term, weight=0.5))
    together = PairedConfig(PLAIN, weight=0.5, regularizer=term, order="own")
    assert_equal(ours, train_group(X, together, SEEDS), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"form": "archetypal"}, "needs init centroids"),
        ({"form": "tied", "cosine": True}, "need form free"),
        ({"temperature": 1.0, "initial_k": 6}, "need form free"),
        ({"term": "mfr", "init": "data_points"}, "need init drawn"),
        (
            {"dictionary": replace(PLAIN, architecture="relu"), "initial_k": 6},
            "need architecture topk",
        ),
    ],
)
def test_incompatible_settings_are_refused(changes, named):
    with pytest.raises(UserError, match=named):
        trained(replace(BASE, **changes))


def test_slow_weights_change_less_and_stay_on_the_simplex():
    config = replace(BASE, init="centroids", form="archetypal")
    points = torch.stack(initial_rows(X - X.mean(0), config))
    largest = {}
    for rate in (1.0, 0.01):
        made, feeds = reparametrized(replace(config, weights_rate=rate), points)
        torch.testing.assert_close(made.weights, torch.eye(N).repeat(len(SEEDS), 1, 1))
        made.advance(feeds, 10)
        torch.testing.assert_close(made.weights.sum(2), torch.ones(len(SEEDS), N))
        assert (made.weights >= 0).all()
        largest[rate] = made.weights.amax(2).mean().item()
    assert largest[1.0] < largest[0.01] < 1.0


def test_traced_decoders_equal_those_of_training():
    from audit.training.variants.stages import train_traced

    config = TrainingConfig(PLAIN, SEEDS, trace_epochs=(0, 1, 3))
    found = train_traced(config, {"train": X.numpy()})
    last = train_all(X, TrainingConfig(PLAIN, SEEDS))
    assert found["trace"]["epoch"].tolist() == [0, 1, 3]
    for seed, run in enumerate(last):
        traced = torch.from_numpy(found["trace"]["decoder"])[:, seed]
        assert torch.equal(traced[0], torch.from_numpy(found["initial_decoder"][seed]))
        assert torch.equal(traced[0], run.initial_decoder)
        assert torch.equal(traced[2], run.sae.decoder)
        assert not torch.equal(traced[1], traced[2])


def test_a_family_has_the_results_of_its_runs_by_name():
    from audit.training.variants.config import FamilyConfig
    from audit.training.variants.stages import train_family, train_member

    plain = TrainingConfig(PLAIN, SEEDS)
    given = {"train": X.numpy(), "heldout": X[:9].numpy()}
    found = train_family(FamilyConfig(("a", "b"), (plain, BASE)), given)
    assert set(found) == {"a", "b"}
    for name, config in (("a", plain), ("b", BASE)):
        alone = train_member(config, given)
        assert set(found[name]) == set(alone)
        for part in alone:
            assert (found[name][part] == alone[part]).all(), part
