"""Best cosines, spans and clusters of dictionaries with a planted truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.analyses.unstable.camps import camps
from audit.analyses.unstable.clusters import _ClusterComparison, unstable_clusters
from audit.analyses.unstable.config import CampsConfig, ClustersConfig, SpansConfig
from audit.analyses.unstable.spans import LEVELS, unstable_spans
from audit.training.stages import stacked
from seedstability.dictionaries.config import TOPK
from seedstability.dictionaries.sae import SAE
from seedstability.stability.config import GroupsConfig
from seedstability.stability.cosine import normalize_rows
from seedstability.stability.matching.nearest import best_cosines

SEEDS, D, BLOCKS, IN_BLOCK, RANK = 5, 64, 3, 10, 4
STABLE = UNSTABLE = BLOCKS * IN_BLOCK
CONFIG = replace(TOPK, n_latents=STABLE + UNSTABLE, k=6)
GROUPS = GroupsConfig(threshold=0.9995, fewest=10)
"""In four dimensions unrelated latents have high cosines; equal latents have higher ones."""


def blocks(first: int, draw: torch.Generator) -> torch.Tensor:
    """Ten latents around a center in each of three subspaces of four coordinates."""
    W = torch.zeros(BLOCKS * IN_BLOCK, D)
    for place in range(len(W)):
        start = first + RANK * (place // IN_BLOCK)
        W[place, start : start + RANK] = torch.randn(RANK, generator=draw)
        W[place, start] = W[place, start].abs() + 1.0
    return normalize_rows(W)


def dictionaries(shared_block: bool = True) -> list[SAE]:
    """Seeds that share the first latents; the rest are random directions in subspaces that are the
    same for all seeds, or rotated independently in each."""
    common = blocks(0, torch.Generator().manual_seed(77))
    found = []
    for seed in range(SEEDS):
        draw = torch.Generator().manual_seed(seed)
        own = blocks(BLOCKS * RANK, draw)
        if not shared_block:
            own = own @ torch.linalg.qr(torch.randn(D, D, generator=draw)).Q
        decoder = torch.cat([common, own])[torch.randperm(STABLE + UNSTABLE, generator=draw)]
        bias = torch.zeros(D)
        found.append(SAE(decoder, torch.zeros(len(decoder)), decoder, bias, bias[:1], CONFIG))
    return found


def arrays(saes: list[SAE]) -> dict:
    saes = [replace(sae, threshold=torch.zeros(len(sae.decoder))) for sae in saes]
    return stacked(saes, [sae.decoder for sae in saes])


def activations() -> dict:
    draw = torch.Generator().manual_seed(99)
    spread = torch.linspace(2.0, 0.5, D)
    contexts, length = 12, 32
    return {
        "train": (torch.randn(3000, D, generator=draw) * spread).numpy(),
        "heldout": (torch.randn(contexts * (length - 1), D, generator=draw) * spread).numpy(),
        "heldout_contexts": np.zeros((contexts, length), np.int32),
    }


def evaluation(live: np.ndarray | None = None) -> dict:
    live = np.ones((SEEDS, STABLE + UNSTABLE), bool) if live is None else live
    return {"live": live, "heldout": {"firing_rate": live * 0.1}}


def found_camps(saes, live=None) -> dict:
    return camps(CampsConfig(draws=2), arrays(saes), evaluation(live), activations())


def test_best_cosines_equal_pairwise_ones_and_scrambles_lower_them():
    saes = dictionaries()
    found = found_camps(saes)
    plain = best_cosines(saes[1].decoder, saes[3].decoder)
    assert np.allclose(found["best"][1, 3], plain.rows)
    assert np.allclose(found["best"][3, 1], plain.columns)
    assert np.isnan(found["best"][2, 2]).all()
    assert ((found["best"] >= 0.99).sum(axis=2)[~np.eye(SEEDS, dtype=bool)] >= STABLE).all()
    assert np.nanmean(found["gauge"]) < np.nanmean(found["best"]) - 0.1
    assert found["width"] == D


def test_dead_latents_are_never_partners():
    saes = dictionaries()
    live = np.ones((SEEDS, STABLE + UNSTABLE), bool)
    live[3] = False
    live[3, 0] = True
    found = found_camps(saes, live)
    only = saes[3].decoder[:1]
    assert np.allclose(found["best"][1, 3], (saes[1].decoder @ only.T)[:, 0], atol=1e-6)
    assert np.allclose(found["best"][3, 1], best_cosines(saes[3].decoder, saes[1].decoder).rows)


def off_diagonal(table: np.ndarray) -> np.ndarray:
    return table[..., ~np.eye(table.shape[-1], dtype=bool)]


def spans_of(saes, **settings) -> dict:
    config = SpansConfig(GROUPS, dimensions=(4, 8), **settings)
    return unstable_spans(config, arrays(saes), found_camps(saes), activations())


def test_a_common_subspace_is_found_although_its_latents_do_not_recur():
    found = spans_of(dictionaries())
    assert found["kind"] == "camps"
    assert found["n_unstable"].tolist() == [UNSTABLE] * SEEDS
    mean = {level: off_diagonal(found[level][0]).mean() for level in LEVELS}
    assert found["dimensions"][0] == pytest.approx(8, abs=2)
    assert mean["found"] > 0.65
    assert mean["gauge"] < 0.7 * mean["found"]
    assert mean["covariance"] < 0.7 * mean["found"]
    assert mean["stable"] < 1e-6
    assert mean["among_stable"] == pytest.approx(1.0)
    assert found["participation"]["unstable"].mean() < 12 < found["data_participation"]
    assert 0.5 < off_diagonal(found["member"]).mean() < 0.95
    # the activations' variances are the squares of their spread
    variances = np.linspace(2.0, 0.5, D) ** 2
    expected = variances.sum() ** 2 / np.square(variances).sum()
    assert found["data_participation"] == pytest.approx(expected, rel=0.05)


def test_independent_subspaces_are_at_the_random_level():
    found = spans_of(dictionaries(shared_block=False))
    own = off_diagonal(found["found"][0]).mean()
    assert own == pytest.approx(found["random"][0], abs=0.06)
    assert abs(own - off_diagonal(found["gauge"][0]).mean()) < 0.05


def test_levels_have_matched_dimension_and_are_symmetric():
    found = spans_of(dictionaries())
    assert found["dimensions"][1:].tolist() == [4, 8]
    assert found["random"] == pytest.approx(found["dimensions"] / D)
    for level in ("found", "covariance", "components", "anybody", "leftover", "member"):
        table = np.atleast_3d(found[level])[0] if level != "member" else found[level]
        off = ~np.eye(SEEDS, dtype=bool)
        assert np.array_equal(table[off], table.T[off]), level
        assert (table[off] <= 1 + 1e-9).all()


def test_dimensions_above_the_group_size_are_omitted():
    config = SpansConfig(GROUPS, dimensions=(4, UNSTABLE + 1))
    saes = dictionaries()
    found = unstable_spans(config, arrays(saes), found_camps(saes), activations())
    assert found["dimensions"][1:].tolist() == [4]


def clusters_found(saes, **settings) -> dict:
    config = ClustersConfig(
        CONFIG, GROUPS, size=10, fewest=4, fewest_seeds=1, contexts=12, draws=2, **settings
    )
    return unstable_clusters(config, arrays(saes), found_camps(saes), activations())


def test_clusters_in_a_common_subspace_exceed_both_nulls_and_independent_ones_do_not():
    shared, own = (clusters_found(dictionaries(each))["unstable"] for each in (True, False))
    for level in ("gauge", "covariance"):
        assert off_diagonal(shared["found"] - shared[level]).min() > 0.15
    assert abs(off_diagonal(own["found"] - own["gauge"]).mean()) < 0.1
    assert shared["clusters"].tolist() == [BLOCKS] * SEEDS
    assert shared["covered"].tolist() == [1.0] * SEEDS
    assert shared["members"].tolist() == [IN_BLOCK] * SEEDS
    assert (shared["dimension"] < RANK).all()


def test_clusters_of_recurring_latents_are_recovered():
    control = clusters_found(dictionaries())["stable"]
    assert off_diagonal(control["member"]).min() > 0.999
    assert off_diagonal(control["member_matched"]).min() > 0.999
    assert off_diagonal(control["found"]).min() > 0.999
    assert off_diagonal(control["gauge"]).max() < 0.7


def test_members_are_compared_with_each_other_seed_separately():
    saes = dictionaries()
    found, best = clusters_found(saes)["unstable"], found_camps(saes)["best"]
    every = np.nanmean(np.where(best < 0.9995, best, np.nan))
    # each seed is a group, and its clusters hold all its unstable latents
    assert off_diagonal(found["member"]).mean() == pytest.approx(every, abs=1e-3)
    assert (off_diagonal(found["square"]) < off_diagonal(found["member"])).all()
    assert (off_diagonal(found["member_gauge"]) < off_diagonal(found["member"])).all()


def test_pooled_latents_keep_their_seed_and_number():
    saes = dictionaries()
    config = ClustersConfig(CONFIG, GROUPS, size=10, fewest=4, contexts=12)
    run = _ClusterComparison(config, arrays(saes), found_camps(saes), activations())
    part = run._part(np.array([1, 4]), run.groups.unstable)
    assert set(part.origin[:, 0]) == {1, 4}
    for row, (seed, latent) in zip(part.rows, part.origin, strict=True):
        assert torch.allclose(row, saes[seed].decoder[latent], atol=1e-6)


def test_seeds_are_split_into_disjoint_groups():
    found = clusters_found(dictionaries(), parts=2)["unstable"]
    assert found["found"].shape == (2, 2)
    assert np.isnan(np.diag(found["found"])).all()
    assert off_diagonal(found["found"] - found["gauge"]).min() > 0.3
