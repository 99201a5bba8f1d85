"""Rules: their text, tests, learning and scoring."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audit.evaluation.explanation.config import RuleConfig
from audit.evaluation.explanation.heldout_text import LatentWindows, balanced_accuracy, firings
from audit.evaluation.explanation.learner import learn
from audit.evaluation.explanation.rules import Predicate, Rule, merge_token_sets
from audit.evaluation.explanation.tokens import CLASSES, quote, texts_of
from audit.evaluation.explanation.windows import Vocabulary, Windows, activity, unpacked
from helpers.explanation_data import CONFIG, ONE_TOKEN, Tokenizer, example, sae, samples
from helpers.plain_rules import learned_rule, marks, parse, unquote
from seedstability.dictionaries.sae import SAE

TOKENS = st.text(min_size=0, max_size=6)
PREDICATES = st.one_of(
    st.builds(
        lambda back, values: Predicate("is", back, tuple(values)),
        st.integers(0, 2),
        st.lists(TOKENS, min_size=1, max_size=3),
    ),
    st.builds(
        lambda back, name: Predicate("class", back, (name,)),
        st.integers(0, 2),
        st.sampled_from(sorted(CLASSES)),
    ),
    st.builds(lambda below: Predicate("position", 0, below=below), st.integers(1, 128)),
)
RULES = st.builds(
    lambda clauses: Rule(tuple(tuple(clause) for clause in clauses)),
    st.lists(st.lists(PREDICATES, min_size=1, max_size=2), max_size=3),
)


@given(RULES)
def test_parsing_inverts_the_text_of_a_rule(rule):
    assert parse(str(rule)) == rule


@given(st.text())
def test_a_quoted_token_is_ascii_on_one_line_and_can_be_unquoted(text):
    shown = quote(text)
    assert shown.replace("·", "").isascii()
    assert shown.isprintable()
    assert " " not in shown
    assert unquote(shown) == text


def test_a_rule_reads_as_english():
    comma = Predicate("is", 0, (" the", "\n"))
    both = (Predicate("class", 0, ("digits",)), Predicate("is", 1, ("(",)))
    assert str(Rule(((comma,), both))) == (
        'token in {"·the", "\\n"} or (token is digits and previous is "(")'
    )
    assert str(Rule()) == "never"


def test_byte_level_tokens_become_text_and_incomplete_characters_bytes():
    class Bytes:
        def get_vocab(self):
            return {"Ġthe": 0, "ĊĠĠ": 1, "Ã©": 2, "Ã": 3, "<|endoftext|>": 4}

    assert texts_of(Bytes()) == [" the", "\n  ", "é", "\\xc3", "<|endoftext|>"]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        (" the", {"a word's start", "lower case"}),
        ("ing", {"a word's rest", "lower case"}),
        (" Sum", {"a word's start", "capitalised"}),
        ("NaN", {"a word's rest", "capitalised"}),
        (" EOF", {"a word's start", "capitals"}),
        ("42", {"digits"}),
        (" +=", {"an operator"}),
        ("((", {"an opening bracket"}),
        ("):", {"a closing bracket"}),
        ("\n    ", {"a line break"}),
        ("    ", {"indentation"}),
        ('"""', {"a quote"}),
        ("é", {"a word's rest", "lower case", "not ASCII"}),
    ],
)
def test_tokens_belong_to_the_expected_classes(text, classes):
    assert {name for name, belongs in CLASSES.items() if belongs(text)} == classes


@given(st.integers(0, 2**32 - 1))
def test_packed_windows_mark_the_same_as_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    texts = texts_of(Tokenizer())
    windows = Windows.of(rng.integers(1, len(texts), (2, 64)), Vocabulary(texts))
    clause = (
        Predicate("is", int(rng.integers(3)), tuple(rng.choice(texts, 2))),
        Predicate("class", int(rng.integers(3)), (str(rng.choice(sorted(CLASSES))),)),
    )
    rule = Rule((clause, (Predicate("position", 0, below=int(rng.integers(1, 9))), *clause[:1])))
    plain = [
        any(marks(rule, [texts[t] for t in tokens], int(first)))
        for tokens, first in zip(windows.tokens, windows.first, strict=True)
    ]
    assert windows.marked(rule).tolist() == plain


