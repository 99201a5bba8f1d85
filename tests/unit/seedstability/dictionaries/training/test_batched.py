"""Batched trainer: agrees with seeds trained alone and with torch's Adam."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.batched_trainer import (
    CONFIGS,
    TOTAL,
    B,
    D,
    N,
    batches,
    initial_saes,
    tensors,
    trained,
)
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import PARTS, SAE
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.dictionaries.training.losses import Parameters, loss
from seedstability.dictionaries.training.resampling import NewRows
from seedstability.dictionaries.training.schedules import rate_share, sparsity_share
from seedstability.errors import UserError


def assert_same(found: SAE, expected: SAE, tolerance: float) -> None:
    for part in PARTS:
        difference = (getattr(found, part) - getattr(expected, part)).abs().max()
        assert difference <= tolerance, part


@pytest.mark.parametrize("name", CONFIGS)
def test_seeds_trained_together_agree_with_seeds_trained_alone(name):
    config, x = CONFIGS[name], batches(steps=1)
    together = BatchedTrainer(initial_saes(config), config, TOTAL)
    losses = together.step(x[0])
    for seed, sae in enumerate(together.saes()):
        alone = BatchedTrainer(initial_saes(config)[seed : seed + 1], config, TOTAL)
        assert losses[seed].item() == pytest.approx(alone.step(x[0, seed]).item(), rel=1e-5)
        assert_same(sae, alone.saes()[0], 1e-5)
        assert torch.equal(together.firings[seed], alone.firings[0])
    assert (losses[0] - losses[1]).abs() > 1e-3


def adam_loop(initial: SAE, config: DictionaryConfig, x: torch.Tensor) -> SAE:
    """Train one seed with torch's optimizer."""
    p = Parameters(
        *(part[None].clone().requires_grad_() for part in (initial.encoder, initial.encoder_bias)),
        *(part[None].clone().requires_grad_() for part in (initial.decoder, initial.decoder_bias)),
        initial.threshold.clamp_min(1e-9).log()[None].requires_grad_(),
    )
    optimizer = torch.optim.Adam(p, lr=config.learning_rate)
    silent = torch.zeros(1, N)
    for step, batch in enumerate(x, start=1):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate_share(config, step, TOTAL)
        optimizer.zero_grad()
        dead = silent >= config.dead_after
        found = loss(p, batch[None], config, sparsity_share(config, step), dead)
        found.total.sum().backward()
        if config.remove_parallel_gradient:
            row = p.decoder.detach() / p.decoder.detach().norm(dim=2, keepdim=True)
            p.decoder.grad -= (p.decoder.grad * row).sum(2, keepdim=True) * row
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_([q for q in p if q.grad is not None], config.clip_norm)
        optimizer.step()
        if config.unit_norm_decoder:
            p.decoder.data /= p.decoder.data.norm(dim=2, keepdim=True)
        silent = torch.where((found.latents != 0).any(1), 0, silent + len(batch))
    parts = [part.detach()[0] for part in p]
    return SAE(*parts[:4], parts[4].exp(), config)


@pytest.mark.parametrize("name", CONFIGS)
def test_training_agrees_with_torchs_adam(name):
    config, x = CONFIGS[name], batches(steps=10, seeds=2)
    found = trained(config, x).saes()
    for seed, initial in enumerate(initial_saes(config, 2)):
        expected = adam_loop(initial, config, x[:, seed])
        if config.architecture != "jumprelu":  # no other threshold is learned
            expected = replace(expected, threshold=found[seed].threshold)
        assert_same(found[seed], expected, 1e-5)
        assert (found[seed].encoder - initial.encoder).abs().max() > 1e-3


def test_a_shared_batch_equals_the_same_batch_for_each_seed():
    config, x = CONFIGS["topk"], batches(steps=3)[:, :1]
    shared = BatchedTrainer(initial_saes(config), config, TOTAL)
    for batch in x:
        shared.step(batch[0])
    each = trained(config, x.expand(3, 3, B, D).contiguous())
    for one, other in zip(shared.saes(), each.saes(), strict=True):
        assert_same(one, other, 1e-6)


def test_each_seed_is_clipped_over_all_its_parameters():
    # Adam's first mean is a tenth of the gradient it was given.
    x = batches(steps=1)[0]
    x[1] *= 100
    lengths = {}
    for clip in (None, 0.2):
        config = replace(CONFIGS["topk"], clip_norm=clip)
        trainer = BatchedTrainer(initial_saes(config), config, TOTAL)
        trainer.step(x)
        means = [part for name, part in tensors(trainer).items() if name.endswith("_mean")]
        assert len(means) == 4
        lengths[clip] = 10 * sum(mean.square().flatten(1).sum(1) for mean in means).sqrt()
    assert lengths[None][1] > 10 > lengths[None][0] > 0.2
    assert lengths[0.2] == pytest.approx(torch.full((3,), 0.2), rel=1e-5)
    config = replace(CONFIGS["topk"], clip_norm=5.0)
    loose = trained(config, x[None])
    first = tensors(loose)
    length = sum(v[0].square().sum() for k, v in first.items() if k.endswith("_mean")).sqrt()
    assert 10 * length.item() == pytest.approx(lengths[None][0].item(), rel=1e-5)


