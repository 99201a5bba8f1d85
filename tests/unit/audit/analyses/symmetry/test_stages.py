"""The stages of the symmetry section on dictionaries with known answers."""

import numpy as np
import pytest
import torch

from audit.analyses.symmetry import stages as symmetry
from audit.analyses.symmetry.config import InvarianceConfig, SymmetryConfig
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.stability.chance.null_models import GaugeBasis

P, N = 11, 12
RELU = DictionaryConfig(architecture="relu", n_latents=N)
CONFIG = SymmetryConfig(
    RELU, p=P, queries=8, fewest_firings=1, candidates=12, multipliers=8, example_side=5
)


def circle() -> torch.Tensor:
    """Activations on which a + b acts by rotations, so that rotated latents are translated ones."""
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    angles = [2 * torch.pi * k * (a + b).flatten() / P for k in (1, 2, 3)]
    return torch.stack([f(angle) for angle in angles for f in (torch.cos, torch.sin)], dim=1)


def activations(x=None, order=None) -> dict[str, np.ndarray]:
    x = circle() if x is None else x
    order = torch.randperm(P * P, generator=torch.Generator().manual_seed(1))
    pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))[order]
    cut = 90
    return {
        "train": x[order][:cut].numpy(),
        "heldout": x[order][cut:].numpy(),
        "train_pairs": pairs[:cut].numpy(),
        "heldout_pairs": pairs[cut:].numpy(),
    }


def rotated(rows: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
    """Rows that read at a + b + s the same as the given ones at a + b."""
    moved = rows.clone()
    for place, k in enumerate((1, 2, 3)):
        angle = 2 * torch.pi * k * sums / P
        x, y = rows[:, 2 * place], rows[:, 2 * place + 1]
        moved[:, 2 * place] = x * angle.cos() - y * angle.sin()
        moved[:, 2 * place + 1] = x * angle.sin() + y * angle.cos()
    return moved


def dictionaries(sums: list[torch.Tensor]) -> dict[str, np.ndarray]:
    """Dictionaries of the same random rows, each translated by given sums."""
    rows = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
    encoders = torch.stack([rotated(rows, each) for each in sums])
    S = len(sums)
    return {
        "encoder": encoders.numpy(),
        "decoder": encoders.numpy(),
        "encoder_bias": np.full((S, N), -0.5, np.float32),
        "decoder_bias": np.zeros((S, 6), np.float32),
        "threshold": np.zeros((S, N), np.float32),
    }


def own_shifts(S: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(P, (N,), generator=generator) for _ in range(S)]


def test_seeds_that_choose_elements_of_orbits_agree_after_latent_shifts_only():
    found = symmetry.search(CONFIG, dictionaries(own_shifts(3)), activations())["value"]
    np.testing.assert_allclose(found["latent_shift"], 1.0, atol=1e-4)
    assert (found["plain"] < 0.95).all()
    assert (found["global_shift"] < 0.97).all()
    np.testing.assert_allclose(found["certified"], 1.0)
    np.testing.assert_allclose(found["lines"][:, 0], 1.0, atol=1e-4)


def test_seeds_that_differ_by_one_shift_agree_after_a_global_shift():
    sums = [torch.full((N,), s) for s in (0, 3, 7)]
    found = symmetry.search(CONFIG, dictionaries(sums), activations())["value"]
    np.testing.assert_allclose(found["global_shift"], 1.0, atol=1e-4)
    np.testing.assert_allclose(found["moved"], 1.0)
    assert (found["plain"] < 0.95).all()


def test_equal_seeds_agree_and_a_random_shift_lowers_agreement():
    found = symmetry.search(CONFIG, dictionaries([torch.zeros(N)] * 3), activations())["value"]
    np.testing.assert_allclose(found["plain"], 1.0, atol=1e-4)
    assert (found["random_shift"] < 0.95).all()


def test_the_planted_control_is_found_and_each_pair_has_nulls():
    found = symmetry.search(CONFIG, dictionaries(own_shifts(3)), activations())
    assert found["pairs"].tolist() == [[0, 1], [1, 2], [2, 0]]
    np.testing.assert_allclose(found["planted"]["latent_shift"], [1.0], atol=1e-4)
    for kind in ("gauge", "phase"):
        assert found[kind]["latent_shift"].shape == (3,)
        assert (found[kind]["latent_shift"] < 0.999).all()


def test_the_example_shows_the_partner_translated_to_the_latent():
    found = symmetry.search(CONFIG, dictionaries(own_shifts(2)), activations())["example"]
    assert found["latent"].shape == (5, 5)
    np.testing.assert_allclose(found["shifted"], found["latent"], atol=1e-3)
    assert found["shifted_correlation"] > found["plain_correlation"]


def test_the_scramble_keeps_mean_and_covariance_of_pre_activations():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=generator) * torch.arange(1.0, 7.0) + 3.0
    sae = SAE(
        torch.randn(N, 6, generator=generator),
        torch.randn(N, generator=generator),
        torch.randn(N, 6, generator=generator),
        torch.randn(6, generator=generator),
        torch.zeros(N),
        RELU,
    )
    gauge = symmetry.Gauge(GaugeBasis.from_activations(x), x.mean(dim=0))
    scrambled = gauge.scramble(sae, generator)
    before, after = sae.pre_activations(x), scrambled.pre_activations(x)
    assert not torch.allclose(before, after, atol=0.1)
    torch.testing.assert_close(after.mean(dim=0), before.mean(dim=0), atol=1e-3, rtol=0)
    torch.testing.assert_close(after.T.cov(), before.T.cov(), atol=0.05, rtol=1e-3)


def test_rare_latents_are_not_drawn_and_too_few_are_refused():
    rare = dictionaries(own_shifts(2))
    rare["encoder_bias"][:, :5] = -100.0
    with pytest.raises(UserError, match="7 latents fire on at least 1 pairs; the search draws 8"):
        symmetry.search(CONFIG, rare, activations())


def test_pairs_are_placed_on_the_grid_and_a_missing_one_is_refused():
    given = activations()
    torch.testing.assert_close(symmetry.on_grid(given, P).flatten(0, 1), circle())
    given["heldout_pairs"][0] = given["train_pairs"][0]
    with pytest.raises(UserError, match="each of the 121 once"):
        symmetry.on_grid(given, P)


def test_each_seed_is_in_two_ring_pairs():
    assert symmetry.ordered_ring_pairs(2) == [(0, 1)]
    pairs = symmetry.ordered_ring_pairs(5)
    assert sorted(s for pair in pairs for s in pair) == sorted([*range(5)] * 2)


def test_rotations_are_invariant_and_relabeled_numbers_are_not():
    found = symmetry.invariance(InvarianceConfig(p=P, draws=3), activations())
    assert found["share"] == pytest.approx(1.0, abs=1e-5)
    assert found["variance"]["sum"] == pytest.approx(1.0, abs=1e-5)
    assert found["relabelled"].max() < 0.5
    assert found["permuted"].max() < 0.5


def test_a_kernel_of_equality_is_invariant_under_relabeling():
    a = torch.arange(P).repeat_interleave(P)
    found = symmetry.invariance(
        InvarianceConfig(p=P, draws=3), activations(torch.eye(P)[a].contiguous())
    )
    np.testing.assert_allclose(found["relabelled"], found["share"], atol=1e-5)
    assert found["permuted"].max() < 0.5
