"""Maps compared up to multiplication of both arguments by a multiplier."""

import pytest
import torch

from audit.analyses.symmetry import translations
from audit.analyses.symmetry.multiplications import multiply_arguments, search_multipliers

P = 7


def drawn(n, seed=0, p=P):
    values = torch.randn(n, p, p, generator=torch.Generator().manual_seed(seed))
    return (values - 0.5).relu()


def multiplied(f, u):
    """f(ua, ub) by indexing."""
    places = u * torch.arange(f.shape[-1]) % f.shape[-1]
    return f[..., places, :][..., places]


def of_sums(profiles):
    p = profiles.shape[1]
    a, b = torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij")
    return profiles[:, (a + b) % p]


def test_multiplying_in_the_spectrum_multiplies_the_arguments():
    f = drawn(P - 1)
    found = multiply_arguments(translations.spectra(f), torch.arange(1, P))
    for u in range(1, P):
        wanted = translations.spectra(multiplied(f[u - 1 : u], u))[0]
        torch.testing.assert_close(found[u - 1], wanted, atol=1e-6, rtol=0)


def test_multiplied_and_translated_copies_are_found_where_shifts_alone_fail():
    generator = torch.Generator().manual_seed(2)
    A = translations.spectra(of_sums(torch.randn(12, 31, generator=generator).relu()))
    multipliers = torch.randint(2, 30, (12,), generator=generator)
    shifts = torch.randint(31, (12, 2), generator=generator)
    B = translations.translated(multiply_arguments(A, multipliers), shifts)
    found = translations.search(A, B, candidates=12)
    best = search_multipliers(A, B, found, candidates=8)
    assert found.best.mean() < 0.9
    assert best.min() > 0.9999


def test_multipliers_never_lower_the_correlation_of_shifts():
    A, B = translations.spectra(drawn(6, 1)), translations.spectra(drawn(6, 2))
    found = translations.search(A, B, candidates=6)
    best = search_multipliers(A, B, found, candidates=2)
    assert (best >= found.best).all()


def test_the_search_does_not_exceed_brute_force():
    f, g = drawn(2, 1), drawn(3, 2)
    A, B = translations.spectra(f), translations.spectra(g)
    best = search_multipliers(A, B, translations.search(A, B, 3), candidates=9)
    for i in range(2):
        by_hand = max(
            translations.surfaces(
                translations.spectra(multiplied(f[i : i + 1], u)), B[j][None]
            ).max()
            for u in range(1, P)
            for j in range(3)
        )
        assert best[i] <= by_hand + 1e-5


def test_sum_coverage_of_all_sums_and_of_one_sum():
    everything = translations.spectra(of_sums(torch.eye(P)))
    assert translations.sum_coverage(everything) == pytest.approx(1.0)
    assert translations.sum_coverage(everything[:1].expand(5, -1, -1)) == pytest.approx(1 / P)
