"""Activations as training asks for them: a batch of rows at a time, from memory or from disk.

On disk they are shards: a folder of `*.npy` files, each float32[rows, d], which anything that knows
NumPy can write. They are mapped, not read, so that a set larger than memory can be trained on: what
a batch touches is read, and the system may forget it again.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seedstability.errors import UserError

_ROWS_OF_A_PART = 8192


class Samples(Protocol):
    """m activations of d coordinates each."""

    shape: tuple[int, int]
    """m and d."""

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Some of them, as float32."""
        ...

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows in a new random order."""
        ...

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """All of them, some thousand at a time, in their own order."""
        ...


class InMemory:
    """Activations that are one tensor."""

    def __init__(self, activations: Float[Tensor, "m d"]):
        """Raises UserError where that is no m × d, or has no rows."""
        if activations.ndim != 2 or not len(activations):
            raise UserError(f"activations have shape {tuple(activations.shape)}; need samples × d")
        self._x = activations.detach().to("cpu", torch.float32).contiguous()
        self.shape = (self._x.shape[0], self._x.shape[1])

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Some of them."""
        return self._x[which]

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows in a new random order."""
        return torch.randperm(len(self._x), generator=generator)

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """All of them, in their own order."""
        yield from self._x.split(_ROWS_OF_A_PART)


class Shards:
    """Activations in the `*.npy` files of a folder, in the order of their names."""

    def __init__(self, folder: Path, rows: int | None = None):
        """Map them; their values are not looked at.

        Args:
            folder: where they are.
            rows: take only so many, from the first on; all if left out.

        Raises:
            UserError: no such files, one that is not float32[rows, d] with the first one's d, or
                fewer rows than are wanted.
        """
        paths = sorted(Path(folder).glob("*.npy"))
        if not paths:
            raise UserError(
                f"{folder} holds no *.npy; activations on disk are float32[rows, d] each"
            )
        self._shards = [_mapped(path) for path in paths]
        d = self._shards[0].shape[1]
        for path, shard in zip(paths, self._shards, strict=True):
            if shard.shape[1] != d:
                raise UserError(
                    f"{path} has {shard.shape[1]} coordinates, {paths[0].name} has {d}; "
                    "all shards of a folder must agree"
                )
        self._shards = _first(self._shards, rows, folder)
        self._ends = torch.tensor([len(shard) for shard in self._shards]).cumsum(0)
        self.shape = (int(self._ends[-1]), d)

    def rows(self, which: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Some of them, read from disk."""
        found = np.empty((len(which), self.shape[1]), np.float32)
        homes = torch.searchsorted(self._ends, which, right=True)
        for home in homes.unique().tolist():
            mine = homes == home
            first = self._ends[home] - len(self._shards[home])
            found[mine.numpy()] = self._shards[home][(which[mine] - first).numpy()]
        return torch.from_numpy(found)

    def epoch(self, generator: torch.Generator) -> Int[Tensor, " m"]:
        """All rows, shard after shard in a new order, shuffled within each, so that a batch reads
        from one or two shards; whoever writes them shuffles once across all."""
        orders = []
        for home in torch.randperm(len(self._shards), generator=generator).tolist():
            rows = len(self._shards[home])
            first = self._ends[home] - rows
            orders.append(first + torch.randperm(rows, generator=generator))
        return torch.cat(orders)

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """All of them, in the order in which they lie there."""
        for shard in self._shards:
            for first in range(0, len(shard), _ROWS_OF_A_PART):
                yield torch.from_numpy(np.array(shard[first : first + _ROWS_OF_A_PART]))


def write_shards(parts: Iterable[Float[Tensor, "p d"]], folder: Path) -> Shards:
    """Write each part as one shard of a new folder, which appears when all of them are there.

    Raises:
        UserError: the folder is there already, or there are no parts.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} is there already; shards go to a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for number, part in enumerate(parts):
            np.save(unfinished / f"{number:06d}.npy", part.to(torch.float32).contiguous().numpy())
        Shards(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished)
        raise
    return Shards(folder)


def _first(shards: list[np.ndarray], rows: int | None, folder: Path) -> list[np.ndarray]:
    """Views of the first so many rows."""
    there = sum(map(len, shards))
    if rows is None:
        return shards
    if not 1 <= rows <= there:
        raise UserError(f"{rows} samples are wanted of {folder}, which holds {there}")
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
        raise UserError(f"{path} is no NumPy file that can be mapped: {error}") from None
    if shard.ndim != 2 or shard.dtype != np.float32 or not len(shard):
        raise UserError(
            f"{path} is {shard.dtype}{list(shard.shape)}; a shard is float32[rows, d], rows ≥ 1"
        )
    return shard
