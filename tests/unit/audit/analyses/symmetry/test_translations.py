"""Maps compared over all shifts: the fast search against brute force, and planted answers."""

import numpy as np
import pytest
import torch

from audit.analyses.symmetry import translations
from audit.analyses.symmetry.invariance import translation_share, variance_shares
from seedstability.errors import UserError

P = 7


def drawn(n: int, seed: int = 0, p: int = P) -> torch.Tensor:
    """Sparse maps, like those of latents."""
    values = torch.randn(n, p, p, generator=torch.Generator().manual_seed(seed))
    return (values - 0.5).relu()


def pearson(f: torch.Tensor, g: torch.Tensor) -> float:
    return float(np.corrcoef(f.flatten().numpy(), g.flatten().numpy())[0, 1])


def rolled(f: torch.Tensor, s: int, t: int) -> torch.Tensor:
    return torch.roll(f, (s, t), dims=(-2, -1))


def spectra(n: int, seed: int = 0):
    return translations.spectra(drawn(n, seed))


def test_products_of_spectra_are_pearson_correlations():
    f, g = drawn(3, 1), drawn(4, 2)
    found = translations.correlations(translations.spectra(f), translations.spectra(g))
    wanted = [[pearson(a, b) for b in g] for a in f]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_surfaces_equal_correlations_of_rolled_maps():
    f, g = drawn(2, 1), drawn(2, 2)
    surfaces = translations.surfaces(translations.spectra(f), translations.spectra(g))
    wanted = [
        [[pearson(rolled(a, s, t), b) for t in range(P)] for s in range(P)]
        for a, b in zip(f, g, strict=True)
    ]
    np.testing.assert_allclose(surfaces, wanted, atol=1e-5)


def test_translating_in_the_spectrum_rolls_the_map():
    f = drawn(3)
    shifts = torch.tensor([[0, 0], [2, 5], [6, 1]])
    moved = translations.maps_of(translations.translated(translations.spectra(f), shifts))
    for one, map_, (s, t) in zip(moved, f, shifts.tolist(), strict=True):
        centered = map_ - map_.mean()
        np.testing.assert_allclose(one, rolled(centered / centered.norm(), s, t), atol=1e-6)


def test_no_shift_exceeds_the_bound():
    A, B = spectra(5, 1), spectra(6, 2)
    bounds = translations.bounds(A, B)
    for i in range(5):
        highest = translations.surfaces(A[i : i + 1].expand(6, -1, -1), B).amax(dim=(1, 2))
        assert (highest <= bounds[i] + 1e-5).all()


def test_the_bound_is_exact_for_maps_of_the_sum():
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    profiles = torch.randn(5, P, generator=torch.Generator().manual_seed(1))
    F = translations.spectra(profiles[:, (a + b) % P])
    bounds = translations.bounds(F, F)
    for i in range(5):
        highest = translations.surfaces(F[i : i + 1].expand(5, -1, -1), F).amax(dim=(1, 2))
        torch.testing.assert_close(bounds[i], highest)


def test_searching_all_candidates_equals_brute_force():
    f, g = drawn(4, 1), drawn(6, 2)
    found = translations.search(translations.spectra(f), translations.spectra(g), candidates=6)
    assert found.certified.all()
    for i, map_ in enumerate(f):
        by_hand = {
            (j, s, t): pearson(rolled(map_, s, t), other)
            for j, other in enumerate(g)
            for s in range(P)
            for t in range(P)
        }
        best = max(by_hand, key=by_hand.__getitem__)
        assert found.best[i] == pytest.approx(by_hand[best], abs=1e-5)
        assert (int(found.partner[i]), *found.shift[i].tolist()) == best


def test_certified_results_are_maxima_and_others_lower_bounds():
    A, B = spectra(40, 1), spectra(60, 2)
    few, everything = (translations.search(A, B, candidates=c) for c in (2, 60))
    proven = few.certified
    torch.testing.assert_close(few.best[proven], everything.best[proven])
    assert (few.best <= everything.best + 1e-5).all()
    assert (few.best < everything.best - 1e-3).any()
    assert not proven[few.best < everything.best - 1e-3].any()


def test_translated_copies_are_found_where_plain_correlation_is_low():
    A = translations.spectra(drawn(30, p=31))
    generator = torch.Generator().manual_seed(3)
    shifts = torch.randint(31, (30, 2), generator=generator)
    order = torch.randperm(30, generator=generator)
    found = translations.search(A, translations.translated(A, shifts)[order], candidates=2)
    assert found.best.min() > 0.9999
    assert found.certified.all()
    assert torch.equal(order[found.partner], torch.arange(30))
    assert torch.equal(found.shift, shifts)
    as_they_are = translations.correlations(A, translations.translated(A, shifts)).amax(dim=1)
    assert as_they_are.mean() < 0.3


