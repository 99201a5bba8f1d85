"""Short names of the dictionaries of a comparison."""

import re
from collections.abc import Sequence
from pathlib import Path

from seedstability.similarity.dictionaries.loaded import LoadedDictionary
from seedstability.similarity.dictionaries.stated import seed_of

_MAX_LABEL_LENGTH = 12


def short_labels(inputs: Sequence[LoadedDictionary]) -> list[str]:
    """Folder names, or else the part of their paths that differs, or else the seeds that they
    state; `SAE 0`, `SAE 1`, … without any of these, and for SAEs in memory."""
    if all(each.format != "memory" for each in inputs):
        names = [re.sub(r"[_\s]+", " ", Path(each.folder).name) for each in inputs]
        for labels in (names, _differing_parts([each.folder for each in inputs])):
            if len({*labels}) == len(labels) and all(
                0 < len(x) <= _MAX_LABEL_LENGTH for x in labels
            ):
                return labels
        seeds = [seed_of(each.stated) for each in inputs]
        if None not in seeds and len({*seeds}) == len(seeds):
            return [f"seed {seed}" for seed in seeds]
    return [f"SAE {place}" for place in range(len(inputs))]


def _differing_parts(folders: Sequence[str]) -> list[str]:
    """The words of each path between those that all begin and those that all end with."""
    words = [re.split(r"[/_\s-]+", folder.strip("/")) for folder in folders]
    first, last = _in_common(words), _in_common([list(reversed(each)) for each in words])
    parts = [each[first : len(each) - last] for each in words]
    if first and any(part and part[0][0].isdigit() for part in parts):
        parts = [[words[0][first - 1], *part] for part in parts]  # of `seed_7` the whole
    return [" ".join(part) for part in parts]


def _in_common(words: Sequence[Sequence[str]]) -> int:
    """Number of words with which all begin."""
    return next(
        (k for k, column in enumerate(zip(*words, strict=False)) if len({*column}) > 1),
        min(map(len, words)),
    )
