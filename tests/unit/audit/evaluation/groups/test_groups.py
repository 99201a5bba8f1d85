"""Contribution and responses of groups of latents, on dictionaries with known answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.evaluation.groups.codes import correlations, reconstruct_without, sparse_columns
from audit.evaluation.groups.config import ContributionConfig, ResponsesConfig
from audit.evaluation.groups.contribution import _removal_tables, removals
from audit.evaluation.groups.responses import _of_seed, _pairs, _Text
from audit.evaluation.groups.token_statistics import entropy, log_ranks, subsampled_entropy
from audit.training.stages import stacked
from seedstability.dictionaries.config import TOPK
from seedstability.dictionaries.sae import SAE
from seedstability.stability.config import GroupsConfig
from seedstability.stability.groups import Groups

N, D, M, SEEDS = 24, 24, 400, 5
CONFIG = replace(TOPK, n_latents=N, k=4)


def dictionary() -> SAE:
    """A dictionary whose latent i reads and writes coordinate i."""
    eye = torch.eye(N, D)
    return SAE(eye, torch.zeros(N), eye.clone(), torch.zeros(D), torch.zeros(N), CONFIG)


def samples() -> torch.Tensor:
    """Samples with four coordinates each; those of the first half are three times as large."""
    generator = np.random.default_rng(0)
    x = np.zeros((M, D), np.float32)
    for row in x:
        row[generator.choice(D, 4, replace=False)] = generator.random(4) + 1.0
    x[:, : D // 2] *= 3.0
    return torch.from_numpy(x)


def camps() -> dict:
    """The first half of all latents recurs in all seeds, the second in none."""
    best = np.tile(np.where(np.arange(N) < N // 2, 0.9, 0.1), (SEEDS, SEEDS, 1))
    best[range(SEEDS), range(SEEDS)] = np.nan
    rate = np.full((SEEDS, N), 1 / 6)
    return {"best": best, "live": np.ones((SEEDS, N), bool), "firing_rate": rate}


def test_sparse_columns_equal_the_encoding():
    sae, x = dictionary(), samples()
    assert np.array_equal(sparse_columns(sae, x).toarray(), sae.encode(x).double().numpy())


def test_reconstruction_without_latents_decodes_codes_set_to_zero():
    sae, x = dictionary(), samples()
    sae = replace(sae, decoder_bias=torch.arange(D) / 10.0)
    codes, removed = sae.encode(x), np.array([0, 5, 17])
    codes[:, removed] = 0.0
    made = reconstruct_without(sae, sparse_columns(sae, x), removed)
    assert np.allclose(made, sae.decode(codes).double().numpy(), atol=1e-5)


def test_correlations_are_pearsons_and_zero_for_silent_latents():
    sae, x = dictionary(), samples()
    x[:, 3] = 0.0
    codes = sparse_columns(sae, x)
    found, others = correlations(codes), np.arange(N) != 3
    plain = np.corrcoef(codes.toarray()[:, others].T)
    assert np.allclose(found[np.ix_(others, others)], plain)
    assert found[3, 3] == 1.0
    assert not found[3, others].any()


def test_removals_have_equal_sizes_and_matched_firing_rates():
    stable, unstable = np.arange(8), np.arange(8, N)
    rate = np.where(np.arange(N) < 8, 0.1, 0.01)
    rate[[20, 21]] = 0.11
    found = removals(Groups([stable], [unstable], "camps"), 0, rate, 0.1, np.random.default_rng(0))
    sizes = {name: len(each.latents) for name, each in found.items()}
    assert sizes["stable"] == sizes["equal_stable"] == sizes["equal_unstable"] == 8
    assert sizes["unstable"] == 16
    assert sizes["random"] == 8
    assert sorted(found["matched_unstable"].latents) == [20, 21]
    assert sizes["matched_stable"] == 2
    assert set(found["equal_unstable"].latents) <= set(unstable)
    assert found["matched_unstable"].rate == pytest.approx(0.11)
    assert found["nothing"].rate == 0.0


def test_the_loss_of_a_removal_is_the_removed_output():
    x = samples()
    seen = []

    def model_score(made):
        seen.append(made)
        return {"loss": float(np.square(made - x.double().numpy()).sum())}

    config = ContributionConfig(CONFIG, GroupsConfig(fewest=2), seeds=tuple(range(SEEDS)))
    found = _removal_tables(
        config,
        {
            **stacked([dictionary()] * SEEDS, [dictionary().decoder] * SEEDS),
            "seeds": np.arange(SEEDS),
        },
        camps(),
        x,
        model_score,
    )
    values = x.double().numpy()
    total = np.square(values - values.mean(0)).sum()
    parts = {"stable": slice(0, N // 2), "unstable": slice(N // 2, N)}
    assert found["kind"] == "camps"
    assert found["nothing"]["explained_variance"] == pytest.approx(1.0)
    for name, part in parts.items():
        lost = np.square(values[:, part]).sum()
        assert found[name]["loss"] == pytest.approx(lost)
        assert 1 - found[name]["explained_variance"] == pytest.approx(lost / total)
        assert found[name]["size"].tolist() == [12.0] * SEEDS
    assert found["matched_stable"]["loss"].min() > 5 * found["matched_unstable"]["loss"].max()
    assert len(seen) == 8 * SEEDS


def test_ranks_begin_at_one_and_ties_share_theirs():
    assert 10 ** log_ranks(np.array([5, 100, 5, 7])) == pytest.approx([3.5, 1.0, 3.5, 2.0])


def test_entropy_of_known_tokens():
    assert entropy(np.array([1, 1, 1])) == 0.0
    assert entropy(np.array([1, 2, 3, 4])) == pytest.approx(2.0)


def test_subsampled_entropy_does_not_depend_on_frequency():
    draw = np.random.default_rng(0)
    law = np.random.default_rng(1).integers(0, 40, 5000)
    rare, frequent = law[:40], law
    few, many = (subsampled_entropy(each, 32, 20, draw) for each in (rare, frequent))
    assert abs(few - many) < 0.2 < entropy(frequent) - entropy(rare[:32])
    assert np.isnan(subsampled_entropy(law[:31], 32, 20, draw))


def test_pairs_are_numbered_in_both_groups():
    pair = _pairs(np.array([-1.0, -2.0, -3.0, -2.05, -0.5]), np.array([0, 0, 0, 1, 1]), 0.1)
    assert pair.tolist() == [-1, 0, -1, 0, -1]


class Fires:
    """Latent 0 fires on one rare token, latent 1 equally often on the frequent ones."""

    counts = np.array([40, 40, 0])
    _rows = (np.arange(40), np.arange(40, 80), np.arange(0))

    def of(self, latent):
        return self._rows[latent], np.ones(self.counts[latent], np.float32)


class Text:
    """Held-out samples without windows, so that no rule is learned."""

    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))


def test_responses_describe_the_tokens_on_which_latents_fire(monkeypatch):
    from audit.evaluation.groups import responses

    monkeypatch.setattr(responses, "_rare", lambda *_: 0.0)
    tokens = np.concatenate([np.full(40, 7), np.arange(40) % 8, np.zeros(120, int)])
    rank = np.arange(8) / 7.0
    config = ResponsesConfig(None, firings=16, draws=4, rules=0, caliper=0.1)
    config = replace(config, explanation=type("E", (), {"scored": 1})())
    both = (np.array([0, 2]), np.array([1]))
    found = _of_seed(Fires(), both, _Text(Text(), tokens, rank), config, 0)
    assert found["stable"].tolist() == [0.0, 1.0]
    assert found["token_rank"] == pytest.approx([1.0, rank.mean()])
    assert found["entropy"][0] == 0.0
    assert found["entropy"][1] > 2.0
    assert found["log_frequency"] == pytest.approx(np.log10(40 / 200))
    assert found["pair"].tolist() == [0, 0]
    assert np.isnan(found["rule"]).all()
    assert not np.isnan(found["random"]["entropy"]).any()