def test_the_separator_belongs_to_no_class():
    texts = ["(", "x"]
    tokens = np.zeros((1, 32), int)
    bracket = Rule(((Predicate("class", 0, ("an opening bracket",)),),))
    assert Windows.of(tokens, Vocabulary(texts)).marked(bracket)[0]
    assert not Windows.of(tokens, Vocabulary(texts, separator=0)).marked(bracket)[0]


def test_firings_are_assigned_to_window_and_token():
    found = activity(np.array([0, 30, 31, 126, 127]), np.array([1.0, 5.0, 2.0, 3.0, 4.0]), 127)
    assert found.window.tolist() == [0, 1, 3, 4]
    assert found.strength.tolist() == [5.0, 2.0, 3.0, 4.0]
    places = [np.flatnonzero(bits).tolist() for bits in unpacked(found.word)]
    assert places == [[1, 31], [0], [31], [1]]


@pytest.mark.parametrize("architecture", ["topk", "relu", "jumprelu"])
def test_firings_equal_the_non_zero_encoding(architecture):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    # With k this large some pre-activations are negative, which topk sets to zero.
    config = replace(ONE_TOKEN, architecture=architecture, k=15, n_latents=20)
    threshold = draw(20).abs() if architecture == "jumprelu" else torch.zeros(20)
    random = SAE(draw(20, 8), draw(20), draw(20, 8), draw(8), threshold, config)
    x = draw(50, 8)
    found, codes = firings(random, x), random.encode(x)
    for latent in range(20):
        rows, values = found.of(latent)
        assert rows.tolist() == codes[:, latent].nonzero().flatten().tolist()
        np.testing.assert_allclose(values, codes[rows, latent], rtol=1e-6)


def test_single_tokens_merge_into_a_set_and_conjunctions_stay():
    a, b, c = (Predicate("is", back, (text,)) for back, text in ((0, "a"), (0, "b"), (1, "c")))
    assert merge_token_sets([(a,), (c,), (a, c), (b,)]) == Rule(
        ((a._replace(values=("a", "b")),), (c,), (a, c))
    )


def learned(active, inactive, **settings) -> Rule:
    return learned_rule(active, inactive, RuleConfig(**settings))


def test_the_previous_token_is_found_if_the_token_alone_is_uninformative():
    active = [example(*"(xyzab(x", fires=(1, 7)) for _ in range(20)]
    inactive = [example(*"yxaxb(a(", fires=()) for _ in range(40)]
    assert str(learned(active, inactive)) == 'token is "x" and previous is "("'


def test_tokens_that_each_explain_some_windows_are_all_named():
    active = [example("a", "c", fires=(0,)), example("c", "b", fires=(1,))] * 20
    inactive = [example("c", "d")] * 40
    assert str(learned(active, inactive)) in ('token in {"a", "b"}', 'token in {"b", "a"}')


def test_a_rule_that_lists_single_windows_is_not_learned():
    active = [example(f"w{n}", "x", fires=(0,)) for n in range(200)]
    inactive = [example(f"v{n}", "x") for n in range(200)]
    assert str(learned(active, inactive, tokens=200)) == "never"


def test_a_rule_has_at_most_max_predicates():
    words = "abcdefgh"
    active = [example(words[n % 8], "·", fires=(0,)) for n in range(80)]
    rule = learned(active, [example("z", "·")] * 80, max_predicates=3, tokens=8)
    assert rule.length <= 3
    assert rule.clauses


def test_a_position_rule_is_learned():
    active = [example("a", "b", fires=(1,), first=0)] * 20
    inactive = [example("a", "b", first=32)] * 20
    assert str(learned(active, inactive)) == "position < 2"


def test_balanced_accuracy_is_one_half_for_constant_answers():
    assert balanced_accuracy(np.ones(10, bool), np.ones(3, bool)) == 0.5
    assert balanced_accuracy(np.array([True, True]), np.array([False, True])) == 0.75


def test_learning_does_not_depend_on_the_order_of_inactive_windows():
    text = samples()
    active = text.activity(*firings(sae(), text.x).of(4))
    chosen = LatentWindows(active, text, CONFIG, np.random.default_rng(0))
    windows = text.windows
    words = active.word[np.searchsorted(active.window, chosen.shown)]
    there = learn(windows[chosen.shown], words, windows[chosen.contrast], CONFIG.rules)
    back = learn(windows[chosen.shown], words, windows[chosen.contrast[::-1]], CONFIG.rules)
    assert there == back
