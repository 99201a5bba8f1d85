"""Training on a GPU agrees with the CPU, is deterministic, and has one-line errors."""

from dataclasses import replace

import pytest
import torch

from audit.training import stages
from helpers.batched_trainer import CONFIGS, TOTAL, B, batches, initial_saes, tensors, trained
from helpers.dictionaries_data import samples
from helpers.dictionaries_presets import ACTIVATIONS, PRESETS, X, identical
from seedstability.dictionaries.config import RELU, TrainingConfig
from seedstability.dictionaries.sae import PARTS
from seedstability.dictionaries.training import batched
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.dictionaries.training.losses import Parameters, loss
from seedstability.dictionaries.training.train import RunOptions, Trained, train, train_all
from seedstability.errors import UserError
from seedstability.numerics import pinning

CARD = "cuda"
CLOSE = {"atol": 2e-4, "rtol": 1e-3}
"""Tolerance between the batched trainer and the threaded trainer on a CPU."""
on_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA card")
SEEDS = (1, 2, 3)


@pytest.fixture(autouse=True)
def _deterministic(monkeypatch):
    """Deterministic algorithms, as in every stage."""
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, pinning.pins()[name])
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def on(device: str, name: str, seeds=SEEDS, **changed) -> list[Trained]:
    config = TrainingConfig(replace(PRESETS[name], **changed), seeds)
    return train_all(X, config, RunOptions(device=device))


def assert_close(found: Trained, expected: Trained) -> None:
    for part in PARTS:
        both = getattr(found.sae, part), getattr(expected.sae, part)
        torch.testing.assert_close(*both, **CLOSE, msg=lambda text, part=part: f"{part}: {text}")
    assert torch.equal(found.last_epoch_firings, expected.last_epoch_firings)


def assert_same_bits(first: BatchedTrainer, second: BatchedTrainer) -> None:
    others = tensors(second)
    for part, value in tensors(first).items():
        assert torch.equal(others[part], value), part


@on_card
@pytest.mark.parametrize("order", ["shared", "own"])
@pytest.mark.parametrize("name", PRESETS)
def test_training_agrees_with_the_cpu(name, order):
    both = (on(device, name, order=order) for device in (CARD, "cpu"))
    for found, expected in zip(*both, strict=True):
        assert found.sae.encoder.device.type == "cpu"
        assert_close(found, expected)


@on_card
@pytest.mark.parametrize("name", CONFIGS)
def test_steps_agree_with_the_cpu_in_the_whole_state(name):
    config, x = CONFIGS[name], batches(steps=10)
    found, expected = (tensors(trained(config, x, device=where)) for where in (CARD, "cpu"))
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        torch.testing.assert_close(found[part], value, **CLOSE, msg=lambda t, p=part: f"{p}: {t}")


@on_card
@pytest.mark.parametrize("name", CONFIGS)
def test_a_frozen_decoder_is_unchanged(name):
    config = CONFIGS[name]
    trainer = trained(config, batches(3), device=CARD, frozen_decoder=True)
    for sae, initial in zip(trainer.saes(), initial_saes(config), strict=True):
        assert torch.equal(sae.decoder, initial.decoder)
        assert not torch.equal(sae.encoder, initial.encoder)


@on_card
@pytest.mark.parametrize("name", PRESETS)
def test_repeated_runs_give_the_same_bits(name):
    for one, other in zip(on(CARD, name), on(CARD, name), strict=True):
        assert identical(one.sae, other.sae)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)


@on_card
@pytest.mark.parametrize("name", CONFIGS)
def test_repeated_large_runs_give_the_same_bits(name):
    """Large enough that sums and selections are split over the card."""
    x = samples(m=2048, d=128)
    config = replace(CONFIGS[name], n_latents=4096, k=32, batch_size=512, dead_after=512)
    both = (train(x, config, SEEDS, device=CARD) for _ in range(2))
    assert all(identical(*each) for each in zip(*both, strict=True))


@on_card
@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_alone_agrees_with_the_seed_among_others(name):
    (alone,) = on(CARD, name, seeds=(2,))
    assert_close(on(CARD, name)[1], alone)


class Interrupted(Exception):
    pass


