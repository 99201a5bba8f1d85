"""Pairs of dictionaries that are hard to match, each in its own way."""

import torch
from torch import Tensor

from audit.analyses.matching.planted_pairs import planted_pair


def unrelated(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("random", n, d, torch.Generator().manual_seed(0))


def half_shared_with_hubs(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("hubs", n, d, torch.Generator().manual_seed(0))


def nearly_all_shared(n: int, d: int) -> tuple[Tensor, Tensor]:
    return planted_pair("shared", n, d, torch.Generator().manual_seed(0))
