"""Activations for a comparison: open them, check them, and reduce them to moments in one pass.

Only a few thousand rows are in memory at a time.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seedstability.dictionaries.samples import InMemory, Shards
from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.similarity.dictionaries import sha256
from seedstability.similarity.inputs import Moments
from seedstability.stability.subspaces.principal import principal_basis_from_moments

_ROWS_AT_ONCE = 8192
_SIZES = 1e-15, 1e15
"""Root mean squares whose squares single precision holds."""
_READ = (torch.float32, torch.float16, torch.bfloat16)


class ActivationStream(Protocol):
    """A stream of m activations of width d, a few thousand at a time."""

    shape: tuple[int, int]
    """m and d."""

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all activations in order, as float32."""
        ...


@dataclass(frozen=True)
class Activations:
    """Activations and their source."""

    samples: ActivationStream
    """The stream of values."""
    source: str
    """File or folder as given, or `memory`."""
    digest: str | dict[str, str]
    """sha256 of the file, of each file of a folder, or of the values in memory."""

    def report_entry(self) -> dict:
        """Entry in the report's inputs."""
        m, d = self.samples.shape
        return {"file": self.source, "samples": m, "d": d, "sha256": self.digest}


@dataclass(frozen=True)
class StreamedMoments:
    """Moments of the activations, from one pass."""

    moments: Moments
    """Principal components, covariance, number of samples."""
    total_sum_of_squares: float
    """Σ‖x − x̄‖² over all samples."""


class _OneTensor:
    """A memory-mapped tensor, read part by part."""

    def __init__(self, values: Float[Tensor, "m d"]):
        self._values = values
        self.shape = (values.shape[0], values.shape[1])

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all rows as float32."""
        for rows in self._values.split(_ROWS_AT_ONCE):
            yield rows.float()


def open_activations(given: str | Path | Tensor | ActivationStream, d: int) -> Activations:
    """Open activations: a .npy file, a folder of them, a .safetensors file, or a tensor.

    Args:
        given: path or values.
        d: width that they must have.

    Raises:
        UserError: for anything else, and for empty, damaged or wrongly shaped activations.
    """
    if isinstance(given, str | Path):
        found = _from_disk(given, Path(given))
    else:
        samples = InMemory(given) if isinstance(given, Tensor) else given
        found = Activations(samples, "memory", _digest(samples))
    m, its_d = found.samples.shape
    if its_d != d:
        raise UserError(
            f"{found.source} has activations of width {its_d}; the dictionaries have width {d}"
        )
    if m < 2:
        raise UserError(f"{found.source} has {m} samples; at least 2 are needed")
    return found


def accumulate_moments(activations: Activations) -> StreamedMoments:
    """Accumulate mean, covariance and principal components in one pass, in double precision.

    Raises:
        UserError: for values that are not finite, or samples that are all the same.
    """
    m, d = activations.samples.shape
    shift: Tensor | None = None
    total, square, products = torch.zeros(d).double(), 0.0, torch.zeros(d, d).double()
    done = 0
    for part in activations.samples.parts():
        _refuse_not_finite(part, done, activations.source)
        x = part.double()
        # About the first part's mean, so that a large common offset does not cancel digits.
        shift = x.mean(dim=0) if shift is None else shift
        square += x.square().sum().item()
        x -= shift
        total += x.sum(dim=0)
        products += x.T @ x
        done += len(part)
        report(done, m)
    assert shift is not None  # `open_activations` has checked that there are samples
    _refuse_extreme(math.sqrt(square / (m * d)), activations.source)
    off = total / m
    covariance = (products - m * torch.outer(off, off)) / (m - 1)
    components = principal_basis_from_moments(shift + off, covariance, square / m)
    if components.rank == 0:
        raise UserError(
            f"{activations.source} holds the same sample {m} times; samples must differ"
        )
    moments = Moments(components, covariance.float(), m)
    return StreamedMoments(moments, covariance.trace().item() * (m - 1))


def _refuse_extreme(size: float, source: str) -> None:
    smallest, largest = _SIZES
    if size and not smallest <= size <= largest:
        raise UserError(
            f"{source} has values of about {size:.0e}; scale them to between {smallest:.0e} and "
            f"{largest:.0e}"
        )


def _from_disk(given: str | Path, path: Path) -> Activations:
    source = str(given)
    if path.is_dir():
        shards = Shards(path)
        return Activations(shards, source, {p.name: sha256(p) for p in sorted(path.glob("*.npy"))})
    if not path.is_file():
        raise UserError(
            f"{source} is not a file or folder of activations; need .npy or .safetensors"
        )
    read = {".npy": _numpy, ".safetensors": _safetensors}.get(path.suffix)
    if read is None:
        raise UserError(
            f"{source} is not a file of activations; need .npy, .safetensors, or a folder of .npy"
        )
    values = read(path)
    if values.ndim != 2 or not len(values) or values.dtype not in _READ:
        shape = f"{str(values.dtype).removeprefix('torch.')}{list(values.shape)}"
        raise UserError(f"{source} is {shape}; activations are float32[samples, d], samples ≥ 2")
    return Activations(_OneTensor(values), source, sha256(path))


def _numpy(path: Path) -> Tensor:
    try:
        # Copy on write: torch requires writable memory, and the file must not change.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a NumPy file that can be memory-mapped: {error}") from None


def _safetensors(path: Path) -> Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if len(names) != 1:
                raise UserError(f"{path} holds {len(names)} tensors; activations must be 1 tensor")
            return file.get_tensor(names[0])
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None


def _digest(samples: ActivationStream) -> str:
    digest = hashlib.sha256()
    for part in samples.parts():
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def _refuse_not_finite(part: Tensor, before: int, source: str) -> None:
    if not torch.isfinite(part).all():
        row = before + int((~torch.isfinite(part)).any(dim=1).nonzero()[0])
        raise UserError(f"sample {row} of {source} is not finite; every entry must be a number")