@on_card
@pytest.mark.parametrize("name", PRESETS)
def test_an_interrupted_run_resumes_to_the_same_bits(name, tmp_path):
    config = TrainingConfig(PRESETS[name], (1, 2), trace_steps=(13,))
    whole = train_all(X, config, RunOptions(device=CARD))

    def interrupt(_):
        raise Interrupted

    options = RunOptions(device=CARD, checkpoint=tmp_path / "run.safetensors", checkpoint_every=12)
    with pytest.raises(Interrupted):
        train_all(X, config, options, interrupt)
    seen = []
    resumed = train_all(X, config, options, lambda snapshot: seen.append(snapshot.step))
    assert seen == [13]
    for one, other in zip(whole, resumed, strict=True):
        assert identical(one.sae, other.sae)
        assert torch.equal(one.last_epoch_firings, other.last_epoch_firings)


@on_card
def test_a_stage_uses_the_device_of_its_worker(monkeypatch):
    config = TrainingConfig(PRESETS["topk_auxk"], SEEDS, trace_epochs=(0, 2))
    expected = stages.train(config, ACTIVATIONS)
    monkeypatch.setenv("SEEDSTABILITY_DEVICE", CARD)
    found = stages.train(config, ACTIVATIONS)
    for name in (*PARTS, stages.INITIAL):
        torch.testing.assert_close(*map(torch.from_numpy, (found[name], expected[name])), **CLOSE)
    for name, values in expected["trace"].items():
        assert found["trace"][name] == pytest.approx(values, rel=1e-3, nan_ok=True), name


@on_card
def test_products_are_computed_in_float32():
    """TF32 would differ by some 3e-4."""
    generator = torch.Generator().manual_seed(3)
    shapes = (2, 512, 768), (2, 512), (2, 512, 768), (2, 768), (2, 512)
    p = Parameters(*(torch.randn(*shape, generator=generator) for shape in shapes))
    x = torch.randn(2, 256, 768, generator=generator)
    config = replace(RELU, n_latents=512)

    def gradients(device: str, dtype: torch.dtype) -> list[torch.Tensor]:
        leaves = Parameters(*(part.to(device, dtype).requires_grad_() for part in p))
        total = loss(leaves, x.to(device, dtype), config).total.sum()
        return [part.cpu().double() for part in torch.autograd.grad(total, leaves[:4])]

    exact = gradients("cpu", torch.float64)
    for found, expected in zip(gradients(CARD, torch.float32), exact, strict=True):
        assert (found - expected).norm() < 2e-6 * expected.norm()


@on_card
def test_a_loss_that_is_not_finite_names_seed_and_step_when_checked_later():
    config, x = CONFIGS["topk"], batches(8)
    x[5, 1, 0, 0] = torch.nan
    trainer = BatchedTrainer(initial_saes(config), config, TOTAL, CARD, names=["7", "42", "9"])
    for batch in x:
        trainer.step(batch)
    with pytest.raises(UserError, match="seed 42, step 6: the loss is nan") as raised:
        trainer.end_epoch()
    assert "\n" not in str(raised.value)


@on_card
def test_a_dictionary_without_live_latents_names_seed_and_step():
    dying = replace(PRESETS["relu"], l1=1e4, learning_rate=0.1, epochs=9)
    with pytest.raises(UserError, match=r"seed 5, step \d+: no latent fired"):
        train(X, dying, seeds=(5,), device=CARD)


@on_card
def test_too_little_memory_is_a_user_error():
    torch.cuda.empty_cache()
    large = replace(PRESETS["husai_relu"], n_latents=2**16, batch_size=512)
    torch.cuda.set_per_process_memory_fraction(1e-3)
    try:
        with pytest.raises(UserError, match="8 seeds at once do not fit the memory of cuda"):
            train(X, large, seeds=range(8), device=CARD)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_an_out_of_memory_error_of_torch_is_a_user_error(monkeypatch):
    def greedy(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(batched, "loss", greedy)
    trainer = BatchedTrainer(initial_saes(CONFIGS["topk"]), CONFIGS["topk"], TOTAL)
    with pytest.raises(UserError, match="3 seeds at once do not fit the memory of cpu; use fewer"):
        trainer.advance([iter([torch.zeros(B, 12)])], 1)


@pytest.mark.parametrize("devices", [("cpu", "cpu:0"), ("cpu:0", "cpu")])
def test_a_checkpoint_of_the_other_trainer_is_refused(devices, tmp_path):
    """`cpu:0` selects the batched trainer, as on a card."""
    config, path = TrainingConfig(PRESETS["topk"], (1, 2)), tmp_path / "run.safetensors"
    train_all(X, config, RunOptions(device=devices[0], checkpoint=path))
    with pytest.raises(UserError, match="is the checkpoint of a run on another device; resume"):
        train_all(X, config, RunOptions(device=devices[1], checkpoint=path))
