"""Latents are ablated where they fire, and effects on the next token compared as documented."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audit.evaluation.behavior.ablation import (
    ablate,
    choose_latents,
    draw_evenly,
    draw_frequency_matched,
    latent_output,
)
from audit.evaluation.behavior.config import AblationConfig
from audit.evaluation.behavior.correlation import sparse_codes
from audit.evaluation.intervention import DownstreamModel, compare_effects, kl_divergence
from audit.subjects.language_model.checkpoint import open_model
from helpers import tiny_checkpoints as tiny
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError

N, CONTEXTS, LENGTH = 24, 12, 16
TOPK = DictionaryConfig(n_latents=N, k=5)
HOOKS = [f"blocks.{i}.hook_{p}" for i in (0, 1) for p in ("resid_pre", "resid_post", "mlp_out")]


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def folder(request, tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return tiny.save(tmp_path_factory.mktemp("gpt2"), "gpt2")


@pytest.fixture
def tokens():
    return tiny.contexts(CONTEXTS, LENGTH)


def dictionary(seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.nn.functional.normalize(torch.randn(N, tiny.D_MODEL, generator=generator))
    nothing = torch.zeros(N), torch.zeros(tiny.D_MODEL)
    return SAE(scale * rows, nothing[0], rows.clone(), nothing[1], torch.zeros(N), TOPK)


def config(folder, **changes):
    plain = AblationConfig(
        TOPK, str(folder), "any", "blocks.1.hook_resid_pre", (0, 1, 2), latents=6, contexts=3
    )
    return replace(plain, **changes)


def stage_inputs(folder, saes, tokens, hook="blocks.1.hook_resid_pre"):
    with torch.no_grad():
        _, cache = open_model(str(folder)).run_with_cache(tokens, names_filter=hook)
    x = cache[hook][:, 1:].flatten(0, 1).numpy()
    parts = ("encoder", "encoder_bias", "decoder", "decoder_bias", "threshold")
    stacked = {name: torch.stack([getattr(sae, name) for sae in saes]).numpy() for name in parts}
    stacked["seeds"] = np.arange(len(saes))
    return stacked, {"train": x, "heldout": x, "heldout_contexts": tokens.numpy()}


@pytest.mark.parametrize("hook", [*HOOKS, "blocks.1.hook_attn_out"])
def test_skipped_blocks_do_not_change_the_predictions(folder, tokens, hook):
    model = open_model(str(folder))
    downstream = DownstreamModel(model, hook)
    change = torch.randn(CONTEXTS, LENGTH, tiny.D_MODEL, generator=torch.Generator().manual_seed(0))
    entering, last = downstream.clean_residuals(tokens)
    ours = downstream.log_probabilities(downstream.final_residual(entering, change).flatten(0, 1))
    with torch.no_grad():
        whole = model.run_with_hooks(tokens, fwd_hooks=[(hook, lambda x, hook: x + change)])
        clean = model(tokens)
    expected = whole.double().log_softmax(-1).flatten(0, 1)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)
    undisturbed = downstream.log_probabilities(last.flatten(0, 1))
    torch.testing.assert_close(
        undisturbed, clean.double().log_softmax(-1).flatten(0, 1), atol=1e-4, rtol=0
    )
    assert (expected - undisturbed).abs().max() > 0.1


def test_blocks_are_restored_afterwards(folder, tokens):
    model = open_model(str(folder))
    with torch.no_grad():
        before = model(tokens)
        downstream = DownstreamModel(model, "blocks.1.hook_resid_pre")
        entering, _ = downstream.clean_residuals(tokens)
        with pytest.raises(RuntimeError):
            downstream.final_residual(entering, torch.zeros(1, 1, 3))
        downstream.final_residual(entering, torch.zeros_like(entering))
        assert torch.equal(model(tokens), before)


def test_a_latents_output_is_zero_where_it_does_not_fire_and_at_the_separator():
    made = latent_output(torch.tensor([[0.0, 2.0], [1.0, 0.0]]), torch.tensor([1.0, -3.0]))
    assert made.tolist() == [[[0, 0], [0, 0], [2, -6]], [[0, 0], [1, -3], [0, 0]]]


def random_changes(seed=0, m=7, v=11):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, m, v, generator=generator, dtype=torch.float64)
    clean = logits[0].log_softmax(-1)
    return clean, *((logits[0] + 0.3 * each).log_softmax(-1) - clean for each in logits[1:])


def test_effects_are_correlations_of_centered_changes():
    clean, first, second, _ = random_changes()
    one, other = (each - each.mean(1, keepdim=True) for each in (first, second))
    expected = (one * other).sum() / (one.norm() * other.norm())
    found = compare_effects(clean, first, second)
    assert found.effect == pytest.approx(expected.item())
    p = clean.exp()
    centered = [each - (p * each).sum(1, keepdim=True) for each in (first, second)]
    sums = [(p * a * b).sum() for a, b in ((0, 1), (0, 0), (1, 1))
            for a, b in [(centered[a], centered[b])]]  # fmt: skip
    expected = sums[0] / (sums[1] * sums[2]).sqrt()
    assert found.weighted_effect == pytest.approx(expected.item())


def test_kl_divergence_equals_torch_and_the_ratio_is_symmetric():
    clean, first, second, _ = random_changes()
    kl = [
        torch.nn.functional.kl_div(clean + each, clean, log_target=True, reduction="batchmean")
        for each in (first, second)
    ]
    assert kl_divergence(clean, first) == pytest.approx(kl[0].item())
    assert compare_effects(clean, first, second).kl_ratio == pytest.approx(
        (min(kl) / max(kl)).item()
    )
    assert (
        compare_effects(clean, second, first).kl_ratio
        == compare_effects(clean, first, second).kl_ratio
    )


def test_equal_changes_have_similarity_one_and_opposite_ones_minus_one():
    clean, first, *_ = random_changes()
    assert compare_effects(clean, first, first) == pytest.approx((1.0, 1.0, 1.0))
    assert compare_effects(clean, first, -first).effect == pytest.approx(-1.0)


def test_a_change_without_effect_has_similarity_zero():
    clean, first, *_ = random_changes()
    assert compare_effects(clean, first, torch.zeros_like(first)) == (0.0, 0.0, 0.0)


def test_groups_are_drawn_evenly_until_they_are_exhausted():
    group = np.repeat([0, 1, 2], [50, 3, 20])
    drawn = draw_evenly(group, 15, np.random.default_rng(0))
    assert np.bincount(group[drawn]).tolist() == [6, 3, 6]
    assert len(np.unique(drawn)) == 15
    assert len(draw_evenly(group, 500, np.random.default_rng(0))) == 73
    other = draw_evenly(group, 15, np.random.default_rng(1))
    assert set(other) != set(drawn)


def test_the_frequency_matched_latent_is_live_and_not_the_partner(tokens, gpt2):
    sae = dictionary(0)
    sae.encoder_bias[:4] = -1e6
    _, data = stage_inputs(gpt2, [sae], tokens)
    codes = sparse_codes(sae, torch.from_numpy(data["heldout"]))
    draw = np.random.default_rng(0)
    drawn = {draw_frequency_matched(codes, 10, 3, draw) for _ in range(60)}
    assert len(drawn) == 3
    assert 10 not in drawn
    apart = np.abs(np.log(codes.rate[codes.live] / codes.rate[10]))
    nearest = np.sort(apart[np.flatnonzero(codes.live) != 10])[:3]
    found = np.abs(np.log(codes.rate[sorted(drawn)] / codes.rate[10]))
    np.testing.assert_allclose(np.sort(found), nearest)


def test_partners_are_those_of_the_assignment_of_live_decoders(tokens, gpt2):
    a = dictionary(0)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    a.encoder_bias[5] = -1e6
    b = SAE(a.encoder[order], a.encoder_bias[order], a.decoder[order], a.decoder_bias, a.threshold,
            TOPK)  # fmt: skip
    _, data = stage_inputs(gpt2, [a], tokens)
    x = torch.from_numpy(data["heldout"])
    chosen = choose_latents(
        a,
        b,
        sparse_codes(a, x),
        sparse_codes(b, x),
        config(gpt2, latents=99),
        np.random.default_rng(0),
    )
    assert 5 not in chosen.latents
    np.testing.assert_array_equal(order[chosen.partners], chosen.latents)
    np.testing.assert_allclose(chosen.cosine, 1.0, atol=1e-6)
    np.testing.assert_allclose(chosen.correlation, 1.0)
    np.testing.assert_array_equal(chosen.population, [0, 0, 0, 0, 1])


def test_identical_dictionaries_have_equal_effects_and_chance_does_not(folder, tokens):
    saes = [dictionary(0)] * 3
    found = ablate(config(folder), *stage_inputs(folder, saes, tokens))
    assert found["cosine"].shape == (3, 6)
    for name in ("effect", "weighted_effect", "kl_ratio"):
        np.testing.assert_allclose(found["partner"][name], 1.0, atol=1e-3)
    for chance in ("other", "gauge"):
        assert np.abs(found[chance]["effect"].mean()) < 0.5
    assert (found["kl"] > 0).all()


def test_one_latents_effect_equals_a_plain_computation(gpt2, tokens):
    """One pair of latents, computed with hooks on the whole model."""
    a, b = dictionary(0), dictionary(1)
    saes, data = stage_inputs(gpt2, [a, b], tokens)
    settings = config(gpt2, seeds=(0, 1), latents=1, contexts=99, positions=9999)
    found = ablate(settings, saes, data)
    x = torch.from_numpy(data["heldout"])
    chosen = choose_latents(
        a, b, sparse_codes(a, x), sparse_codes(b, x), settings, np.random.default_rng(settings.seed)
    )
    i, j = int(chosen.latents[0]), int(chosen.partners[0])
    fa, fb = a.encode(x)[:, i], b.encode(x)[:, j]
    model = open_model(str(gpt2))

    def ends(f, direction):
        change = (f[:, None] * direction).view(CONTEXTS, LENGTH - 1, -1)
        change = torch.nn.functional.pad(change, (0, 0, 1, 0))
        hook = ("blocks.1.hook_resid_pre", lambda value, hook: value - change)
        return model.run_with_hooks(tokens, fwd_hooks=[hook]).double().log_softmax(-1)

    with torch.no_grad():
        clean = model(tokens).double().log_softmax(-1)
        at = ((fa != 0) | (fb != 0)).view(CONTEXTS, LENGTH - 1)
        at = torch.nn.functional.pad(at, (1, 0))
        first, second = ends(fa, a.decoder[i])[at], ends(fb, b.decoder[j])[at]
    expected = compare_effects(clean[at], first - clean[at], second - clean[at])
    got = [found["partner"][name][0, 0] for name in expected._fields]
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert found["kl"][0, 0] == pytest.approx(kl_divergence(clean[at], first - clean[at]), rel=1e-3)


def test_contexts_and_positions_are_drawn_where_one_latent_fires(gpt2, tokens, monkeypatch):
    seen = []
    plain = DownstreamModel.final_residual

    def watched(self, entering, change):
        seen.append((len(entering), (change != 0).any(-1)))
        return plain(self, entering, change)

    monkeypatch.setattr(DownstreamModel, "final_residual", watched)
    saes, data = stage_inputs(gpt2, [dictionary(0), dictionary(1)], tokens)
    ablate(config(gpt2, seeds=(0, 1), contexts=2, positions=3), saes, data)
    assert seen
    for rows, fires in seen:
        assert rows in (4, 8)
        own, partner, other, gauge = fires.view(4, -1, LENGTH)
        assert (own | partner).any(-1).all()
        assert torch.equal(partner, other)
        assert torch.equal(partner, gauge)
        assert not fires[:, 0].any()


def test_pairs_with_fewer_latents_are_padded(gpt2, tokens):
    mostly_dead = dictionary(1)
    mostly_dead.encoder_bias[3:] = -1e6
    saes, data = stage_inputs(gpt2, [dictionary(0), mostly_dead, dictionary(2)], tokens)
    found = ablate(config(gpt2), saes, data)
    assert np.isfinite(found["cosine"]).sum(axis=1).tolist() == [3, 3, 6]
    there = np.isfinite(found["cosine"])
    np.testing.assert_array_equal(np.isfinite(found["gauge"]["effect"]), there)


def test_the_same_settings_give_the_same_numbers(gpt2, tokens):
    inputs = stage_inputs(gpt2, [dictionary(0), dictionary(1)], tokens)
    one, other = (ablate(config(gpt2, seeds=(0, 1)), *inputs) for _ in range(2))
    np.testing.assert_array_equal(one["other"]["effect"], other["other"]["effect"])
    np.testing.assert_array_equal(one["gauge"]["effect"], other["gauge"]["effect"])


def test_a_missing_hook_point_is_refused(gpt2, tokens):
    inputs = stage_inputs(gpt2, [dictionary(0), dictionary(1)], tokens)
    with pytest.raises(UserError, match="the model has blocks 0 to 1"):
        ablate(config(gpt2, hook="blocks.7.hook_resid_pre", seeds=(0, 1)), *inputs)
