"""Pooling of seeds, and fine-tuning."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.training.config import FinetuneConfig, PoolingConfig
from audit.training.finetune import finetune
from audit.training.pooling import average, cluster, live_latents, merge, pool, refit_decoder
from audit.training.stages import saes, stacked, train
from seedstability.dictionaries.config import TOPK, TrainingConfig
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

D, N, SEEDS = 16, 6, 4
SETTINGS = replace(TOPK, n_latents=N, k=2, auxk=0, epochs=2, batch_size=64, learning_rate=1e-2)


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


def sae(rows, bias=0.0):
    rows = unit(rows)
    n = len(rows)
    return SAE(
        rows.clone(),
        torch.full((n,), bias),
        rows,
        torch.zeros(rows.shape[1]),
        torch.zeros(n),
        replace(SETTINGS, n_latents=n),
    )


@pytest.fixture
def planted():
    """Four seeds with three shared and three own directions each, in random order."""
    generator = torch.Generator().manual_seed(0)
    common = torch.eye(D)[:3]
    dictionaries = []
    for seed in range(SEEDS):
        alone = torch.eye(D)[3 + 3 * seed : 6 + 3 * seed]
        rows = torch.cat([common + 0.05 * torch.randn(3, D, generator=generator), alone])
        dictionaries.append(sae(rows[torch.randperm(N, generator=generator)], bias=0.1 * seed))
    firings = np.full((SEEDS, N), 10)
    return dictionaries, firings


def test_clusters_are_the_shared_directions(planted):
    pooled = live_latents(*planted)
    found = cluster(pooled, 0.7)
    assert found.votes.tolist() == [4, 4, 4] + [1] * 12
    for members in found.members[:3]:
        assert sorted(pooled.seed[members]) == [0, 1, 2, 3]


def test_a_seed_has_one_vote_per_cluster():
    twice = sae(torch.eye(D)[[0, 0, 1]] + 1e-3)
    once = sae(torch.eye(D)[[0, 2, 3]])
    found = cluster(live_latents([twice, once], np.ones((2, 3), int)), 0.7)
    assert found.votes.tolist() == [2, 1, 1, 1]


def test_ties_of_votes_are_broken_by_firings(planted):
    dictionaries, firings = planted
    firings[2, :] = 1000
    pooled = live_latents(dictionaries, firings)
    found = cluster(pooled, 0.7)
    assert [pooled.seed[each].tolist() for each in found.members[3:6]] == [[2], [2], [2]]


def test_votes_count_before_firings():
    one, other = sae(torch.eye(D)[[0, 1]]), sae(torch.eye(D)[[0, 2]])
    found = cluster(live_latents([one, other], np.array([[1, 1], [1, 1000]])), 0.7)
    assert found.votes.tolist() == [2, 1, 1]
    assert found.members[1].tolist() == [3]


def test_dead_latents_have_no_vote(planted):
    dictionaries, firings = planted
    firings[1, :] = 0
    assert cluster(live_latents(dictionaries, firings), 0.7).votes.max() == 3


def test_clustering_stops_at_the_minimum_number_of_clusters(planted):
    pooled = live_latents(*planted)
    assert len(cluster(pooled, -1.0).members) == 1
    assert len(cluster(pooled, -1.0, at_least=5).members) == 5


def test_merged_latents_are_means_with_unit_rows(planted):
    pooled = live_latents(*planted)
    found = cluster(pooled, 0.7)
    made = merge(pooled, found.members[:3])
    assert (made.decoder @ torch.eye(D)[:3].T).max(1).values.min() > 0.98
    assert torch.allclose(made.decoder.norm(dim=1), torch.ones(3))
    # biases 0, 0.1, 0.2 and 0.3, one per seed
    assert torch.allclose(made.encoder_bias, torch.full((3,), 0.15))


def test_the_average_is_over_partners_and_not_over_indices():
    generator = torch.Generator().manual_seed(1)
    first = sae(torch.randn(N, D, generator=generator))
    order = torch.randperm(N, generator=generator)
    second = replace(first, encoder=3 * first.encoder[order], decoder=first.decoder[order])
    made = average([first, second])
    assert torch.allclose(made.decoder, first.decoder, atol=1e-6)
    assert torch.allclose(made.encoder, 2 * first.encoder, atol=1e-5)


def samples(rows, m=600, seed=0):
    """Samples that are sums of two rows with coefficients in 1–2, plus a constant."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.zeros(m, len(rows))
    which = torch.stack([torch.randperm(len(rows), generator=generator)[:2] for _ in range(m)])
    codes.scatter_(1, which, 1 + torch.rand(m, 2, generator=generator))
    return codes @ rows + 0.3


