"""Null models: what each keeps, and the chance level it gives."""

import pytest
import torch

from seedstability.errors import UserError
from seedstability.stability.chance.null_models import (
    GaugeBasis,
    data_directions,
    gauge_scramble,
    isotropic,
)
from seedstability.stability.cosine import max_cosine

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)

D = 128


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def falling_spectrum():
    """A covariance with eigenvalues 1/k on rotated axes."""
    Q = torch.linalg.qr(torch.randn(D, D, generator=generator(), dtype=torch.float64)).Q
    covariance = Q / torch.arange(1, D + 1) @ Q.T
    return (covariance + covariance.T) / 2


def test_chance_levels_of_the_definitions():
    # §2: with a 1/k spectrum, n=1024, d=128: isotropic 0.283, data 0.526, gauge 0.527.
    covariance, g = falling_spectrum(), generator(1)
    basis = GaugeBasis.from_covariance(covariance)
    levels = torch.zeros(12, 3)
    for level in levels:
        A, B = (data_directions(1024, covariance, g) for _ in range(2))
        level[0] = max_cosine(isotropic(1024, D, g), isotropic(1024, D, g))
        level[1] = max_cosine(A, B)
        level[2] = max_cosine(A, gauge_scramble(A, basis, g))
    isotropic_level, data, gauge = levels.mean(dim=0).tolist()
    assert isotropic_level == pytest.approx(0.283, abs=0.001)
    assert data == pytest.approx(0.526, abs=0.002)
    assert gauge == pytest.approx(0.527, abs=0.005)


def test_gauge_level_from_samples_equals_that_from_the_covariance():
    covariance, g = falling_spectrum(), generator(2)
    x = torch.randn(10_215, D, generator=g) @ torch.linalg.cholesky(covariance).T.float()
    basis = GaugeBasis.from_activations(x)
    assert 20 < len(basis.clusters) < 60  # the tail of the spectrum is not identified
    assert basis.clusters[:8] == tuple((k, k + 1) for k in range(8))
    A = data_directions(1024, covariance, g)
    drawn = [max_cosine(A, gauge_scramble(A, basis, g)) for _ in range(4)]
    assert sum(drawn) / 4 == pytest.approx(0.527, abs=0.006)


def test_data_directions_have_the_covariance():
    covariance = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    directions = data_directions(40_000, covariance, generator())
    assert torch.linalg.vector_norm(directions, dim=1).sub(1).abs().max() < 1e-6
    # Angles of N(0, Σ) in the plane: whitened, they are uniform.
    whitened = directions.double() @ torch.linalg.inv(torch.linalg.cholesky(covariance.double())).T
    angles = torch.atan2(whitened[:, 1], whitened[:, 0])
    for k in (1, 2, 4):
        assert (k * angles).cos().mean().abs() < 0.02
        assert (k * angles).sin().mean().abs() < 0.02


def test_isotropic_directions_are_uniform():
    directions = isotropic(40_000, 3, generator())
    assert directions.dtype == torch.float32
    torch.testing.assert_close(
        directions.T @ directions / 40_000, torch.eye(3) / 3, atol=0.01, rtol=0
    )
    # Archimedes: in three dimensions each coordinate is uniform on [−1, 1].
    assert (directions[:, 0].abs() < 0.25).double().mean().item() == pytest.approx(0.25, abs=0.01)


def test_equal_variances_form_a_cluster_and_the_null_space_another():
    x = torch.zeros(10_000, 30)
    x[:, :20] = torch.randn(10_000, 20, generator=generator())
    x[:, :10] *= 3.0
    basis = GaugeBasis.from_activations(x + 5.0)
    assert basis.clusters == ((0, 10), (10, 20), (20, 30))


