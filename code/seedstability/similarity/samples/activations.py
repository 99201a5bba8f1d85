"""Activations for a comparison: open them, check them, and reduce them to moments in one pass.

Only a few thousand rows are in memory at a time.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.errors import UserError
from seedstability.progress import report
from seedstability.similarity.dictionaries.reading import sha256
from seedstability.similarity.inputs import Moments
from seedstability.similarity.samples.files import as_stream, files_of, read_activations
from seedstability.stability.subspaces.principal import principal_basis_from_moments

_SIZES = 1e-15, 1e15
"""Root mean squares whose squares single precision holds."""
PLAIN = "float32 of 2 axes"
"""What needs no conversion."""


class ActivationStream(Protocol):
    """A stream of m activations of width d, a few thousand at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """m and d."""
        ...

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
    kinds: Sequence[str] = (PLAIN,)
    """Types and numbers of axes of the arrays that were read."""

    def report_entry(self) -> dict:
        """Entry in the report's inputs."""
        m, d = self.samples.shape
        return {
            "file": self.source,
            "samples": m,
            "d": d,
            "sha256": self.digest,
            "kinds": [*self.kinds],
        }


@dataclass(frozen=True)
class StreamedMoments:
    """Moments of the activations, from one pass."""

    moments: Moments
    """Principal components, covariance, number of samples."""
    total_sum_of_squares: float
    """Σ‖x − x̄‖² over all samples."""
    norms: Float[Tensor, " m"]
    """Euclidean norm of each sample, in double precision."""


def open_activations(
    given: str | Path | Tensor | np.ndarray | ActivationStream, d: int, key: str | None = None
) -> Activations:
    """Open activations: a file, a folder of files, an array, or a stream.

    Args:
        given: path or values; see `files.read_activations`.
        d: width that they must have.
        key: which tensor, where a file holds several.

    Raises:
        UserError: for anything else, and for empty, damaged or wrongly shaped activations.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        stream = read_activations(path, key)
        hashes = {file.name: sha256(file) for file in files_of(path)}
        digest = hashes if path.is_dir() else hashes[path.name]
        found = Activations(stream, str(given), digest, stream.kinds)
    elif isinstance(given, Tensor | np.ndarray):
        stream = as_stream(given, "the array of activations")
        found = Activations(stream, "memory", _digest(stream), stream.kinds)
    elif hasattr(given, "parts") and hasattr(given, "shape"):
        found = Activations(given, "memory", _digest(given))
    else:
        raise UserError(
            f"activations are of type {type(given).__name__}; need a path, an array [samples, d],"
            " or a stream with `shape` and `parts()`"
        )
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
    done, lengths = 0, []
    for part in activations.samples.parts():
        _refuse_not_finite(part, done, activations.source)
        x = part.double()
        # About the first part's mean, so that a large common offset does not cancel digits.
        shift = x.mean(dim=0) if shift is None else shift
        square += x.square().sum().item()
        lengths.append(norms(x))
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
            f"{activations.source} holds the same sample {m} times, to rounding; samples must"
            " differ"
        )
    moments = Moments(components, covariance.float(), m)
    total_sum_of_squares = covariance.trace().item() * (m - 1)
    return StreamedMoments(moments, total_sum_of_squares, torch.cat(lengths))


def mean_norm(activations: Activations) -> float:
    """Mean norm of all samples, in one pass.

    Raises:
        UserError: values that are not finite, or nothing but zeros.
    """
    total, done = 0.0, 0
    for part in activations.samples.parts():
        _refuse_not_finite(part, done, activations.source)
        total += norms(part).sum().item()
        done += len(part)
    if not total:
        raise UserError(f"{activations.source} holds nothing but zeros")
    return total / done


def norms(part: Float[Tensor, "p d"]) -> Float[Tensor, " p"]:
    """Euclidean norms of samples, in double precision."""
    return torch.linalg.vector_norm(part, dim=1, dtype=torch.float64)


def _refuse_extreme(size: float, source: str) -> None:
    smallest, largest = _SIZES
    if size and not smallest <= size <= largest:
        raise UserError(
            f"{source} has values of about {size:.0e}; scale them to between {smallest:.0e} and "
            f"{largest:.0e}"
        )


def _digest(samples: ActivationStream) -> str:
    digest = hashlib.sha256()
    for part in samples.parts():
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()


def _refuse_not_finite(part: Tensor, before: int, source: str) -> None:
    if not torch.isfinite(part).all():
        row = before + int((~torch.isfinite(part)).any(dim=1).nonzero()[0])
        raise UserError(f"sample {row} of {source} is not finite; every entry must be a number")
