"""Groups of near-duplicate files, so that no held-out file has a near-duplicate in training."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

_COMMON = 20
"""Shingles that occur in more files than this are ignored: licenses and set phrases."""


def near_duplicate_groups(
    texts: Mapping[str, str], shingle_words: int, duplicate_share: float
) -> list[tuple[str, ...]]:
    """Group texts with their near-duplicates, transitively.

    Args:
        texts: texts by name.
        shingle_words: words in a shingle.
        duplicate_share: two texts are near-duplicates if at least this share of the shingles of
            the one with fewer is in the other (containment, Broder, 1997).

    Returns:
        Groups of names, each name once; groups and names in ascending order.
    """
    shingles = {name: _shingles(text, shingle_words) for name, text in texts.items()}
    homes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in sorted(shingles):
        for shingle in shingles[name]:
            homes[shingle].append(name)
    in_both: Counter[tuple[str, str]] = Counter()
    for names in homes.values():
        if 1 < len(names) <= _COMMON:
            in_both.update(combinations(names, 2))
    parent = {name: name for name in texts}
    for (one, other), shared in in_both.items():
        fewer = min(len(shingles[one]), len(shingles[other]))
        if shared >= duplicate_share * fewer:
            parent[_root(parent, one)] = _root(parent, other)
    together: dict[str, list[str]] = defaultdict(list)
    for name in sorted(parent):
        together[_root(parent, name)].append(name)
    return sorted(tuple(names) for names in together.values())


def draw_heldout(groups: Sequence[tuple[str, ...]], share: float, seed: int) -> set[str]:
    """Draw whole groups at random until `share` of all names is held out."""
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    wanted = share * sum(len(names) for names in order)
    held: set[str] = set()
    for names in order:
        # A group that would overshoot by half of the target is not held out.
        if len(held) < wanted and len(held) + len(names) <= 1.5 * wanted:
            held.update(names)
    return held


def _shingles(text: str, words: int) -> set[tuple[str, ...]]:
    found = text.split()
    return {tuple(found[i : i + words]) for i in range(len(found) - words + 1)}


def _root(parent: dict[str, str], name: str) -> str:
    while parent[name] != name:
        parent[name] = parent[parent[name]]
        name = parent[name]
    return name
