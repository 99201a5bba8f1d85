"""Activation stores for training, in memory or on disk.

On disk a store is a folder of shards: `*.npy` files, each float32[rows, d]. Shards are
memory-mapped, so a store may be larger than memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.errors import UserError

_ROWS_PER_PART = 8192


class Samples(Protocol):
    """m activations of d coordinates each."""

    shape: tuple[int, int]
    """m and d."""

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Read rows by index, as float32."""
        ...

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows in a new random order."""
        ...

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all rows in storage order, thousands at a time."""
        ...


class InMemory:
    """Activations in one tensor."""

    def __init__(self, activations: Float[Tensor, "m d"]):
        """Take a tensor m × d.

        Raises:
            UserError: another shape, or no rows.
        """
        if activations.ndim != 2 or not len(activations):
            raise UserError(f"activations have shape {tuple(activations.shape)}; need samples × d")
        self._x = activations.detach().to("cpu", torch.float32).contiguous()
        self.shape = (self._x.shape[0], self._x.shape[1])

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Read rows by index."""
        return self._x[which]

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows in a new random order."""
        return torch.randperm(len(self._x), generator=generator)

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all rows in storage order."""
        yield from self._x.split(_ROWS_PER_PART)


class Shards:
    """Activations in the `*.npy` files of a folder, sorted by name."""

    def __init__(self, folder: Path, rows: int | None = None):
        """Memory-map the shards; values are not read.

        Args:
            folder: contains the shards.
            rows: number of rows to use, from the first on; all by default.

        Raises:
            UserError: no shards, a file that is not float32[rows, d], different d, or too few rows.
        """
        paths = sorted(Path(folder).glob("*.npy"))
        if not paths:
            raise UserError(
                f"{folder} contains no *.npy files; a store has shards of float32[rows, d]"
            )
        self._shards = [_mapped(path) for path in paths]
        d = self._shards[0].shape[1]
        for path, shard in zip(paths, self._shards, strict=True):
            if shard.shape[1] != d:
                raise UserError(
                    f"{path} has {shard.shape[1]} coordinates, {paths[0].name} has {d}; "
                    "all shards of a folder must have the same number"
                )
        self._shards = _first(self._shards, rows, folder)
        self._ends = torch.tensor([len(shard) for shard in self._shards]).cumsum(0)
        self.shape = (int(self._ends[-1]), d)

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Read rows by index from disk."""
        found = np.empty((len(which), self.shape[1]), np.float32)
        homes = torch.searchsorted(self._ends, which, right=True)
        for home in homes.unique().tolist():
            mine = homes == home
            first = self._ends[home] - len(self._shards[home])
            found[mine.numpy()] = self._shards[home][(which[mine] - first).numpy()]
        return torch.from_numpy(found)

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows in a new random order: shards in random order, rows shuffled within each.

        A batch reads from one or two shards. Shuffle across all shards when writing them.
        """
        orders = []
        for home in torch.randperm(len(self._shards), generator=generator).tolist():
            rows = len(self._shards[home])
            first = self._ends[home] - rows
            orders.append(first + torch.randperm(rows, generator=generator))
        return torch.cat(orders)

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all rows in storage order."""
        for shard in self._shards:
            for first in range(0, len(shard), _ROWS_PER_PART):
                yield torch.from_numpy(np.array(shard[first : first + _ROWS_PER_PART]))


def _first(shards: list[np.ndarray], rows: int | None, folder: Path) -> list[np.ndarray]:
    """Views of the first `rows` rows."""
    there = sum(map(len, shards))
    if rows is None:
        return shards
    if not 1 <= rows <= there:
        raise UserError(f"{rows} samples requested from {folder}, which has {there}")
    kept = []
    for shard in shards:
        kept.append(shard[:rows])
        rows -= len(kept[-1])
        if not rows:
            break
    return kept


def _mapped(path: Path) -> np.ndarray:
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a readable NumPy file: {error}") from None
    if shard.ndim != 2 or shard.dtype != np.float32 or not len(shard):
        raise UserError(
            f"{path} is {shard.dtype}{list(shard.shape)}; a shard is float32[rows, d], rows ≥ 1"
        )
    return shard