def test_adams_first_step_has_the_scheduled_learning_rate():
    for warm_up in (0, 8):
        config = replace(CONFIGS["relu"], warm_up_steps=warm_up)
        moved = trained(config, batches(1)).saes()[0].encoder - initial_saes(config)[0].encoder
        expected = config.learning_rate / max(1, warm_up)
        assert moved.abs().max().item() == pytest.approx(expected, rel=1e-2)


def test_sparsity_follows_its_schedule():
    config, x = CONFIGS["relu"], batches(1)
    without = BatchedTrainer(initial_saes(config), replace(config, l1=0.0), TOTAL).step(x[0])
    full = replace(config, sparsity_warm_up_steps=0)
    extra = BatchedTrainer(initial_saes(config), full, TOTAL).step(x[0]) - without
    fifth = BatchedTrainer(initial_saes(config), config, TOTAL).step(x[0]) - without
    assert (extra > 0.01).all()
    assert torch.allclose(5 * fifth, extra, rtol=1e-3)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_a_frozen_decoder_is_unchanged_and_not_clipped(clip):
    config, x = replace(CONFIGS["topk"], clip_norm=clip), batches(3)
    trainer = trained(config, x, frozen_decoder=True)
    for sae, initial in zip(trainer.saes(), initial_saes(config), strict=True):
        assert torch.equal(sae.decoder, initial.decoder)
        assert not torch.equal(sae.encoder, initial.encoder)
        assert not torch.equal(sae.decoder_bias, initial.decoder_bias)
    first = tensors(trained(config, x[:1], frozen_decoder=True))
    means = [part for name, part in first.items() if name.endswith("_mean")]
    length = 10 * sum(mean.square().flatten(1).sum(1) for mean in means).sqrt()
    assert len(means) == 3
    assert torch.allclose(length, torch.tensor(0.1), rtol=1e-5) is (clip is not None)


@pytest.mark.parametrize("unit", [True, False])
def test_decoder_rows_have_length_one_with_unit_norm(unit):
    config = replace(CONFIGS["relu"], unit_norm_decoder=unit, remove_parallel_gradient=False)
    off = [(sae.decoder.norm(dim=1) - 1).abs().max() for sae in trained(config, batches(5)).saes()]
    assert (max(off).item() < 1e-6) is unit


def test_batch_topk_threshold_is_the_moving_average_of_the_smallest_value_kept():
    config = replace(CONFIGS["batch_topk"], threshold_ema_decay=0.8)
    trainer, x = BatchedTrainer(initial_saes(config), config, TOTAL), batches(6)
    sums, weights = torch.zeros(3), 0.0
    assert not trainer.saes()[0].threshold.any()
    for step, batch in enumerate(x):
        biases = trainer.parameters.encoder_bias.data.clone()
        if step == 3:
            trainer.parameters.encoder_bias.data.fill_(-1e3)
        latents = loss(trainer.parameters, batch, config).latents
        trainer.step(batch)
        if step == 3:  # nothing is kept, so there is no smallest value
            assert not latents.any()
            trainer.parameters.encoder_bias.data.copy_(biases)
            continue
        smallest = torch.stack([one[one > 0].min() for one in latents])
        sums, weights = 0.8 * sums + 0.2 * smallest, 0.8 * weights + 0.2
    for seed, sae in enumerate(trainer.saes()):
        assert torch.allclose(sae.threshold, (sums[seed] / weights).expand(N), rtol=1e-5)
    assert weights == pytest.approx(1 - 0.8**5)


def test_jumprelu_has_the_trained_thresholds():
    config = replace(CONFIGS["jumprelu"], bandwidth=0.5, warm_up_steps=0)
    trainer = trained(config, batches(3))
    for seed, sae in enumerate(trainer.saes()):
        assert torch.allclose(sae.threshold, trainer.parameters.log_threshold[seed].exp())
        assert (sae.threshold - config.threshold_init).abs().max() > 1e-6


def test_firings_are_per_epoch_and_since_fired_is_not():
    config, x = replace(CONFIGS["topk_auxk"], auxk=0), batches(4)
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL)
    fired, silent = torch.zeros(3, N, dtype=torch.int64), torch.zeros(3, N, dtype=torch.int64)
    for step, batch in enumerate(x):
        if step == 2:
            assert torch.equal(trainer.end_epoch(), fired)
            fired.zero_()
        now = (loss(trainer.parameters, batch, config).latents != 0).sum(1)
        trainer.step(batch)
        fired += now
        silent = torch.where(now > 0, 0, silent + B)
    assert torch.equal(trainer.firings, fired)
    assert torch.equal(trainer.since_fired, silent)
    assert silent.max() == 4 * B
    assert 0 < silent[silent > 0].min() < 4 * B


