"""Latents without a direction are left out; dictionaries may have different numbers of latents."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.comparison_data import activations, normal, planted, sae, schema_errors
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.report.compare import compare
from seedstability.report.page.rendering import render
from seedstability.similarity.dictionaries.reading import read_dictionaries
from seedstability.stability.chance.closed_form import chance_level, chance_reproducibility
from seedstability.stability.matching.match import match
from seedstability.stability.matching.nearest import best_cosines

X = activations(600, 8)
ZERO = {0: [1, 5], 1: [0, 2, 15], 2: [3]}
COMPUTED = ("measures", "pairs", "reproducibility", "subspaces", "distribution", "firing")


def without(each: SAE, latents: list[int]) -> SAE:
    """The same SAE without these latents."""
    kept = [k for k in range(len(each.decoder)) if k not in latents]
    parts = {
        name: part if name == "decoder_bias" else part[kept] for name, part in each.parts().items()
    }
    return SAE(**parts, config=replace(each.config, n_latents=len(kept)))


def zeroed(each: SAE, latents: list[int], which: str) -> SAE:
    """The same SAE with rows of zeros."""
    parts = {name: part.clone() for name, part in each.parts().items()}
    parts[which][latents] = 0.0
    return SAE(**parts, config=each.config)


@pytest.mark.parametrize("which", ["decoder", "encoder"])
@pytest.mark.parametrize("initial", [False, True])
def test_zero_rows_change_nothing_but_their_count(which, initial):
    plain = planted(3, n=16, d=8, shared=6)
    saes = [zeroed(each, ZERO[seed], which) for seed, each in enumerate(plain)]
    smaller = [without(each, ZERO[seed]) for seed, each in enumerate(plain)]
    starts = [sae(normal(16, 8, seed=70 + seed)) for seed in range(3)]
    more = {"initial": starts} if initial else {}
    less = {"initial": [without(s, ZERO[k]) for k, s in enumerate(starts)]} if initial else {}
    # A latent without a decoder row fires and takes the place of others.
    x = None if which == "decoder" else X
    found = compare(saes, x, **more).document
    expected = compare(smaller, x, **less, allow_different=True).document
    assert schema_errors(found) == []
    for part in COMPUTED:
        assert _plain(found[part]) == _plain(expected[part]), part
    assert [each["without_direction"] for each in found["dictionaries"]] == [2, 3, 1]
    [note] = [note for note in found["notes"] if "no direction" in note]
    assert note.startswith("2 of 16 latents of SAE 0 and 3 of 16 latents of SAE 1 and 1 of 16")


def _plain(part):
    """The same without the words that say what intervals are over."""
    if isinstance(part, dict):
        return {k: _plain(v) for k, v in part.items() if k != "interval"}
    return part


def test_latents_keep_their_numbers_and_those_without_a_direction_have_no_values():
    saes = [zeroed(each, ZERO[k], "decoder") for k, each in enumerate(planted(2, 16, 8, 16))]
    report = compare(saes, X)
    for name in ("best_cosine", "matched_cosine", "reproducibility"):
        for seed in range(2):
            missing = np.flatnonzero(np.isnan(report.arrays[name][seed]))
            assert set(missing) >= set(ZERO[seed]), name
    partner = report.arrays["partner"][0]
    assert (partner[ZERO[0]] == -1).all()
    assert not {*partner} & {*ZERO[1]}
    both = (partner >= 0).nonzero()[0]
    cosine = torch.cosine_similarity(saes[0].decoder[both], saes[1].decoder[partner[both]])
    np.testing.assert_allclose(report.arrays["cosine"][0, both], cosine, atol=1e-6)
    page = render(report.document, report.arrays)
    assert "All 27 latents of the 2 dictionaries." in page


def test_dictionaries_of_different_size_are_compared_with_levels_of_their_sizes():
    saes = [sae(normal(n, 8, seed=seed)) for seed, n in enumerate((12, 12, 40))]
    report = compare(saes, X, allow_different=True)
    assert schema_errors(report.document) == []
    assert [d["setting"] for d in report.document["inputs"]["differences"]] == ["n_latents"]
    pairs = report.document["pairs"]["full"]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        A, B = saes[i].decoder, saes[j].decoder
        assert pairs["max_cosine"][i][j] == pytest.approx(best_cosines(A, B).max_cosine, abs=1e-5)
        matched = match(A, B).matched_cosines
        assert len(matched) == 12
        assert pairs["matched_mean"][i][j] == pytest.approx(matched.mean().item(), abs=1e-5)

    def share(n: int) -> float:
        return chance_reproducibility(n, 8, 0.7)

    chance = report.document["measures"]["full"]["max_cosine"]["chance"]["isotropic"]
    small, large = (chance_level(n, 8, "max_cosine") for n in (12, 40))
    # 12 with 12, and twice 12 with 40, in both directions
    assert chance == pytest.approx((small + 2 * (small + large) / 2) / 3, abs=1e-5)
    agreeing = report.document["measures"]["full"]["agreeing"]["chance"]["isotropic"]
    assert agreeing == pytest.approx(100 * (1 / 12 + 2 / 40) / 3, abs=1e-3)
    # Of 64 latents those of the first two are sought in 12 and 40, those of the last twice in 12.
    expected = ((40 + 12) * 2 * share(12) + (12 + 12) * share(40)) / (2 * 64)
    recurrence = report.document["reproducibility"]["thresholds"]["0.7"]["chance"]["isotropic"]
    assert recurrence == pytest.approx(expected, rel=1e-4)
    assert any("12 to 40 latents" in note for note in report.document["notes"])
    assert "configurations of 12 to 40 latents" in render(report.document, report.arrays)


def test_nothing_is_copied_where_every_latent_has_a_direction():
    one, other = read_dictionaries(planted(2, 16, 8, 4))
    assert one.weights.decoder is one.decoder
    assert one.weights.encoder is one.encoder
    part = replace(other, encoder=zeroed(other.sae, [3], "encoder").encoder)
    assert torch.equal(part.weights.decoder, other.decoder[[k for k in range(16) if k != 3]])


def test_an_sae_without_any_direction_is_refused():
    empty = sae(torch.zeros(6, 8))
    with pytest.raises(UserError, match="no latent of SAE 1 has a decoder and"):
        compare([sae(normal(6, 8)), empty])
