"""Checkpoints of one run: how near the last one each is, and whether its latents are the same."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cosine_similarity

from seedstability.errors import UserError
from seedstability.report.estimates import rounded
from seedstability.report.levels import strongest
from seedstability.similarity.comparison import Comparison, chance_levels
from seedstability.similarity.dictionaries.loaded import LoadedDictionary

_MULTIPLES = {"": 1, "k": 1_000, "m": 1_000_000}


def steps_of(inputs: Sequence[LoadedDictionary]) -> list[int]:
    """The step in the name of each checkpoint: the last number in which their paths differ.

    Raises:
        UserError: a path without one, two with the same, or SAEs in memory.
    """
    numbers = [_numbers(Path(each.folder)) for each in inputs]
    length = min(map(len, numbers))
    for back in range(1, length + 1):
        steps = [each[-back] for each in numbers]
        if len({*steps}) == len(steps):
            return steps
    raise UserError(
        "the paths of the checkpoints do not say their steps; name each by its own, such as"
        " checkpoints/ae_1000.pt or step_1000"
    )


def in_order(inputs: Sequence[LoadedDictionary]) -> tuple[list[LoadedDictionary], list[int]]:
    """Checkpoints by step, and the steps.

    Raises:
        UserError: as `steps_of`, or for checkpoints of different numbers of latents.
    """
    steps = steps_of(inputs)
    sizes = {len(each.decoder) for each in inputs}
    if len(sizes) > 1:
        raise UserError(
            f"checkpoints of one run have one number of latents; these have {sorted(sizes)}"
        )
    order = sorted(range(len(steps)), key=steps.__getitem__)
    return [inputs[place] for place in order], [steps[place] for place in order]


def over_time(
    comparison: Comparison, inputs: Sequence[LoadedDictionary], steps: Sequence[int]
) -> dict[str, Any]:
    """Section `over_time` of the report; lists have one entry per checkpoint.

    Args:
        comparison: of the checkpoints.
        inputs: the checkpoints in order.
        steps: the step of each.
    """
    best, matched = comparison["full"]["max_cosine"], comparison["full"]["matched_mean"]
    decoders = [each.decoder for each in inputs]
    levels = chance_levels(comparison, "max_cosine")
    level = strongest(levels)
    return {
        "steps": [*steps],
        "to_last": {
            "same_latent": [_same(each, decoders[-1]) for each in decoders],
            "best": _listed([*best[:-1, -1], 1.0]),
            "matched": _listed([*matched[:-1, -1], 1.0]),
        },
        "to_next": {
            "same_latent": [
                *(_same(one, other) for one, other in pairwise(decoders)),
                None,
            ],
            "best": _listed([*np.diagonal(best, 1), np.nan]),
            "matched": _listed([*np.diagonal(matched, 1), np.nan]),
        },
        "level": level,
        "chance": rounded(float(np.nanmean(levels[level]))),
    }


def sentence(found: Mapping[str, Any]) -> str:
    """The finding in words."""
    steps, last = found["steps"], found["to_last"]
    return (
        f"These are checkpoints of one run over time, not seeds. From step {steps[0]:,} to step"
        f" {steps[-1]:,} a latent keeps a cosine of {last['same_latent'][0]:.3f} with itself; with"
        f" its best partner in the last checkpoint it has {last['best'][0]:.3f}, and"
        f" {found['chance']:.3f} by chance ({found['level']})."
    )


def _numbers(path: Path) -> list[int]:
    found = re.findall(r"(\d+)([kKmM]?)(?![\d])", str(path))
    return [int(number) * _MULTIPLES[unit.lower()] for number, unit in found]


def _same(one: Float[Tensor, "n d"], other: Float[Tensor, "n d"]) -> float | None:
    cosine = cosine_similarity(one.double(), other.double(), dim=1)
    both = one.any(dim=1) & other.any(dim=1)
    return rounded(cosine[both].mean().item()) if both.any() else None


def _listed(values: Sequence[float]) -> list[float | None]:
    return [rounded(value) for value in torch.as_tensor(values, dtype=torch.float64).tolist()]
