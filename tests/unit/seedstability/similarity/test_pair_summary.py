"""Two dictionaries matched in a few figures, those without a direction left out."""

import pytest
import torch

from helpers.comparison_data import normal
from seedstability.errors import UserError
from seedstability.similarity.pair_summary import Directions, pair_summary


def test_latents_without_a_direction_are_left_out_and_counted():
    A, B = normal(12, 6, seed=1), normal(14, 6, seed=2)
    expected = pair_summary(Directions(A[2:], A[2:] + 0.1), Directions(B[3:], B[3:] - 0.1))
    encoders = A + 0.1, B - 0.1
    A, B = A.clone(), B.clone()
    A[:2], B[:3] = 0.0, 0.0
    found = pair_summary(Directions(A, encoders[0]), Directions(B, encoders[1]))
    assert found.pop("without_direction") == [2, 3]
    assert found.pop("latents") == [12, 14]
    expected.pop("latents"), expected.pop("without_direction")
    assert found == expected
    assert found["agreeing"] is not None


def test_nothing_with_a_direction_is_refused():
    with pytest.raises(UserError, match="nothing to match"):
        pair_summary(Directions(normal(4, 3), None), Directions(torch.zeros(4, 3), None))
