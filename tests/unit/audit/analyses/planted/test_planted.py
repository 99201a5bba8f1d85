"""Latents compared with a planted truth: assignment to groups, and recurrence."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.analyses.planted.config import PlantedArmConfig
from audit.analyses.planted.groups import (
    UNASSIGNED,
    assign_to_truth,
    recovered,
    shares_of_groups,
    spanned,
)
from audit.analyses.planted.pairs import (
    covering_probability,
    rotate_within_blocks,
    share_in_nearest_span,
)
from audit.analyses.planted.stages import against_truth, planted_arm
from audit.subjects.synthetic.config import PlantedConfig
from audit.subjects.synthetic.planted import draw_truth, planted
from seedstability.dictionaries.config import TOPK, TrainingConfig
from seedstability.stability.chance.null_models import GaugeBasis
from seedstability.stability.subspaces.principal import subspace_overlap, top_subspace

D, SINGLES, BLOCKS, RANK = 40, 10, 3, 4
TRUTH = PlantedConfig(d=D, singles=SINGLES, blocks=BLOCKS, rank=RANK, samples=4000, heldout=500)
GROUPS = draw_truth(TRUTH)
ARM = PlantedArmConfig(TRUTH, TrainingConfig())
PER_BLOCK = 6


def dictionary(seed, per_block=PER_BLOCK, basis=None):
    """Exact singles, and blocks covered with random directions or with a given basis."""
    generator = torch.Generator().manual_seed(seed)
    rows = [GROUPS.directions[:SINGLES]]
    for block in GROUPS.blocks:
        inside = GROUPS.basis(block)
        mix = torch.randn(per_block, RANK, generator=generator) if basis is None else basis
        rows.append(torch.nn.functional.normalize(mix @ inside, dim=1))
    return torch.cat(rows)


def held(decoders):
    decoders = torch.stack(decoders)
    live = torch.ones(decoders.shape[:2], dtype=torch.bool)
    basis = GaugeBasis.from_activations(torch.from_numpy(planted(TRUTH)["train"]))
    return against_truth(decoders, live, GROUPS, basis, ARM)


@pytest.fixture(scope="module")
def found():
    return held([dictionary(seed) for seed in range(12)])


def of_blocks(found, table):
    return np.nanmean(found[table][..., SINGLES:])


def test_each_latent_is_assigned_to_its_group(found):
    expected = [*range(SINGLES), *np.repeat(np.arange(SINGLES, SINGLES + BLOCKS), PER_BLOCK)]
    assert (found["owner"] == expected).all()
    assert found["share"] == pytest.approx(1, abs=1e-5)
    assert found["share_gauge"].mean() < 0.6


def test_latents_between_groups_or_dead_are_unassigned():
    rows = dictionary(0)
    rows[0] = torch.nn.functional.normalize(rows[:4].sum(0), dim=0)
    live = torch.ones(len(rows), dtype=torch.bool)
    live[5] = False
    each = assign_to_truth(rows, live, shares_of_groups(rows, GROUPS), GROUPS, owned_from=0.5)
    assert each.owner[0] == UNASSIGNED
    assert each.owner[5] == UNASSIGNED
    assert each.owner[6] == 6


def test_shares_are_squared_lengths_of_projections():
    row = 0.6 * GROUPS.directions[0:1]
    inside = GROUPS.basis(SINGLES)
    row = row + 0.3 * inside[0] - 0.4 * inside[2]
    shares = shares_of_groups(row, GROUPS)[0]
    assert shares[SINGLES] == pytest.approx((row @ inside.T).square().sum().item(), abs=1e-6)
    assert shares[0] == pytest.approx((row @ GROUPS.directions[0]).item() ** 2, abs=1e-6)


def test_singles_and_spans_of_blocks_recur_and_latents_of_blocks_recur_at_chance(found):
    """Random directions in a known subspace follow the covering probability."""
    best = found["best"]
    others = ~np.isnan(best)
    assert (best[..., :SINGLES][others[..., :SINGLES]] > 0.999).all()
    assert np.nanmean(found["overlap"]["value"]) == pytest.approx(1, abs=1e-6)
    share = np.nanmean((best >= 0.7)[others.all(axis=2)][:, SINGLES:])
    law = covering_probability(PER_BLOCK, RANK, 0.7)
    assert share == pytest.approx(law, abs=0.05)
    assert of_blocks(found, "expected") == pytest.approx(law, abs=1e-6)
    assert np.nanmean(found["expected"][..., :SINGLES]) == 1.0


def test_spans_are_far_above_chance_levels_that_ignore_the_block(found):
    overlap = found["overlap"]
    assert np.nanmean(overlap["gauge"]) < 0.5
    assert np.nanmean(overlap["other"]) < 0.4
    assert np.nanmean(overlap["turned"]) == pytest.approx(1, abs=1e-5)
    assert np.nanmean(overlap["isotropic"]) == pytest.approx(RANK / D)
    assert np.nanmax(found["angle"]["value"]) < 0.1
    assert np.nanmean(found["angle"]["gauge"]) > 45


def test_latents_of_other_groups_exclude_those_of_the_block():
    """With six other latents and six of the block, all six others are drawn."""
    block = GROUPS.basis(SINGLES)
    mix = torch.randn(2, 6, RANK, generator=torch.Generator().manual_seed(1))
    one, two = (
        torch.cat([GROUPS.directions[:6], torch.nn.functional.normalize(each @ block, dim=1)])
        for each in mix
    )
    found = held([one, two])
    others = top_subspace(GROUPS.directions[:6], RANK)
    expected = subspace_overlap(block, others)
    assert found["overlap"]["other"][0, 1, 0] == pytest.approx(expected, abs=1e-4)


def test_rotating_blocks_changes_nothing_for_random_bases(found):
    measured, after = (
        np.nanmean((found[t] >= 0.7)[~np.isnan(found[t])].astype(float))
        for t in ("best", "best_turned")
    )
    assert after == pytest.approx(measured, abs=0.03)


def test_rotating_blocks_hides_a_common_basis():
    mix = torch.eye(RANK)
    alike = held([dictionary(seed, basis=mix) for seed in range(4)])
    rows = ~np.isnan(alike["best"])
    assert (alike["best"][rows] > 0.999).all()
    assert (alike["best_turned"][rows] > 0.999).mean() < 0.6
    assert np.nanmean(alike["overlap"]["turned"]) == pytest.approx(1, abs=1e-5)


def test_rotation_keeps_angles_and_components_outside_the_block():
    rows = torch.nn.functional.normalize(dictionary(1) + 0.05 * torch.randn(28, D), dim=1)
    live = torch.ones(len(rows), dtype=torch.bool)
    one = assign_to_truth(rows, live, shares_of_groups(rows, GROUPS), GROUPS, 0.5)
    moved = rotate_within_blocks(one, GROUPS, torch.Generator().manual_seed(0))
    for block in GROUPS.blocks:
        mine = one.latents(block)
        before, after = one.rows[mine], moved.rows[mine]
        assert torch.allclose(before @ before.T, after @ after.T, atol=1e-5)
        inside = GROUPS.basis(block)
        assert torch.allclose(
            before - before @ inside.T @ inside, after - after @ inside.T @ inside, atol=1e-5
        )
        assert not torch.allclose(before, after, atol=0.1)
    singles = one.owner < SINGLES
    assert torch.equal(one.rows[singles], moved.rows[singles])


def test_the_span_of_nearest_latents_holds_a_blocks_latent_without_the_truth(found):
    assert of_blocks(found, "nearest") > 0.85
    assert of_blocks(found, "nearest_gauge") < 0.7


def test_the_share_in_the_nearest_span_is_a_projection():
    there = torch.eye(5)[:4]
    row = torch.tensor([[0.6, 0.0, 0.48, 0.0, 0.64]])
    cosines = row @ there.T
    assert share_in_nearest_span(row, there, cosines, 1).item() == pytest.approx(0.36)
    assert share_in_nearest_span(row, there, cosines, 2).item() == pytest.approx(0.36 + 0.2304)
    assert share_in_nearest_span(row, there, cosines, 9).item() == pytest.approx(0.5904)


@pytest.mark.parametrize("rank", [1, 2, 3, 6])
@pytest.mark.parametrize("count", [1, 4])
def test_the_covering_probability_equals_that_of_drawn_directions(rank, count):
    generator = torch.Generator().manual_seed(rank)
    drawn = torch.nn.functional.normalize(
        torch.randn(40_000, count + 1, rank, generator=generator), dim=2
    )
    best = (drawn[:, 1:] @ drawn[:, 0, :, None]).amax((1, 2))
    assert covering_probability(count, rank, 0.7) == pytest.approx(
        (best >= 0.7).double().mean().item(), abs=0.01
    )


def test_covering_probability_without_latents_is_zero():
    assert covering_probability(0, 4, 0.7) == 0.0


def test_recovery_uses_live_latents_and_spans():
    rows = dictionary(0, per_block=2)
    live = torch.ones(len(rows), dtype=torch.bool)
    live[3] = False
    each = assign_to_truth(rows, live, shares_of_groups(rows, GROUPS), GROUPS, 0.5)
    best = recovered(each, GROUPS)
    assert torch.allclose(best[[0, 1, 2, 4]], torch.ones(4), atol=1e-5)
    assert best[3] < 0.8
    assert torch.allclose(spanned(each, GROUPS), torch.full((BLOCKS,), 0.5), atol=1e-5)


def test_a_block_without_latents_in_one_seed_is_nan():
    lacking = dictionary(1)
    lacking[SINGLES : SINGLES + PER_BLOCK] = GROUPS.directions[0]
    found = held([dictionary(0), lacking])
    assert np.isnan(found["overlap"]["value"][0, 1]).tolist() == [True, False, False]
    assert np.isnan(found["best"][0, 0]).all()
    assert (found["expected"][0, 1, SINGLES : SINGLES + PER_BLOCK] == 0).all()


def test_the_stage_trains_on_the_truth_and_finds_its_singles():
    dictionary_config = replace(TOPK, n_latents=12, k=2, epochs=8, learning_rate=3e-3)
    truth = replace(TRUTH, blocks=1, rank=2, frequencies=(0.1, 0.2), samples=8000)
    arm = planted_arm(PlantedArmConfig(truth, TrainingConfig(dictionary_config, (0, 1))))
    assert arm["quality"]["explained_variance"].min() > 0.6
    assert np.median(arm["recovered"]) > 0.9
    assert arm["singles"] == SINGLES
    assert arm["best"].shape == (2, 2, 12)
    assert arm["frequency"].shape == arm["rank"].shape == (11,)
