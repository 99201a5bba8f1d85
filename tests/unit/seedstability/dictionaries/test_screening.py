"""Screened selection: same bits as the exact path, and a margin that bounds the error."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from seedstability.dictionaries import screening
from seedstability.dictionaries.kernels.screening import upper_bounds
from seedstability.dictionaries.screening import Bounds, ScreenedTopK
from seedstability.dictionaries.sparse_latents import topk

Case = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _normal(n: int = 640, d: int = 96, b: int = 200, seed: int = 0) -> Case:
    generator = torch.Generator().manual_seed(seed)
    encoder = torch.randn(n, d, generator=generator) / d**0.5
    bias = 0.1 * torch.randn(n, generator=generator)
    return encoder, bias, torch.randn(b, d, generator=generator)


def _anisotropic() -> Case:
    encoder, bias, centered = _normal()
    low_rank = _normal(96, 8)[0]
    centered = 3 * centered[:, :8] @ low_rank.t() + 0.1 * centered + 1
    return encoder + 0.3 * centered[:1] / centered[0].norm(), bias, centered


def _heavy_tails() -> Case:
    encoder, bias, centered = _normal()
    lengths = torch.logspace(-3, 3, len(encoder))[:, None].roll(99, 0)
    return encoder * lengths, 10 * bias, centered**5 * torch.logspace(-4, 4, len(centered))[:, None]


def _ties() -> Case:
    encoder, bias, centered = _normal()
    return encoder[:160].repeat(4, 1), bias[:160].repeat(4), centered


def _ties_within_rounding() -> Case:
    """Four copies of each row, three of them changed in the last bits."""
    encoder, bias, centered = _ties()
    changed = 1 + 2**-23 * torch.randint(-1, 2, encoder.shape, generator=torch.manual_seed(0))
    changed[:160] = 1
    return encoder * changed, bias, centered


def _zeros() -> Case:
    encoder, bias, centered = _normal()
    centered[50:150], encoder[100:200], bias[100:] = 0, 0, 0
    return encoder, bias, centered


def _underflow() -> Case:
    encoder, bias, centered = _normal()
    return encoder * 2.0**-80, bias * 2.0**-140, centered * 2.0**-60


CASES = [_normal, _anisotropic, _heavy_tails, _ties, _ties_within_rounding, _zeros, _underflow]


def _same(case: Case, k: int) -> ScreenedTopK:
    screened = ScreenedTopK()
    one, other = topk(*case, k), screened(*case, k)
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_array_equal(one.latents, other.latents)
    np.testing.assert_array_equal(one.values, other.values)
    assert screened.rows == len(case[2])
    return screened


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("k", [1, 14, 640])
def test_same_as_exact_path(case: Callable[[], Case], k: int):
    _same(case(), k)


@pytest.mark.parametrize(("n", "d", "b"), [(1, 1, 1), (3, 5, 2), (17, 33, 70), (100, 7, 9)])
def test_same_for_few_latents(n: int, d: int, b: int):
    for k in {1, n // 2 + 1, n}:
        _same(_normal(n, d, b), k)


def test_same_where_a_chunk_is_left_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seedstability.dictionaries.sparse_latents._MAX_PRE_ACTIVATIONS", 1 << 10)
    _same(_normal(), 16)


def test_few_candidates_are_rescored():
    screened = _same(_normal(n=3072, d=256, b=64), 16)
    if screened.undecided_rows:
        # All samples were left to the exact path, so there are no candidates.
        pytest.skip("the order of summation on this processor is unknown")
    assert 16 * 64 <= screened.candidates < 32 * 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e37])
def test_numbers_that_are_not_finite_are_left_to_the_exact_path(bad: float):
    for which in range(3):
        case = _normal()
        case[which][3] = bad
        assert _same(case, 16).undecided_rows == 200


def test_unknown_order_is_left_to_the_exact_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(screening, "summation_block", lambda *_: None)
    assert _same(_ties_within_rounding(), 14).undecided_rows == 200


def test_near_ties_depend_on_the_order_of_summation(monkeypatch: pytest.MonkeyPatch):
    """Another block length selects other latents, so the tests above can fail."""
    case = _ties_within_rounding()
    monkeypatch.setattr(screening, "summation_block", lambda *_: 5)
    assert (ScreenedTopK()(*case, 14).latents != topk(*case, 14).latents).any()


def test_a_changed_encoder_is_used():
    screened = ScreenedTopK()
    encoder, bias, centered = _normal()
    for _ in range(3):
        np.testing.assert_array_equal(
            screened(encoder, bias, centered, 16).latents, topk(encoder, bias, centered, 16).latents
        )
        encoder += 0.5 * _normal(seed=1)[0]


def test_a_tensor_that_is_not_contiguous_is_left_to_the_exact_path():
    encoder, bias, centered = _normal()
    assert _same((encoder.t().contiguous().t(), bias, centered), 16).undecided_rows == 200


@pytest.mark.parametrize("case", CASES)
def test_margin_bounds_the_error_of_every_pair(case: Callable[[], Case]):
    encoder, bias, centered = (tensor.double() for tensor in case())
    exact = (centered @ encoder.t() + bias).numpy()
    margins = _margins(case())
    above = _above(margins, exact.shape)
    # upper bounds of the negated problem are lower bounds of this one
    encoder32, bias32, centered32 = case()
    below = -_above(_margins((-encoder32, -bias32, centered32)), exact.shape)
    room = 1e-300 + np.abs(exact) * 2.0**-45  # of float64 itself
    assert (above >= exact - room).all()
    assert (below <= exact + room).all()


def test_margin_is_tight():
    case = _normal()
    exact = (case[2].double() @ case[0].double().t() + case[1]).numpy()
    lengths = (case[2].norm(dim=1)[:, None] * case[0].norm(dim=1)).numpy()
    assert ((_above(_margins(case), exact.shape) - exact) / lengths).max() < 2.0**-7


def _margins(case: Case) -> Bounds:
    return ScreenedTopK()._bounds(*case)


def _above(margins: Bounds, shape: tuple[int, ...]) -> np.ndarray:
    above = np.empty(shape, np.float32)
    for s in range(shape[0]):
        one = margins.of_samples(slice(s, s + 1))
        upper_bounds(one.products[0], one.factors[0][0], one.factors[1][0], one.latents, above[s])
    return above
