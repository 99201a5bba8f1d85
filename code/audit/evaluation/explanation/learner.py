"""Learn a rule from the windows in which a latent is strongest, against windows without it.

The learner is greedy: it adds the predicate, or conjunction of two, with the largest gain in
balanced accuracy on these windows minus a penalty for each predicate, until no gain exceeds its
penalty. It is deterministic: of two with equal gain the simpler comes first, then the earlier.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt32
from numpy import ndarray

from audit.evaluation.explanation.config import RuleConfig
from audit.evaluation.explanation.rules import PLACES, Predicate, Rule, merge_token_sets
from audit.evaluation.explanation.tokens import CLASSES
from audit.evaluation.explanation.windows import Windows, shifted, unpacked

POSITION_LIMITS = (2, 4, 8, 16, 32)
"""Bounds of `position` predicates; position 0 is the separator."""


class Candidates(NamedTuple):
    """Candidate clauses of a rule."""

    predicates: list[tuple[Predicate, ...]]
    """Single predicates, then conjunctions of two."""
    marked: ndarray
    """bool [candidates, windows]: windows in which each holds at some token."""


def learn(
    active: Windows, fires: UInt32[ndarray, " active"], inactive: Windows, config: RuleConfig
) -> Rule:
    """Learn a rule for a latent.

    Args:
        active: windows in which the latent fires.
        fires: tokens at which it fires, as bits.
        inactive: windows in which it does not fire.
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
    return merge_token_sets([found.predicates[each] for each in chosen])


def _singles(active: Windows, fires: UInt32[ndarray, " active"], config: RuleConfig) -> list:
    """List candidate predicates: frequent tokens where the latent fires, classes, positions."""
    here = unpacked(fires)
    texts = active.vocabulary.texts
    singles = []
    for back in range(len(PLACES)):
        window, place = np.nonzero(here)
        inside = place >= back
        tokens = active.tokens[window[inside], place[inside] - back]
        singles += [Predicate("is", back, (texts[t],)) for t in _frequent(tokens, config.tokens)]
    singles += [Predicate("class", back, (name,)) for back in (0, 1) for name in CLASSES]
    return singles + [Predicate("position", 0, below=below) for below in POSITION_LIMITS]


def _frequent(tokens: Int[ndarray, " firings"], most: int) -> list[int]:
    """Return the most frequent tokens; ties go to the lower number."""
    numbers, counts = np.unique(tokens, return_counts=True)
    return numbers[np.argsort(-counts, kind="stable")[:most]].tolist()


def _words(windows: Windows, singles: list[Predicate]) -> UInt32[ndarray, "predicates w"]:
    """Compute `Windows.words` of each predicate, with one search for all tokens."""
    words = np.empty((len(singles), len(windows)), np.uint32)
    numbers = [windows.vocabulary.number[s.values[0]] if s.kind == "is" else -1 for s in singles]
    distinct, place = np.unique(numbers, return_inverse=True)
    where = windows.words_of_tokens(distinct)
    for row, single in enumerate(singles):
        of_token = single.kind == "is"
        words[row] = shifted(where[place[row]], single.back) if of_token else windows.words(single)
    return words


def _with_pairs(
    singles: list[Predicate], words: ndarray, reach: Int[ndarray, " predicates"], most: int
) -> Candidates:
    """Collect single predicates, and conjunctions of those that hold at the most firing tokens."""
    best = np.sort(np.argsort(-reach, kind="stable")[:most])
    first, second = np.triu_indices(len(best), k=1)
    together = words[best[first]] & words[best[second]]
    pairs = [(singles[best[i]], singles[best[j]]) for i, j in zip(first, second, strict=True)]
    marked = np.concatenate([words != 0, together != 0])
    return Candidates([*((single,) for single in singles), *pairs], marked)


def _greedy(
    marked: ndarray, costs: Int[ndarray, " candidates"], n_active: int, config: RuleConfig
) -> list[int]:
    """Select candidates greedily, in order.

    Balanced accuracy is ½ + ½ (share of active windows marked − share of inactive ones), so a
    candidate's gain is half of the difference that it newly marks.
    """
    n_inactive = marked.shape[1] - n_active
    left = np.repeat(
        np.array([0.5 / n_active, -0.5 / max(n_inactive, 1)], np.float32), (n_active, n_inactive)
    )
    marked = marked.astype(np.float32)
    chosen: list[int] = []
    allowed = config.max_predicates
    while True:
        gain = marked @ left - config.penalty * costs
        gain[costs > allowed] = -np.inf
        # Rounding must not break ties, which go to the first candidate.
        best = int(np.argmax(np.round(gain, 5)))
        if not gain[best] > 1e-5:
            return chosen
        chosen.append(best)
        allowed -= int(costs[best])
        left[marked[best] > 0] = 0.0
