"""The synthetic data of Song et al.: identical samples, sparse sums of directions."""

from dataclasses import replace

import numpy as np
import pytest

from audit.subjects.synthetic.config import SongSamplesConfig
from audit.subjects.synthetic.song import song_samples
from seedstability.errors import UserError

CONFIG = SongSamplesConfig(samples=300, heldout=100)


def test_each_sample_is_a_positive_sum_of_its_active_directions():
    found = song_samples(replace(CONFIG, d=40, samples=50))
    # with more coordinates than directions the coefficients are unique
    weights = found["train"] @ np.linalg.pinv(found["directions"].astype(float))
    assert np.allclose(weights @ found["directions"], found["train"], atol=1e-5)
    assert ((np.abs(weights) > 1e-5).sum(axis=1) == 3).all()
    assert (weights > -1e-5).all()
    assert np.linalg.norm(found["directions"], axis=1) == pytest.approx(np.ones(32), abs=1e-6)


def test_random_numbers_are_drawn_in_the_order_of_the_public_code():
    """Directions, then for each sample the active ones and their coefficients, from one stream."""
    stream = np.random.RandomState(42)
    directions = stream.randn(32, 16)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = song_samples(CONFIG)
    for row in found["train"][:20]:
        which = stream.choice(32, 3, replace=False)
        assert row == pytest.approx(np.abs(stream.randn(3)) @ directions[which], abs=1e-5)


def test_fewer_samples_are_a_prefix_and_held_out_samples_follow_them():
    few, many = song_samples(CONFIG), song_samples(replace(CONFIG, samples=400))
    assert np.array_equal(few["train"], many["train"][:300])
    assert np.array_equal(few["heldout"], many["train"][300:])


@pytest.mark.parametrize(
    ("change", "said"),
    [({"active": 33}, "33 of 32"), ({"active": 0}, "0 of 32"), ({"samples": 0}, "at least 1")],
)
def test_sizes_out_of_range_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        song_samples(replace(CONFIG, **change))