def test_auxk_starts_after_dead_after_samples():
    config, x = CONFIGS["topk_auxk"], batches(4)
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL)
    plain = BatchedTrainer(initial_saes(config), replace(config, auxk=0), TOTAL)
    for step, batch in enumerate(x):
        if step == 1:
            trainer.end_epoch()  # updates the upper bound of since_fired
        losses, without = trainer.step(batch), plain.step(batch)
        assert (losses > without).all() == (step >= 2)  # 2 · B samples before it
        assert step >= 2 or torch.equal(losses, without)


def test_replaced_latents_have_new_rows_and_no_moments():
    config, x = replace(CONFIGS["jumprelu"], decoder_bias=True, bandwidth=0.5), batches(4)
    trainer = trained(config, x[:3])
    trainer.since_fired += 5
    before = tensors(trainer)
    latents, rows = torch.tensor([3, 17]), torch.randn(2, 2, D)
    trainer.replace_latents(1, NewRows(latents.numpy(), rows[0].numpy(), rows[1].numpy()))
    after, chosen = tensors(trainer), torch.zeros(3, N, dtype=torch.bool)
    chosen[1, latents] = True
    expected = {"encoder": rows[0], "decoder": rows[1]}
    for name in ("encoder", "encoder_bias", "decoder"):
        parts = [name, f"{name}_mean", f"{name}_square"]
        for part in parts:
            value = expected.get(part, torch.zeros(()))
            assert before[part][chosen].any(), part
            assert torch.allclose(after[part][chosen], value.expand_as(after[part][chosen]))
            assert torch.equal(after[part][~chosen], before[part][~chosen])
    assert before["since_fired"][~chosen].any()
    assert not after["since_fired"][chosen].any()
    changed = {n for n in before if n.startswith(("encoder", "decoder"))} | {"since_fired"}
    for part in before.keys() - changed:
        assert torch.equal(after[part], before[part]), part
    for part in ("decoder_bias", "decoder_bias_mean", "decoder_bias_square"):
        assert torch.equal(after[part], before[part]), part
    trainer.step(x[3])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_restored_state_continues_with_the_same_bits(name):
    config, x = CONFIGS[name], batches(6)
    whole, first = trained(config, x), trained(config, x[:3])
    second = BatchedTrainer(initial_saes(config), config, TOTAL)
    second.load(first.state())
    for batch in x[3:]:
        second.step(batch)
    for part, value in tensors(whole).items():
        assert torch.equal(tensors(second)[part], value), part
    for one, other in zip(second.saes(), whole.saes(), strict=True):
        assert_same(one, other, 0.0)


def test_a_state_is_a_copy():
    config, x = CONFIGS["topk"], batches(2)
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL)
    state, saes = trainer.state(), trainer.saes()
    trainer.step(x[0])
    fresh = BatchedTrainer(initial_saes(config), config, TOTAL).state()
    assert np.array_equal(state["encoder"], fresh["encoder"])
    assert_same(saes[0], initial_saes(config)[0], 0.0)


@pytest.mark.parametrize("every", [1, 4])
def test_a_loss_that_is_not_finite_names_seed_and_step(every):
    config, x = CONFIGS["topk"], batches(8)
    x[5, 1, 0, 0] = torch.nan
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL, names=["7", "42", "9"])
    trainer._steps_between_checks = every  # above 1 as on an asynchronous device
    seen_at = 6 if every == 1 else 8
    for batch in x[: seen_at - 1]:
        trainer.step(batch)
    with pytest.raises(UserError, match=r"seed 42, step 6: the loss is nan.*\(0\.0003\)"):
        trainer.step(x[seen_at - 1])


@pytest.mark.parametrize(
    "read", [BatchedTrainer.end_epoch, BatchedTrainer.saes, BatchedTrainer.state]
)
def test_results_are_returned_only_after_losses_were_checked(read):
    config, x = CONFIGS["topk"], batches(1)
    x[0, 2] = torch.inf
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL)
    trainer._steps_between_checks = 10
    trainer.step(x[0])
    with pytest.raises(UserError, match="seed 2, step 1: the loss is"):
        read(trainer)


def test_a_dictionary_without_live_latents_is_refused():
    config = CONFIGS["relu"]
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL, names=["7", "42", "9"])
    trainer.parameters.encoder_bias.data[1] = -1e3
    trainer.step(batches(1)[0])
    with pytest.raises(UserError, match=r"seed 42, step 1: no latent fired.*lower l1 \(0\.01\)"):
        trainer.end_epoch()


def test_no_random_number_is_drawn():
    before = torch.get_rng_state()
    trained(CONFIGS["topk_auxk"], batches(3)).saes()
    assert torch.equal(torch.get_rng_state(), before)
