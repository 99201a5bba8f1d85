"""Windows of latents in held-out text, and the stages that explain and align latents."""

import numpy as np
import pytest

from audit.evaluation.explanation import stages
from audit.evaluation.explanation.config import AlignmentConfig
from audit.evaluation.explanation.heldout_text import (
    LatentWindows,
    firings,
    scorability,
)
from audit.evaluation.explanation.planted import planted
from audit.evaluation.explanation.tokens import quote, texts_of
from helpers.explanation_data import (
    CONFIG,
    CONTEXTS,
    VOCABULARY,
    Tokenizer,
    activations,
    contexts,
    dictionaries,
    sae,
    samples,
)
from helpers.plain_rules import detection_score, examples, learned_rule
from seedstability.errors import UserError


@pytest.mark.parametrize("latent", [6, 9, 14])
def test_packed_windows_give_the_rule_and_score_of_plain_ones(latent):
    text, generator = samples(), np.random.default_rng(0)
    rows, values = firings(sae(), text.x).of(latent)
    active = text.activity(rows, values)
    assert scorability(active, text, CONFIG) == 0
    chosen = LatentWindows(active, text, CONFIG, generator)
    shown, contrast, active, inactive = (
        examples(text, rows, values, windows)
        for windows in (chosen.shown, chosen.contrast, chosen.active, chosen.inactive)
    )
    rule = learned_rule(shown, contrast, CONFIG.rules, texts_of(Tokenizer()))
    assert rule == chosen.rule()
    assert detection_score(rule, active, inactive) == chosen.score(rule)


def test_learning_and_scoring_use_different_halves():
    text = samples()
    active = text.activity(*firings(sae(), text.x).of(5))
    chosen = LatentWindows(active, text, CONFIG, np.random.default_rng(0))
    learning, fires = set(np.flatnonzero(text.learning)), set(active.window)
    assert {*chosen.shown, *chosen.contrast} <= learning
    assert not {*chosen.active, *chosen.inactive, *chosen.strong} & learning
    assert {*chosen.shown, *chosen.active, *chosen.strong} <= fires
    assert not {*chosen.contrast, *chosen.inactive} & fires
    of = dict(zip(active.window, active.strength, strict=True))
    rest = [of[w] for w in fires - learning if w not in set(chosen.strong)]
    assert min(of[w] for w in chosen.strong) >= max(rest)


def test_contexts_of_a_block_stay_in_one_half():
    halves = samples().learning.reshape(CONTEXTS // CONFIG.block, -1)
    assert (halves.all(axis=1) | ~halves.any(axis=1)).all()
    assert halves.mean() == 0.5


@pytest.mark.parametrize("pairs", [False, True])
def test_planted_latents_score_one(pairs):
    text = samples()
    scored = 0
    for active in planted(text.windows.tokens, pairs):
        if scorability(active, text, CONFIG) == 0:
            chosen = LatentWindows(active, text, CONFIG, np.random.default_rng(scored))
            assert chosen.score(chosen.rule()) == 1.0
            scored += 1
    assert scored > 5


@pytest.fixture(scope="module")
def explained():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "audit.subjects.language_model.checkpoint.open_tokenizer",
            lambda model: Tokenizer(),
        )
        yield stages.explain(CONFIG, dictionaries(), activations())


def test_latents_that_are_tokens_score_one_and_swapped_rules_about_one_half(explained):
    known = explained["latent"] >= 0
    assert known.any(axis=1).all()
    np.testing.assert_array_equal(explained["score"][known], 1.0)
    np.testing.assert_array_equal(explained["strong"][known], 1.0)
    assert abs(explained["swapped"][known].mean() - 0.5) < 0.1
    assert (explained["predicates"][known] == 1).all()
    assert explained["control"]["tokens"].tolist() == [1.0] * 3


def test_each_rule_names_the_token_of_its_latent(explained):
    texts = texts_of(Tokenizer())
    rows = dictionaries()["encoder"]
    for seed in range(2):
        rules = explained["rules"][f"seed{seed}"].split("\n")
        drawn = explained["latent"][seed][explained["latent"][seed] >= 0]
        for latent, rule in zip(drawn, rules, strict=True):
            assert rule == f"token is {quote(texts[rows[seed, latent].argmax()])}"


def test_latents_too_rare_to_score_are_counted(explained):
    text = samples()
    found = firings(sae(), text.x)
    latents = range(len(VOCABULARY))
    fits = np.array([scorability(text.activity(*found.of(i)), text, CONFIG) for i in latents])
    counts = np.bincount(contexts()[:, 1:].ravel(), minlength=len(VOCABULARY))
    assert explained["live"].tolist() == [(counts > 0).sum()] * 2
    assert explained["rare"][0] == np.sum((fits < 0) & (counts > 0))
    assert explained["rare"][0] > 0
    assert explained["common"][0] == np.sum(fits > 0)
    assert explained["common"][0] > 0


def test_firing_rates_equal_token_frequencies(explained):
    tokens = contexts()[:, 1:].ravel()
    token = dictionaries()["encoder"][0].argmax(axis=1)
    for latent, rate in zip(explained["latent"][0], explained["rate"][0], strict=True):
        if latent >= 0:
            assert rate == pytest.approx((tokens == token[latent]).mean())


def test_explaining_is_deterministic(explained, monkeypatch):
    monkeypatch.setattr(
        "audit.subjects.language_model.checkpoint.open_tokenizer",
        lambda model: Tokenizer(),
    )
    again = stages.explain(CONFIG, dictionaries(), activations())
    for name in ("latent", "score", "random", "swapped", "strong_random"):
        np.testing.assert_array_equal(again[name], explained[name])
    assert again["rules"] == explained["rules"]


def test_samples_that_do_not_fit_the_contexts_are_refused():
    from audit.evaluation.explanation.heldout_text import HeldoutText

    found = activations()
    with pytest.raises(UserError, match="all but the first token"):
        HeldoutText.of(CONFIG, found | {"heldout": found["heldout"][1:]}, texts_of(Tokenizer()))


def test_permuted_dictionaries_have_alignment_one():
    found = stages.align(AlignmentConfig(), dictionaries(3))["alignment"]
    assert np.isnan(found[range(3), range(3)]).all()
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(found[off], 1.0, rtol=1e-6)


def test_alignment_is_the_mean_of_both_cosines_with_the_decoder_partner():
    decoder = np.eye(3, dtype=np.float32)
    encoder = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1]], np.float32)
    order = [2, 0, 1]
    made = {
        "decoder": np.stack([decoder, decoder[order]]),
        "encoder": np.stack([decoder, encoder[order]]),
    }
    found = stages.align(AlignmentConfig(), made)["alignment"]
    half = 0.5 + 0.5 / np.sqrt(2)
    np.testing.assert_allclose(found[0, 1], [1, 1, half], rtol=1e-6)
    np.testing.assert_allclose(found[1, 0], [half, 1, 1], rtol=1e-6)
