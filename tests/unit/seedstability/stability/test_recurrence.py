"""Recurrence of latents: counts, rates, camps, and fitted camps with intervals."""

import numpy as np
import pytest
import torch

from seedstability.errors import UserError
from seedstability.stability.recurrence import (
    best_cosines,
    camps,
    camps_over_seeds,
    recurrence_counts,
    reproducibility,
)

# Small products: a second thread costs more than it saves.
torch.set_num_threads(1)

EYE = torch.eye(3)


def test_recurrence_is_signed_and_many_to_one():
    # Seed 1 has latent 0 of seed 0 twice, its opposite of latent 1, and nothing of latent 2.
    other = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.0, -1.0, 0.0]])
    p = reproducibility(torch.stack([EYE, other, EYE]))
    assert p[0].tolist() == [1.0, 0.5, 0.5]
    assert p[1].tolist() == [1.0, 1.0, 0.0]


def test_a_cosine_equal_to_the_threshold_counts():
    tilted = torch.tensor([[0.75, np.sqrt(1 - 0.75**2), 0.0]] * 3).float()
    best = best_cosines(torch.stack([EYE, tilted]))
    at = best[0, 1, 0].item()
    assert recurrence_counts(best, at)[0, 0] == 1
    assert recurrence_counts(best, at + 1e-6)[0, 0] == 0
    assert torch.isnan(best[0, 0]).all()


def test_camps_are_shares_of_latents():
    p = torch.tensor([[1.0, 0.95, 0.5, 0.05], [0.0, 0.0, 0.06, 0.94]])
    assert camps(p) == pytest.approx((0.25, 0.375, 0.375))
    with pytest.raises(UserError, match="no latent is live"):
        camps(torch.zeros(2, 0))


def test_few_seeds_misclassify_as_the_definitions_state():
    # §3: a latent with true p = 0.9 is called stable in 66 / 39 / 14% of cases.
    rng = np.random.default_rng(0)
    for others, share in ((4, 0.66), (9, 0.39), (19, 0.14)):
        p = torch.from_numpy(rng.binomial(others, 0.9, size=40_000) / others)
        assert camps(p).stable == pytest.approx(share, abs=0.01)


def test_one_dictionary_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        reproducibility(EYE[None])


def test_planted_camps_are_recovered_with_an_interval():
    g = torch.Generator().manual_seed(0)
    common = torch.randn(30, 64, generator=g)
    decoders = torch.stack(
        [torch.cat([common + 0.1 * torch.randn(30, 64, generator=g),
                    torch.randn(70, 64, generator=g)]) for _ in range(6)]
    )  # fmt: skip
    best = best_cosines(decoders)
    found = camps_over_seeds(best)
    assert found["stable"].mean == pytest.approx(0.3, abs=0.01)
    assert found["unstable"].mean == pytest.approx(0.7, abs=0.01)
    assert found["mean"].label == "95% jackknife over 6 seeds"
    assert camps_over_seeds(best, threshold=-1.0)["stable"].mean > 0.99
