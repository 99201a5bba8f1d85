"""The three Fourier measures on latents and directions with known answers."""

import math

import numpy as np
import pytest
import torch

from audit.evaluation import fourier as measures
from audit.evaluation.config import FourierConfig
from audit.evaluation.stages import fourier
from audit.training import stages
from audit.training.config import ControlConfig
from seedstability.errors import UserError

P = 29
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))
SUMS = PAIRS.sum(1) % P


def wave(frequency: int, phase: float = 0.3, sums=SUMS, p: int = P) -> torch.Tensor:
    return torch.cos(2 * math.pi * frequency * sums / p + phase)


def test_one_frequency_has_concentration_one_and_two_share_it():
    values = torch.stack([wave(3), wave(3) + wave(5), 2 + 7 * wave(14, 1.0)], dim=1)
    found = measures.fourier_concentration(values, SUMS, P)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5, 1.0]).double(), atol=1e-5, rtol=0)


def test_variance_that_does_not_depend_on_the_sum_counts_in_the_total():
    a_alone = math.sqrt(2) * torch.cos(2 * math.pi * PAIRS[:, 0] / P)
    mixed = (wave(3) * math.sqrt(2) + a_alone)[:, None]
    assert measures.fourier_concentration(mixed, SUMS, P).item() == pytest.approx(0.5, abs=1e-5)


def test_concentration_is_the_best_regression_even_for_uneven_sums():
    generator = torch.Generator().manual_seed(0)
    chosen = torch.nonzero(SUMS < 17).flatten()
    chosen = chosen[torch.randperm(len(chosen), generator=generator)[:300]]
    values = torch.randn(300, 4, generator=generator) + wave(2)[chosen, None]
    found = measures.fourier_concentration(values, SUMS[chosen], P)
    best = torch.zeros(4, dtype=torch.float64)
    y = (values - values.mean(0)).double()
    for frequency in range(1, P // 2 + 1):
        design = torch.stack(
            [wave(frequency, phase, SUMS[chosen]) for phase in (0.0, math.pi / 2)], dim=1
        ).double()
        design = torch.cat([design, torch.ones(300, 1).double()], dim=1)
        fitted = design @ torch.linalg.lstsq(design, y).solution
        best = best.maximum(1 - (y - fitted).square().sum(0) / y.square().sum(0))
    torch.testing.assert_close(found, best, atol=1e-5, rtol=1e-4)


def test_a_constant_latent_has_no_concentration():
    values = torch.stack([torch.zeros(len(SUMS)), wave(1)], dim=1)
    found = measures.fourier_concentration(values, SUMS, P)
    assert found.isnan().tolist() == [True, False]
    assert measures.finite_mean(found) == pytest.approx(1, abs=1e-5)


def test_chance_latents_have_the_given_firing_rates():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(SUMS), 8, generator=generator)
    rate = torch.tensor([0.0, 0.1, 0.5, 1.0])
    found = measures.fourier_concentration_by_chance(noise, rate, SUMS, generator, P)
    assert found.isnan().tolist() == [True, False, False, False]
    assert (found[1:] < 0.05).all()
    # If activations hold only one frequency, every direction has it.
    carried = torch.stack([wave(4, 0.0), wave(4, math.pi / 2)], dim=1)
    found = measures.fourier_concentration_by_chance(
        carried, torch.tensor([1.0]), SUMS, generator, P
    )
    assert found.item() > 0.9


def test_decoder_concentration_inside_and_outside_a_frequencys_plane():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    x = wave(3)[:, None] * basis[0] + wave(3, 2.0)[:, None] * basis[1] + wave(5)[:, None] * basis[2]
    x = x + torch.randn(len(SUMS), 1, generator=generator) * basis[3] + 4 * basis[4]
    planes = measures.frequency_planes(x, SUMS, P)
    rows = torch.stack([basis[0] + basis[1], basis[0] + basis[2], basis[6]])
    found = measures.decoder_concentration(3 * rows, planes)
    assert found[0] == pytest.approx(1, abs=0.01)
    assert found[1] == pytest.approx(0.5, abs=0.05)
    chance = measures.decoder_concentration_by_chance(x, planes, 2000, generator).mean()
    assert 0.05 < chance < 0.95
    means = measures.answer_means(x, SUMS, P)
    assert measures.decoder_concentration(means, planes).mean() > 0.5


def test_naive_overlap_of_random_directions_is_the_documented_chance():
    generator = torch.Generator().manual_seed(0)
    mean, spread = measures.naive_overlap_by_chance(1024, 128, 10, generator)
    assert mean == pytest.approx(0.254, abs=0.003)
    assert spread < 0.003


def test_naive_overlap_finds_a_wave_along_the_coordinates_and_its_sign():
    wide = torch.zeros(1, 128)
    wide[0, :113] = torch.cos(2 * math.pi * 7 * torch.arange(113) / 113)
    wide[0, 113:] = 100.0
    assert measures.naive_fourier_overlap(wide) == pytest.approx(1, abs=1e-5)
    assert measures.naive_fourier_overlap(-wide) < 0.2
    assert measures.naive_fourier_overlap(wide[:, :40]) < 1


def test_sums_out_of_range_are_refused():
    with pytest.raises(UserError, match="need one in 0…28"):
        measures.fourier_concentration(torch.zeros(5, 2), torch.tensor([0, 1, 2, 3, 29]), P)


def test_the_stage_measures_the_named_dictionaries_with_chance_and_control():
    generator = torch.Generator().manual_seed(0)
    carried = torch.stack([wave(3, 0.0), wave(3, 1.5), wave(5, 0.0), wave(5, 1.5)], dim=1)
    x = torch.cat([carried, 0.3 * torch.randn(len(SUMS), 8, generator=generator)], dim=1)
    logits = torch.cos(2 * math.pi * 3 * (SUMS[:, None] - torch.arange(P)) / P)
    activations = {"train_pairs": PAIRS[:700].numpy(), "heldout_pairs": PAIRS[700:].numpy()}
    activations |= {"train": x[:700].numpy(), "heldout": x[700:].numpy()}
    answers = {"train_logits": logits[:700].numpy(), "heldout_logits": logits[700:].numpy()}
    control = ControlConfig("data_points", n_latents=40, seeds=(1, 2, 3), k=4)
    made = stages.control(control, activations)
    config = FourierConfig(control.dictionary, seeds=(1, 2), p=P, naive_draws=3)
    result = fourier(config, made, activations, answers)
    assert result["latents"]["each"].shape == (2, 40)
    assert result["latents"]["control"] == pytest.approx(1, abs=1e-4)
    for measure in ("latents", "decoder", "naive"):
        value, chance = result[measure]["value"], result[measure]["chance"]
        assert value.shape == chance.shape == (2,)
        assert np.isfinite(value).all()
        assert (chance > 0).all()
