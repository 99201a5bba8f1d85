"""Read the weights of a checkpoint, as untrusted files."""

import pickle
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seedstability.dictionaries.formats.settings import size_of
from seedstability.errors import UserError

# Narrower types have scales, stored elsewhere in the file.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


_POINTER = b"version https://git-lfs"
_COMPILED = "_orig_mod."
"""What torch.compile puts before the names."""


@dataclass(frozen=True)
class Weights:
    """Tensors of one file, with access by expected shape."""

    path: Path
    """The file, named in every error."""
    tensors: dict[str, Tensor]
    """Tensors as stored; only the names are validated."""

    def take(self, name: str, *shape: int) -> Tensor:
        """Copy a tensor to float32.

        Raises:
            UserError: missing, of another shape, not floats, or not finite.
        """
        tensor = self._required(name)
        if tuple(tensor.shape) != shape:
            raise UserError(
                f"{self.path}: {name} has shape {list(tensor.shape)}; the settings require "
                f"{list(shape)}"
            )
        if tensor.dtype not in _FLOATS:
            raise UserError(
                f"{self.path}: {name} is {tensor.dtype}; weights are floats of 16, 32 or 64 bits"
            )
        taken = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not taken.isfinite().all():
            raise UserError(
                f"{self.path}: {name} is not finite at {_first_bad(taken)}; weights must be finite"
            )
        return taken

    def matrix(self, name: str) -> tuple[int, int]:
        """Shape of a matrix.

        Raises:
            UserError: missing, or of another number of axes.
        """
        tensor = self._required(name)
        if tensor.ndim != 2:
            raise UserError(
                f"{self.path}: {name} has shape {list(tensor.shape)}; it must be a matrix"
            )
        return tensor.shape[0], tensor.shape[1]

    def whole(self, name: str) -> int:
        """Get a scalar integer.

        Raises:
            UserError: not one whole number.
        """
        tensor = self._required(name)
        if tensor.numel() != 1 or tensor.is_floating_point() or tensor.is_complex():
            raise UserError(
                f"{self.path}: {name} is {tensor.dtype}{list(tensor.shape)}; it must be one "
                "whole number"
            )
        return int(tensor.item())

    def _required(self, name: str) -> Tensor:
        if name not in self.tensors:
            there = ", ".join(sorted(self.tensors)) or "nothing"
            raise UserError(f"{self.path} has no {name}; it contains {there}")
        return self.tensors[name]


def read_safetensors(path: Path, known: Collection[str] | None = None) -> Weights:
    """Read a safetensors file.

    Args:
        path: the file.
        known: names of supported tensors; by default any.

    Raises:
        UserError: missing, damaged, or with unsupported tensors.
    """
    size_of(path)
    try:
        _refuse_pointer(path)
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            _refuse_unknown(path, names, known)
            return Weights(path, {name: file.get_tensor(name) for name in names})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {_line(error)}") from None


def read_npz(path: Path, known: Collection[str] | None = None) -> Weights:
    """Read arrays of `numpy.savez`, without running code in them.

    Args:
        path: the file.
        known: names of supported arrays; by default any.

    Raises:
        UserError: missing, damaged, or with unsupported arrays.
    """
    size_of(path)
    try:
        _refuse_pointer(path)
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is one array; it must hold several by name")
        with file:
            _refuse_unknown(path, file.files, known)
            return Weights(path, {name: torch.from_numpy(file[name]) for name in file.files})
    except UserError:
        raise
    # zipfile, zlib and NumPy's parser of headers fail on hostile files in too many ways to list;
    # each becomes one line with its cause, as for pickles below.
    except Exception as error:
        raise UserError(f"{path} is not a readable file of arrays: {_line(error)}") from None


def read_pickled(
    path: Path, known: Collection[str] | None = None
) -> tuple[Weights, Mapping[str, Any]]:
    """Read a state dict of `torch.save`, without running code in its pickle.

    torch.compile's prefix is removed from names. Integers and single numbers under other names are
    counters of training, and left out.

    Args:
        path: the file.
        known: names of supported tensors; by default any.

    Returns:
        The tensors; and of a backup of dictionary_learning, which holds them under `ae`, the rest.

    Raises:
        UserError: missing, damaged, not a state dict, or with unsupported tensors.
    """
    size = size_of(path)
    try:
        _refuse_pointer(path)
        _refuse_compressed(path)
        # Without mmap, torch checks each claimed size against the archive.
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except UserError:
        raise
    except Exception as error:  # an untrusted pickle can raise anything
        raise UserError(f"{path} is not a readable file of tensors: {_why(error)}") from None
    rest: Mapping[str, Any] = {}
    if isinstance(found, dict) and isinstance(found.get("ae"), dict):
        rest, found = found, found["ae"]
    if known is None and isinstance(found, Tensor):
        found = {"the tensor": found}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path} is not a state dict; it must contain tensors by name")
    tensors = {}
    for name, tensor in found.items():
        _refuse_unusual(path, name, tensor, size)
        short = name.removeprefix(_COMPILED)
        if known is None or short in known or not _is_counter(tensor):
            tensors[short] = tensor
    _refuse_unknown(path, list(tensors), known)
    return Weights(path, tensors), rest


def _is_counter(tensor: Tensor) -> bool:
    return tensor.numel() == 1 or not (tensor.is_floating_point() or tensor.is_complex())


def _refuse_pointer(path: Path) -> None:
    with open(path, "rb") as file:
        pointer = file.read(len(_POINTER)) == _POINTER
    if pointer:
        raise UserError(
            f"{path} is a pointer of Git LFS and holds no weights; `git lfs pull` in its repository"
            " fetches them"
        )


def _refuse_unknown(path: Path, names: list[str], known: Collection[str] | None) -> None:
    unknown = [] if known is None else sorted(set(names) - set(known))
    if unknown and known is not None:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UserError(
            f"{path} contains {', '.join(map(repr, unknown[:3]))}{more}; supported tensors are "
            f"{', '.join(sorted(known))}"
        )


def _refuse_compressed(path: Path) -> None:
    # torch.save does not compress; compressed data could expand to gigabytes.
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise UserError(f"{path} is compressed; files of torch.save are not")


def _refuse_unusual(path: Path, name: str, tensor: Any, size: int) -> None:
    ordinary = (
        isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_nested
    )
    if not ordinary:
        raise UserError(f"{path}: {name} is not a dense CPU tensor")
    # Strides of zero could make a tensor of terabytes from one number.
    if tensor.numel() * tensor.element_size() > size:
        raise UserError(
            f"{path}: {name} claims shape {list(tensor.shape)}, more than the file's {size} bytes"
        )


def _first_bad(tensor: Tensor) -> list[int]:
    return (~tensor.isfinite()).nonzero()[0].tolist()


def _why(error: Exception) -> str:
    if not isinstance(error, pickle.UnpicklingError):
        return _line(error)
    named = re.search(r"GLOBAL `?([\w.]+)", str(error))
    wanted = f"{named.group(1)[:80]}" if named else "code"
    return f"its pickle calls {wanted}, which was not run"


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__} {lines[0][:200]}".strip()
