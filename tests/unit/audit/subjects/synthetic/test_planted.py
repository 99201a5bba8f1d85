"""The planted truth: its groups, their frequencies, and the noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.subjects.synthetic.config import PlantedConfig
from audit.subjects.synthetic.planted import draw_sources, draw_truth, planted
from seedstability.errors import UserError

CONFIG = PlantedConfig(d=24, singles=6, blocks=3, rank=4, frequencies=(0.05, 0.4), samples=20_000)


@pytest.fixture(scope="module")
def truth():
    return draw_truth(CONFIG)


@pytest.fixture(scope="module")
def sources(truth):
    return draw_sources(CONFIG, truth, "train")


def test_the_stage_returns_the_documented_arrays():
    found = planted(replace(CONFIG, samples=50, heldout=20))
    shapes = {name: (value.dtype.name, value.shape) for name, value in found.items()}
    assert shapes == {
        "train": ("float32", (50, 24)),
        "heldout": ("float32", (20, 24)),
        "directions": ("float32", (18, 24)),
        "unit": ("int64", (18,)),
        "rank": ("int64", (9,)),
        "frequency": ("float64", (9,)),
    }


def test_singles_are_unit_rows_and_blocks_are_orthonormal(truth):
    gram = truth.directions @ truth.directions.T
    assert torch.allclose(gram.diagonal(), torch.ones(18), atol=1e-5)
    for block in range(6, 9):
        rows = truth.directions[truth.group == block]
        assert torch.allclose(rows @ rows.T, torch.eye(4), atol=1e-5)
    assert truth.group.tolist() == [*range(6), *[6] * 4, *[7] * 4, *[8] * 4]
    assert truth.rank.tolist() == [1] * 6 + [4] * 3


def test_both_kinds_cover_the_same_frequencies_evenly_in_the_logarithm(truth):
    for kind in (truth.frequency[:6], truth.frequency[6:]):
        ordered = np.sort(kind)
        assert ordered[[0, -1]] == pytest.approx([0.05, 0.4])
        assert np.ptp(np.diff(np.log(ordered))) == pytest.approx(0, abs=1e-9)
    orders = {tuple(draw_truth(replace(CONFIG, seed=seed)).frequency[:6]) for seed in range(8)}
    assert len(orders) > 4, "seeds draw the order"


def test_groups_are_active_independently_with_their_frequencies(truth, sources):
    share = sources.active.double().mean(0).numpy()
    error = np.sqrt(truth.frequency * (1 - truth.frequency) / CONFIG.samples)
    assert np.all(np.abs(share - truth.frequency) < 4 * error)
    correlation = np.corrcoef(sources.active.double().T.numpy()) - np.eye(9)
    assert np.abs(correlation).max() < 4.5 / CONFIG.samples**0.5


def test_singles_have_positive_coefficients_and_blocks_uniform_directions(truth, sources):
    alone = sources.coefficients[:, :6]
    assert (alone[sources.active[:, :6]] > 0).all()
    block = sources.coefficients[:, truth.group == 7][sources.active[:, 7]].double()
    covariance = torch.cov(block.T)
    assert block.mean(0).abs().max() < 0.03
    # E[magnitude²] is 1 + 0.25², shared evenly by four dimensions
    assert torch.allclose(covariance, 1.0625 / 4 * torch.eye(4).double(), atol=0.02)
    for part in (alone[sources.active[:, :6]].double(), block.norm(dim=1)):
        assert part.mean() == pytest.approx(1, abs=0.02)
        assert part.std() == pytest.approx(0.25, abs=0.02)


def test_coefficients_of_inactive_groups_are_zero(truth, sources):
    assert (sources.coefficients[~sources.active[:, truth.group]] == 0).all()


def test_the_rank_of_a_block_is_the_rank_of_its_samples():
    config = replace(CONFIG, singles=0, blocks=2, rank=3, frequencies=(0.5, 0.5), noise=0.0)
    values = np.linalg.svd(planted(config)["heldout"], compute_uv=False)
    assert (values > 1e-3).sum() == 6


def test_noise_is_isotropic_with_the_configured_length(truth):
    noise = draw_sources(replace(CONFIG, noise=0.3), truth, "train").noise.double()
    assert noise.square().sum(1).mean().sqrt() == pytest.approx(0.3, rel=0.01)
    assert torch.allclose(torch.cov(noise.T), torch.eye(24).double() * 0.09 / 24, atol=3e-4)


def test_samples_are_the_sum_of_their_sources(truth, sources):
    x = planted(CONFIG)["train"][:5]
    for row, coefficients, noise in zip(x, sources.coefficients, sources.noise, strict=False):
        plain = noise.numpy().copy()
        for amount, direction in zip(coefficients.numpy(), truth.directions.numpy(), strict=True):
            plain += amount * direction
        assert row == pytest.approx(plain, abs=1e-5)


def test_the_truth_depends_on_the_seed_alone():
    first, again, other = (planted(replace(CONFIG, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.allclose(first["directions"], other["directions"])
    assert not np.allclose(first["train"][:4096], first["heldout"])


@pytest.mark.parametrize("seed", range(3))
def test_no_initialization_draws_the_numbers_of_the_truth(seed):
    """Dictionaries are initialized from small seeds, such as that of the truth."""
    singles = draw_truth(replace(CONFIG, seed=seed)).directions[:6]
    for start in range(20):
        generator = torch.Generator().manual_seed(start)
        drawn = torch.nn.functional.normalize(torch.randn(30, 24, generator=generator), dim=1)
        assert (singles @ drawn.T).max() < 0.95


@pytest.mark.parametrize("change", [{"rank": 2}, {"blocks": 5}, {"samples": 9}, {"noise": 0.0}])
def test_other_settings_do_not_change_the_singles(change, truth):
    other = draw_truth(replace(CONFIG, **change))
    assert torch.equal(other.directions[:6], truth.directions[:6])
    assert np.array_equal(other.frequency[:6], truth.frequency[:6])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rank": 25}, "rank 25 do not fit into 24"),
        ({"rank": 0}, "rank is 0"),
        ({"singles": 0, "blocks": 0}, "cannot be planted"),
        ({"singles": -1}, "cannot be planted"),
        ({"frequencies": (0.0, 0.1)}, "frequencies are 0.0"),
        ({"frequencies": (0.2, 0.1)}, "frequencies are 0.2"),
        ({"frequencies": (0.2, 1.1)}, "to 1.1"),
        ({"noise": -0.1}, "noise is -0.1; need at least 0"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"samples": 0}, "samples is 0"),
        ({"heldout": 0}, "heldout is 0"),
    ],
)
def test_settings_out_of_range_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        planted(replace(CONFIG, **change))
