"""What cannot be compared, refused in one line."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seedstability.dictionaries.sae import SAE
from seedstability.errors import UserError
from seedstability.similarity.dictionaries.loaded import LoadedDictionary, what_differs
from seedstability.similarity.dictionaries.stated import in_words

Source = str | Path | SAE | Tensor | np.ndarray
"""A folder or file, an SAE in memory, or there a decoder [n, d]."""


def name_of(given: Source, place: int) -> str:
    """What an input is called."""
    return str(given) if isinstance(given, str | Path) else f"SAE {place}"


def refuse_same_place(given: Sequence[Source]) -> None:
    """Refuse one that is given twice.

    Raises:
        UserError: that is so.
    """
    for (i, one), (j, other) in combinations(enumerate(given), 2):
        if isinstance(one, str | Path) and isinstance(other, str | Path):
            same = Path(one).resolve() == Path(other).resolve()
        else:
            same = one is other
        if same:
            raise UserError(
                f"{name_of(other, j)} is the same dictionary as {name_of(one, i)}; "
                "give each once: a comparison with itself says nothing about seeds"
            )


def refuse_other_width(one: LoadedDictionary, first: LoadedDictionary) -> None:
    """Refuse latents of another width than the first's.

    Raises:
        UserError: that is so.
    """
    (_, its_d), (_, d) = one.decoder.shape, first.decoder.shape
    if its_d != d:
        raise UserError(
            f"{one.folder} has latents of width {its_d}, {first.folder} of width {d}; all must have"
            " the same"
        )


def refuse_other_shape(initial: LoadedDictionary, trained: LoadedDictionary) -> None:
    """Refuse dictionaries at initialization of another shape than the trained ones.

    Raises:
        UserError: that is so.
    """
    (its_n, its_d), (n, d) = initial.decoder.shape, trained.decoder.shape
    if (its_n, its_d) != (n, d):
        raise UserError(
            f"{initial.folder} has {its_n} latents of width {its_d}, {trained.folder} {n} of width "
            f"{d}; both must have the same"
        )


def refuse_without_directions(loaded: LoadedDictionary) -> None:
    """Refuse a dictionary of zeros.

    Raises:
        UserError: that is so.
    """
    if not len(loaded.directed):
        raise UserError(
            f"no latent of {loaded.folder} has a decoder and an encoder row other than zero;"
            " there is nothing to compare"
        )


def refuse_same_weights(inputs: Sequence[LoadedDictionary]) -> None:
    """Refuse two that are equal.

    Raises:
        UserError: that is so.
    """
    for one, other in combinations(inputs, 2):
        if all(map(_equal, _tensors(one), _tensors(other))):
            raise UserError(
                f"{other.folder} has the same weights as {one.folder}; "
                "give dictionaries of different seeds"
            )


def refuse_other_settings(inputs: Sequence[LoadedDictionary]) -> None:
    """Refuse those that state different settings.

    Raises:
        UserError: that is so.
    """
    if found := what_differs(inputs):
        raise UserError(
            f"the dictionaries differ in more than the seed: {in_words(found)}; to compare them as "
            "configurations, say --allow-different (allow_different=True), and two groups of seeds "
            "with --against (against=)"
        )


def _tensors(loaded: LoadedDictionary) -> list[Tensor]:
    return [*loaded.sae.parts().values()] if loaded.sae else [loaded.decoder]


def _equal(one: Tensor, other: Tensor) -> bool:
    # The first rows nearly always differ, which saves comparing the rest.
    return torch.equal(one[:64], other[:64]) and torch.equal(one, other)


def refuse_width_one(loaded: LoadedDictionary) -> None:
    """Refuse latents of width one, which have no directions.

    Raises:
        UserError: that is so.
    """
    n, d = loaded.decoder.shape
    if n < 1 or d < 2:
        raise UserError(
            f"{loaded.folder} has {n} latents of width {d}; directions need a width of at least 2"
        )
