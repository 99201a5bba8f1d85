"""Learns a rule from the windows in which a latent is strongest, against windows without it.

Greedy: the predicate, or conjunction of two, that adds most to the balanced accuracy on these
windows, less a penalty for each predicate, until none earns its penalty. Nothing is drawn here,
and of two that add the same the simpler comes first, then the one met first.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32
from numpy import ndarray

from audit.evaluation.explanation.config import RuleConfig
from audit.evaluation.explanation.rules import PLACES, Predicate, Rule, merged
from audit.evaluation.explanation.tokens import CLASSES
from audit.evaluation.explanation.windows import Windows, shifted, unpacked

BEGINNINGS = (2, 4, 8, 16, 32)
"""Positions below which a predicate may hold; 0 is the separator's."""


class Candidates(NamedTuple):
    """What a rule may be made of."""

    predicates: list[tuple[Predicate, ...]]
    """Single ones, then conjunctions of two."""
    marked: ndarray
    """bool [candidates, windows]: in which windows each holds somewhere."""


def learn(
    active: Windows, fires: UInt32[ndarray, "active"], inactive: Windows, config: RuleConfig
) -> Rule:
    """The rule for a latent that fires at these tokens of the active windows.

    Args:
        active: windows in which the latent fires.
        fires: at which tokens, as bits.
        inactive: windows in which it does not.
        config: penalty and limits.
    """
    singles = _singles(active, fires, config)
    words = np.concatenate(
        [_words(active, singles), _words(inactive, singles)], axis=1
    )  # [predicates, windows]
    reach = np.bitwise_count(words[:, : len(active)] & fires).sum(1)
    found = _with_pairs(singles, words, reach, config.paired)
    costs = np.array([len(clause) for clause in found.predicates])
    chosen = _greedy(found.marked, costs, len(active), config)
    return merged([found.predicates[each] for each in chosen])


def _singles(active: Windows, fires: UInt32[ndarray, "active"], config: RuleConfig) -> list:
    """Predicates worth a look: frequent tokens where the latent fires, all classes, beginnings."""
    here = unpacked(fires)
    texts = active.vocabulary.texts
    singles = []
    for back in range(len(PLACES)):
        window, place = np.nonzero(here)
        inside = place >= back
        tokens = active.tokens[window[inside], place[inside] - back]
        singles += [Predicate("is", back, (texts[t],)) for t in _frequent(tokens, config.tokens)]
    singles += [Predicate("class", back, (name,)) for back in (0, 1) for name in CLASSES]
    return singles + [Predicate("position", 0, below=below) for below in BEGINNINGS]


def _frequent(tokens: Int[ndarray, "firings"], most: int) -> list[int]:
    """The most frequent tokens, and of equally frequent ones those with the lower number."""
    numbers, counts = np.unique(tokens, return_counts=True)
    return numbers[np.argsort(-counts, kind="stable")[:most]].tolist()


def _words(windows: Windows, singles: list[Predicate]) -> UInt32[ndarray, "predicates w"]:
    """As `Windows.words` of each, but tokens are looked for all at once."""
    words = np.empty((len(singles), len(windows)), np.uint32)
    numbers = [windows.vocabulary.number[s.values[0]] if s.kind == "is" else -1 for s in singles]
    distinct, place = np.unique(numbers, return_inverse=True)
    where = windows.words_of_tokens(distinct)
    for row, single in enumerate(singles):
        of_token = single.kind == "is"
        words[row] = shifted(where[place[row]], single.back) if of_token else windows.words(single)
    return words


def _with_pairs(
    singles: list[Predicate], words: ndarray, reach: Int[ndarray, "predicates"], most: int
) -> Candidates:
    """Single predicates, and conjunctions of those that hold at most of the firing tokens."""
    best = np.sort(np.argsort(-reach, kind="stable")[:most])
    first, second = np.triu_indices(len(best), k=1)
    together = words[best[first]] & words[best[second]]
    pairs = [(singles[best[i]], singles[best[j]]) for i, j in zip(first, second, strict=True)]
    marked = np.concatenate([words != 0, together != 0])
    return Candidates([*((single,) for single in singles), *pairs], marked)


def _greedy(
    marked: ndarray, costs: Int[ndarray, "candidates"], n_active: int, config: RuleConfig
) -> list[int]:
    """Candidates in the order in which they are taken.

    Balanced accuracy is ½ + ½ (share of active windows marked − share of inactive ones), so a
    candidate adds half of what it newly marks.
    """
    n_inactive = marked.shape[1] - n_active
    left = np.repeat(
        np.array([0.5 / n_active, -0.5 / max(n_inactive, 1)], np.float32), (n_active, n_inactive)
    )
    marked = marked.astype(np.float32)
    chosen: list[int] = []
    allowed = config.most_predicates
    while True:
        gain = marked @ left - config.penalty * costs
        gain[costs > allowed] = -np.inf
        # Rounding must not decide between equals, which the first of them wins.
        best = int(np.argmax(np.round(gain, 5)))
        if not gain[best] > 1e-5:
            return chosen
        chosen.append(best)
        allowed -= int(costs[best])
        left[marked[best] > 0] = 0.0
