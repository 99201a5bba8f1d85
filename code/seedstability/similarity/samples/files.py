"""Read activations from files: NumPy, safetensors and PyTorch files of any floating type.

Values are converted to float32 a few thousand rows at a time; files are memory-mapped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seedstability.errors import UserError

Values = np.ndarray | Tensor
_ROWS_AT_ONCE = 8192
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class ArrayStream:
    """Arrays one after another as a stream of rows; axes before the last are samples."""

    arrays: Sequence[Float[Values, "... d"]]
    """At least one, all of one width."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and width."""
        return sum(_rows(each) for each in self.arrays), self.arrays[0].shape[-1]

    @property
    def kinds(self) -> list[str]:
        """Types and numbers of axes, without repetition, such as `float64 of 2 axes`."""
        return list(dict.fromkeys(_kind(each) for each in self.arrays))

    def parts(self) -> Iterator[Float[Tensor, "p d"]]:
        """Iterate over all rows as float32."""
        for each in self.arrays:
            flat = each.reshape(-1, each.shape[-1])
            for first in range(0, len(flat), _ROWS_AT_ONCE):
                yield _as_float32(flat[first : first + _ROWS_AT_ONCE])


def as_stream(values: Float[Values, "... d"], source: str) -> ArrayStream:
    """A stream of the rows of an array.

    Raises:
        UserError: not floating-point numbers, fewer than two axes, or no samples.
    """
    floating = values.dtype in _FLOATS if isinstance(values, Tensor) else values.dtype.kind == "f"
    if values.ndim < 2 or 0 in values.shape or not floating:
        shape = f"{_type(values)}{list(values.shape)}"
        raise UserError(
            f"{source} is {shape}; activations are floating-point [samples, d] or"
            " [contexts, positions, d], samples ≥ 2"
        )
    return ArrayStream([values])


def read_activations(path: Path, key: str | None = None) -> ArrayStream:
    """Open a file of activations, or a folder of such files in the order of their names.

    Args:
        path: .npy, .safetensors, .pt, or a folder of these.
        key: which tensor, where a file holds several.

    Raises:
        UserError: anything else, or a file without activations.
    """
    if path.is_dir():
        return _of_folder(path, key)
    if not path.is_file():
        raise UserError(f"{path} is not a file or folder of activations; need {', '.join(_READ)}")
    if path.suffix not in _READ:
        raise UserError(
            f"{path} is not a file of activations; need {', '.join(_READ)}, or a folder of these"
        )
    return as_stream(_READ[path.suffix](path, key), str(path))


def files_of(path: Path) -> list[Path]:
    """The files that `read_activations` reads."""
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in _READ)
    return [path]


def _of_folder(folder: Path, key: str | None) -> ArrayStream:
    files = files_of(folder)
    if not files:
        raise UserError(f"{folder} contains no {', '.join(f'*{suffix}' for suffix in _READ)} files")
    streams = [read_activations(file, key) for file in files]
    for file, stream in zip(files, streams, strict=True):
        if stream.shape[1] != streams[0].shape[1]:
            raise UserError(
                f"{file} has width {stream.shape[1]}, {files[0].name} has {streams[0].shape[1]};"
                " all files of a folder must have the same"
            )
    return ArrayStream([array for stream in streams for array in stream.arrays])


def _numpy(path: Path, key: str | None) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise UserError(f"{path} is not a NumPy file that can be memory-mapped: {error}") from None


def _safetensors(path: Path, key: str | None) -> Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(_named(list(file.keys()), key, path))
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file: {error}") from None


def _pytorch(path: Path, key: str | None) -> Tensor:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (UnpicklingError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise UserError(
            f"{path} is not a PyTorch file of tensors alone: {str(error).splitlines()[0][:200]}"
        ) from None
    if isinstance(found, Tensor) and key is None:
        return found
    tensors = found if isinstance(found, dict) else {}
    names = [name for name, each in tensors.items() if isinstance(each, Tensor)]
    return tensors[_named(names, key, path)]


_READ: dict[str, Callable[[Path, str | None], Values]] = {
    ".npy": _numpy,
    ".safetensors": _safetensors,
    ".pt": _pytorch,
}


def _named(names: list[str], key: str | None, path: Path) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key in names:
        return key
    held = f"{path} holds {len(names)} tensors" + (f" ({', '.join(names[:5])})" if names else "")
    asked = "choose one with --key" if key is None else f"none is called {key}"
    raise UserError(f"{held}; {asked}")


def _rows(values: Values) -> int:
    return int(np.prod(values.shape[:-1]))


def _type(values: Values) -> str:
    big = isinstance(values, np.ndarray) and not values.dtype.isnative
    name = values.dtype.name if isinstance(values, np.ndarray) else str(values.dtype)
    return name.removeprefix("torch.") + (" (big-endian)" if big else "")


def _kind(values: Values) -> str:
    return f"{_type(values)} of {values.ndim} axes"


def _as_float32(rows: Values) -> Float[Tensor, "p d"]:
    if isinstance(rows, np.ndarray):
        # A copy in native byte order; the file stays as it is.
        with np.errstate(over="ignore"):
            rows = torch.from_numpy(np.array(rows, dtype=np.float32))
    return rows.detach().to("cpu", torch.float32)