def test_a_common_shift_is_found_and_the_identity_is_always_tried():
    A = translations.spectra(drawn(30, p=31))
    there = translations.translated(A, torch.tensor([[4, 29]]).expand(30, 2))
    envelope = translations.search(A, there, candidates=4).envelope
    value, shift = translations.best_common_shift(A, there, envelope, tries=1)
    assert shift == (4, 29)
    assert value == pytest.approx(1.0, abs=1e-5)
    value, shift = translations.best_common_shift(A, A, envelope, tries=1)
    assert shift == (0, 0)
    assert value == pytest.approx(1.0, abs=1e-5)


def test_maps_of_one_variable_keep_correlation_along_its_line_only():
    a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
    values = torch.randn(P, generator=torch.Generator().manual_seed(1))
    kinds = {"sum": (a + b) % P, "difference": (a - b) % P, "first": a, "second": b}
    for name, variable in kinds.items():
        F = translations.spectra(values[variable][None])
        lines = translations.search(F, F, candidates=1).lines[0]
        for line, share in zip(translations.LINES, lines.tolist(), strict=True):
            assert share == pytest.approx(1.0 if line == name else 0.0, abs=1e-5), (name, line)


def test_shifts_about_as_good_as_the_best_are_counted():
    F = translations.spectra(drawn(1))
    assert translations.search(F, F, 1).nearly.item() == pytest.approx(1 / P**2)
    wave = torch.cos(2 * torch.pi * torch.arange(P) / P)[None, :, None].expand(1, P, P)
    F = translations.spectra(wave.contiguous())
    assert translations.search(F, F, 1).nearly.item() == pytest.approx(1 / P)


def test_phase_scrambling_keeps_power_and_gives_real_maps():
    F = spectra(20)
    scrambled = translations.phase_scrambled(F, torch.Generator().manual_seed(0))
    torch.testing.assert_close(scrambled.abs(), F.abs())
    # If the first column did not hold conjugates, the round trip would lose power.
    maps = translations.maps_of(scrambled)
    torch.testing.assert_close(translations.spectra(maps), scrambled, atol=1e-5, rtol=0)
    assert translations.correlations(F, scrambled).diagonal().abs().mean() < 0.5


def test_a_constant_map_matches_nothing():
    maps = torch.stack([torch.zeros(P, P), torch.full((P, P), 3.7), drawn(1)[0]])
    F = translations.spectra(maps)
    assert not F[:2].abs().any()
    assert translations.search(F[2:], F[:2], 2).best.item() == 0.0


@pytest.mark.parametrize("shape", [(2, 7, 9), (2, 8, 8), (7, 7)])
def test_grids_that_are_not_square_with_an_odd_side_are_refused(shape):
    with pytest.raises(UserError, match="p odd"):
        translations.spectra(torch.zeros(shape))


def test_the_translation_share_equals_the_explicit_average():
    x = torch.randn(5, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    centered = (x - x.mean(dim=(0, 1))).flatten(0, 1)
    K = (centered @ centered.T).reshape(5, 5, 5, 5)
    moved = [torch.roll(K, (s, t, s, t), dims=(0, 1, 2, 3)) for s in range(5) for t in range(5)]
    average = torch.stack(moved).mean(dim=0)
    by_hand = (average.square().sum() / K.square().sum()).item()
    assert translation_share(x) == pytest.approx(by_hand)


def test_whole_waves_are_invariant_and_half_waves_are_not():
    angle = 2 * torch.pi * torch.arange(P).double() / P
    a, b = torch.meshgrid(angle, angle, indexing="ij")
    circle = torch.stack([(a + b).cos(), (a + b).sin(), (2 * a).cos(), (2 * a).sin()], dim=2)
    assert translation_share(circle) == pytest.approx(1.0)
    assert translation_share(circle[:, :, :1]) == pytest.approx(0.5)


def test_variance_shares_follow_the_variables():
    angle = 2 * torch.pi * torch.arange(P).double() / P
    a, b = torch.meshgrid(angle, angle, indexing="ij")
    waves = {"sum": a + b, "difference": a - b, "first": a, "second": b, "rest": 2 * a + b}
    for name, wave in waves.items():
        shares = variance_shares(wave.cos()[:, :, None])
        assert shares[name] == pytest.approx(1.0), name
        assert sum(shares.values()) == pytest.approx(1.0)