def test_exact_variances_cluster_only_if_equal():
    variances = torch.tensor([4.0, 3.99, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert GaugeBasis.from_covariance(torch.diag(variances)).clusters == (
        (0, 1), (1, 2), (2, 5), (5, 7)
    )  # fmt: skip


def test_single_components_get_a_sign_and_clusters_a_rotation():
    basis = GaugeBasis.from_covariance(torch.diag(torch.tensor([9.0, 4.0, 1.0, 1.0])))
    B, g = torch.eye(4), generator()
    draws = torch.stack([gauge_scramble(B, basis, g) for _ in range(200)])
    for k in (0, 1):
        assert set(draws[:, k, k].round(decimals=5).tolist()) == {-1.0, 1.0}
    turned = draws[:, 2, 2]
    assert len(set(turned.round(decimals=4).tolist())) > 100
    torch.testing.assert_close(turned**2 + draws[:, 2, 3] ** 2, torch.ones(200))
    # Uniform on the circle: a first coordinate's square has mean ½, its fourth power ⅜.
    assert turned.square().mean().item() == pytest.approx(0.5, abs=0.08)
    assert turned.pow(4).mean().item() == pytest.approx(0.375, abs=0.08)
    assert turned.mean().abs() < 0.15
    assert (draws[:, :2, 2:] == 0).all()


def test_gauge_scramble_keeps_the_covariance():
    covariance = falling_spectrum()
    basis = GaugeBasis.from_covariance(covariance)
    turn = gauge_scramble(torch.eye(D, dtype=torch.float64), basis, generator())
    torch.testing.assert_close(turn @ turn.T, torch.eye(D, dtype=torch.float64))
    torch.testing.assert_close(turn.T @ covariance @ turn, covariance, atol=1e-9, rtol=0)


def test_without_centering_the_mean_is_a_component():
    x = torch.randn(2_000, 6, generator=generator()) * torch.arange(1.0, 7.0)
    mean = torch.tensor([[30.0, 0, 0, 0, 0, 0]])
    kept = GaugeBasis.from_activations(x + mean, center=False)
    assert kept.directions[0, 0].abs().item() == pytest.approx(1.0, abs=1e-3)
    centered = GaugeBasis.from_activations(x + mean)
    assert centered.directions[0, 5].abs().item() == pytest.approx(1.0, abs=1e-1)


def test_the_same_seed_draws_the_same_bytes():
    covariance, B = falling_spectrum(), torch.eye(D)
    basis = GaugeBasis.from_covariance(covariance)
    for draw in (
        lambda g: isotropic(50, D, g),
        lambda g: data_directions(50, covariance, g),
        lambda g: gauge_scramble(B, basis, g),
    ):
        assert torch.equal(draw(generator(3)), draw(generator(3)))
        assert not torch.equal(draw(generator(3)), draw(generator(4)))


def test_invalid_covariances_and_widths_are_refused():
    for bad in (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.ones(2, 3)):
        with pytest.raises(UserError, match="not symmetric"):
            data_directions(3, bad, generator())
    for bad in (torch.diag(torch.tensor([1.0, -1.0])), torch.zeros(2, 2)):
        with pytest.raises(UserError, match="smallest eigenvalue"):
            data_directions(3, bad, generator())
    basis = GaugeBasis.from_covariance(torch.eye(3))
    with pytest.raises(UserError, match="width 4, the activations 3"):
        gauge_scramble(torch.eye(4), basis, generator())


def test_gauge_scramble_in_blocks_uses_one_symmetry(monkeypatch):
    basis = GaugeBasis.from_covariance(falling_spectrum())
    B = isotropic(50, D, generator(2))
    whole = gauge_scramble(B, basis, generator(3))
    monkeypatch.setattr("seedstability.stability.chance.null_models._ROWS_AT_ONCE", 7)
    torch.testing.assert_close(gauge_scramble(B, basis, generator(3)), whole)
    torch.testing.assert_close(whole @ whole.T, B @ B.T)
    assert not torch.allclose(whole, B, atol=0.1)