def test_refitting_raises_explained_variance():
    rows = torch.eye(D)[:N]
    x = samples(rows)
    rough = replace(sae(rows + 0.1), encoder=0.4 * rows, decoder_bias=torch.full((D,), 0.25))
    made = refit_decoder(rough, x, 1e-9)
    assert quality(made, x).explained_variance > quality(rough, x).explained_variance + 0.2
    assert quality(made, x).explained_variance > 0.999
    assert torch.allclose(made.decoder.norm(dim=1), torch.ones(N))


def test_a_refitted_decoder_is_the_least_squares_solution():
    x = samples(torch.eye(D)[:N])
    rough = sae(torch.eye(D)[:N] + 0.2)
    made = refit_decoder(rough, x, 0.0)
    codes = torch.cat([rough.encode(x), torch.ones(len(x), 1)], dim=1).double()
    solved = torch.linalg.lstsq(codes, x.double()).solution.float()
    length = made.encoder.norm(dim=1) / rough.encoder.norm(dim=1)
    assert torch.allclose(length[:, None] * made.decoder, solved[:N], atol=1e-4)
    assert torch.allclose(made.decoder_bias, solved[N], atol=1e-4)


def test_a_latent_that_never_fires_keeps_its_row():
    x = samples(torch.eye(D)[:N])
    rough = sae(torch.eye(D)[:N])
    rough.encoder_bias[4] = -100.0
    made = refit_decoder(rough, x, 1e-6)
    assert torch.equal(made.decoder[4], rough.decoder[4])


def stage_inputs(planted):
    dictionaries, firings = planted
    x = samples(torch.eye(D))
    return {
        **stacked(dictionaries, [sae.decoder for sae in dictionaries]),
        "last_epoch_firings": firings,
    }, {"train": x.numpy()}


def test_groups_are_pooled_independently(planted):
    made = pool(PoolingConfig(SETTINGS, group_size=2), *stage_inputs(planted))
    assert made["decoder"].shape == (2, N, D)
    assert made["votes"].tolist() == [[2, 2, 2, 1, 1, 1]] * 2
    assert made["clusters"].tolist() == [9, 9]
    assert made["pooled"].tolist() == [12, 12]
    first, second = (torch.from_numpy(rows) for rows in made["decoder"])
    # own directions of seeds 2 and 3 are not in the pool of seeds 0 and 1
    assert (first[3:] @ second[3:].T).abs().max() < 0.9


def test_drawn_latents_are_a_random_subset(planted):
    config = PoolingConfig(SETTINGS, group_size=4, choose="drawn", refit=False)
    inputs = stage_inputs(planted)
    made = pool(config, *inputs)
    known = torch.from_numpy(inputs[0]["decoder"]).reshape(-1, D)
    rows = torch.from_numpy(made["decoder"][0])
    assert (rows @ known.T).max(1).values.min() > 0.9999
    # six of twenty-four, and not the first six
    assert {int(at) // N for at in (rows @ known.T).argmax(1)} != {0}
    other = pool(replace(config, seed=1), *inputs)
    assert not np.array_equal(made["decoder"], other["decoder"])


@pytest.mark.parametrize("size", [1, 5])
def test_group_sizes_out_of_range_are_refused(planted, size):
    with pytest.raises(UserError, match=r"group_size is \d with 4 dictionaries"):
        pool(PoolingConfig(SETTINGS, group_size=size), *stage_inputs(planted))


def test_more_latents_than_the_pool_has_are_refused(planted):
    wide = replace(SETTINGS, n_latents=40)
    with pytest.raises(UserError, match="n_latents is 40"):
        pool(PoolingConfig(wide, group_size=2), *stage_inputs(planted))


def test_finetuning_continues_from_the_given_dictionaries():
    x = {"train": samples(torch.eye(D)[:N]).numpy(), "heldout": np.zeros((4, D), np.float32)}
    first = TrainingConfig(SETTINGS, (0, 1))
    given = train(first, x)
    still = TrainingConfig(replace(SETTINGS, epochs=0), (0, 1))
    kept = finetune(FinetuneConfig(still), given, x)
    np.testing.assert_allclose(kept["decoder"], given["decoder"], atol=1e-6)
    finetuned = finetune(FinetuneConfig(first), given, x)
    np.testing.assert_array_equal(finetuned["initial_decoder"], given["decoder"])
    target = torch.from_numpy(x["train"])
    before, after = (
        [quality(each, target).mse for each in saes(found, SETTINGS)]
        for found in (given, finetuned)
    )
    assert all(better < worse for better, worse in zip(after, before, strict=True))
