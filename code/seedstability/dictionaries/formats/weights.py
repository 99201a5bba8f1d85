"""A checkpoint's weights: files of tensors that somebody else wrote, read without trusting them."""

import pickle
import re
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seedstability.dictionaries.formats.settings import size_of
from seedstability.errors import UserError

# Narrower ones come with scales of their own, somewhere else in the file.
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Weights:
    """The tensors of one file, each asked for with the shape that it must have."""

    path: Path
    """The file; every complaint names it."""
    tensors: dict[str, Tensor]
    """What it holds, as it lies there; nothing may be trusted but the names."""

    def take(self, name: str, *shape: int) -> Tensor:
        """One of them, as a float32 copy that no longer needs the file.

        Raises:
            UserError: it is missing, of another shape, no floats, or not finite everywhere.
        """
        tensor = self._needed(name)
        if tuple(tensor.shape) != shape:
            raise UserError(
                f"{self.path}: {name} has shape {list(tensor.shape)}; the settings ask for "
                f"{list(shape)}"
            )
        if tensor.dtype not in _FLOATS:
            raise UserError(
                f"{self.path}: {name} holds {tensor.dtype}; weights are floats of 16, 32 or 64 bits"
            )
        taken = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not taken.isfinite().all():
            raise UserError(
                f"{self.path}: {name} is not finite at {_first_bad(taken)}; weights must be"
            )
        return taken

    def whole(self, name: str) -> int:
        """One that is a single whole number.

        Raises:
            UserError: it is something else.
        """
        tensor = self._needed(name)
        if tensor.numel() != 1 or tensor.is_floating_point() or tensor.is_complex():
            raise UserError(
                f"{self.path}: {name} is {tensor.dtype}{list(tensor.shape)}; it must be one "
                "whole number"
            )
        return int(tensor.item())

    def _needed(self, name: str) -> Tensor:
        if name not in self.tensors:
            there = ", ".join(sorted(self.tensors)) or "nothing"
            raise UserError(f"{self.path} has no {name}; it holds {there}")
        return self.tensors[name]


def read_safetensors(path: Path, known: Collection[str]) -> Weights:
    """The tensors in a safetensors file.

    Args:
        path: the file.
        known: names that may be there; what is under another would be left out in silence.

    Raises:
        UserError: no such file, a damaged one, or one with other tensors.
    """
    size_of(path)
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            _refuse_strangers(path, names, known)
            return Weights(path, {name: file.get_tensor(name) for name in names})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise UserError(f"{path} is no safetensors file that can be read: {_line(error)}") from None


def read_pickled(path: Path, known: Collection[str]) -> Weights:
    """The tensors in a file of `torch.save`, whose pickle is not allowed to run anything.

    Args:
        path: the file.
        known: names that may be there.

    Raises:
        UserError: no such file, a damaged one, one that holds more than named tensors, or one
            with other names.
    """
    size = size_of(path)
    try:
        _refuse_compressed(path)
        # Not mapped: then torch checks each claimed size against what lies in the archive.
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except UserError:
        raise
    except Exception as error:  # torch walks through a stranger's pickle, which can raise anything
        raise UserError(f"{path} cannot be read as tensors alone: {_why(error)}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path} holds no tensors by name, as a state_dict has them")
    _refuse_strangers(path, list(found), known)
    for name, tensor in found.items():
        _refuse_strange(path, name, tensor, size)
    return Weights(path, dict(found))


def _refuse_strangers(path: Path, names: list[str], known: Collection[str]) -> None:
    strangers = sorted(set(names) - set(known))
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise UserError(
            f"{path} holds {', '.join(map(repr, strangers[:3]))}{more}; an SAE that can be read "
            f"has {', '.join(sorted(known))} at most"
        )


def _refuse_compressed(path: Path) -> None:
    # torch.save compresses nothing; a few bytes that unpack to gigabytes are somebody's trick.
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise UserError(f"{path} is compressed, which no file of torch.save is")


def _refuse_strange(path: Path, name: str, tensor: Any, size: int) -> None:
    ordinary = (
        isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_nested
    )
    if not ordinary:
        raise UserError(f"{path}: {name} is no ordinary tensor")
    # Strides of zero make a tensor of terabytes out of one number.
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
    wanted = f"{named.group(1)[:80]}" if named else "more than that"
    return f"its pickle wants {wanted}, of which nothing was run"


def _line(error: Exception) -> str:
    said = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__} {said[0][:200]}".strip()
