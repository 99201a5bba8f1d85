"""Selection of active latents agrees with a sort or a comparison."""

import numpy as np
import pytest
import torch

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.config import TOPK, DictionaryConfig
from seedstability.dictionaries.kernels.selection import keep_largest, keep_largest_excluding
from seedstability.dictionaries.sae import initialize


def kept(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    latents, found = np.empty((len(values), k), np.int32), np.empty((len(values), k), np.float32)
    keep_largest(values, k, latents, found)
    return latents, found


def by_sorting(values: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k largest of each row, the first among ties, ascending."""
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.sort(order, axis=1)


def rows(kind: str, n: int) -> np.ndarray:
    generator = np.random.default_rng(n)
    gaussian = generator.standard_normal((60, n))
    values = {
        "gaussian": gaussian,
        "rows of very different length": gaussian * 10.0 ** generator.integers(-12, 12, (60, 1)),
        "heavy tails": generator.standard_cauchy((60, n)),
        "two levels": generator.integers(2, size=(60, n)),
        "few levels": generator.integers(5, size=(60, n)) - 2,
        "mostly zero": np.where(generator.random((60, n)) < 0.9, 0, gaussian),
        "all negative": -np.abs(gaussian),
        "all equal": np.full((60, n), 0.25),
        "sorted": np.sort(gaussian, axis=1),
        "shifted": gaussian + 1000,
    }[kind]
    return values.astype(np.float32)


KINDS = (
    "gaussian",
    "rows of very different length",
    "heavy tails",
    "two levels",
    "few levels",
    "mostly zero",
    "all negative",
    "all equal",
    "sorted",
    "shifted",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "k"), [(8, 1), (8, 3), (8, 8), (97, 20), (1024, 32), (9001, 5)])
def test_exactly_the_k_largest_are_kept_and_the_first_among_ties(kind, n, k):
    values = rows(kind, n)
    latents, found = kept(values, k)
    expected = by_sorting(values, k)
    assert np.array_equal(latents, expected)
    assert np.array_equal(found, np.take_along_axis(values, expected, axis=1))


def test_the_selection_of_a_row_does_not_depend_on_other_rows():
    values = np.concatenate([rows(kind, 97) for kind in KINDS])
    together = kept(values, 20)[0]
    alone = np.concatenate([kept(row[None], 20)[0] for row in values])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_rows_that_are_not_finite_do_not_affect_other_rows(odd):
    values = rows("gaussian", 97)
    values[3, 50], values[5] = odd, odd
    latents, _ = kept(values, 20)
    assert ((latents >= 0) & (latents < 97)).all()
    fine = np.isfinite(values).all(1)
    assert np.array_equal(latents[fine], by_sorting(values[fine], 20))


def test_nan_values_are_kept():
    found = kept(np.full((2, 97), np.nan, np.float32), 20)[1]
    assert np.isnan(found).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_inactive_magnitudes_are_found(kind):
    values = rows(kind, 97)
    taken = by_sorting(values, 9)
    latents, signs = np.empty((60, 7), np.int32), np.empty((60, 7), np.float32)
    totals = keep_largest_excluding(values, taken.astype(np.int32), 7, latents, signs)
    magnitudes = np.abs(values)
    np.put_along_axis(magnitudes, taken, -1, axis=1)
    expected = by_sorting(magnitudes, 7)
    assert np.array_equal(latents, expected)
    assert np.array_equal(signs, np.sign(np.take_along_axis(values, expected, axis=1)))
    sums = np.take_along_axis(magnitudes, expected, axis=1).sum(1)
    np.testing.assert_allclose(totals, sums, rtol=1e-5)


def dictionary(config: DictionaryConfig, d: int = 16):
    sae = initialize(config, d, seed=1)
    generator = torch.Generator().manual_seed(2)
    sae.encoder_bias.add_(torch.randn(len(sae.encoder), generator=generator), alpha=0.3)
    return sae, torch.randn(50, d, generator=generator)


@pytest.mark.parametrize("k", [4, 60])
def test_batch_topk_keeps_the_positive_ones_of_the_largest_in_the_batch(k):
    sae, x = dictionary(DictionaryConfig(architecture="batch_topk", n_latents=64, k=k))
    fired = sparse_latents.batch_topk(sae, x, k)
    pre = sae.pre_activations(x)
    cut = pre.flatten().topk(50 * k).values[-1]
    assert (cut < 0) == (k == 60)
    expected = (pre >= cut.clamp_min(1e-30)).numpy()
    assert np.array_equal(np.diff(fired.offsets), expected.sum(1))
    assert np.array_equal(fired.latents, np.nonzero(expected)[1])
    assert np.array_equal(fired.values, pre.numpy()[expected])


def test_every_entry_above_its_threshold_is_found():
    sae, x = dictionary(DictionaryConfig(architecture="relu", n_latents=64))
    pre = sae.pre_activations(x).numpy()
    threshold = np.linspace(-1, 2, 64).astype(np.float32)
    fired = sparse_latents.above(pre, threshold)
    assert np.array_equal(fired.latents, np.nonzero(pre > threshold)[1])
    assert np.array_equal(fired.values, pre[pre > threshold])
    assert fired.offsets[-1] == (pre > threshold).sum()


def test_a_batch_in_parts_agrees_with_the_whole(monkeypatch):
    sae, x = dictionary(TOPK_SMALL)
    whole = sparse_latents.topk(sae.encoder, sae.encoder_bias, x, 4)
    monkeypatch.setattr(sparse_latents, "rows_at_once", lambda n: 16)
    parts = sparse_latents.topk(sae.encoder, sae.encoder_bias, x, 4)
    assert np.array_equal(whole.latents, parts.latents)
    np.testing.assert_allclose(whole.values, parts.values, rtol=1e-5, atol=1e-6)


TOPK_SMALL = DictionaryConfig(**{**vars(TOPK), "n_latents": 64, "k": 4})
