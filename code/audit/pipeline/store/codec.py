"""One result in one file: a safetensors file that holds a whole tree and its own hash.

The arrays are ordinary tensors named by address, which anything that reads safetensors can
open. The metadata hold the rest, as JSON: `leaves` (every other leaf, exactly), `about` (key
and provenance) and `sha256`, the hash of the file with that one field as zeros.
"""

import hashlib
import json
import math
import mmap
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from audit.pipeline.results import Array, Leaf, Scalar, Tree, from_leaves, leaves
from seedstability.errors import UserError

_KINDS = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
_DTYPES = {kind: dtype for dtype, kind in _KINDS.items()}
_BEFORE_HASH = b'{"__metadata__":{"sha256":"'
_HASH_AT = 8 + len(_BEFORE_HASH)
_NO_HASH = "0" * 64
# Kernels may sum a matrix in another order when it lies on other addresses. So the data begin at a
# multiple of this whatever the header's length, and big arrays come first.
_ALIGNMENT = 64


class DamagedResult(Exception):
    """A file of the store is not what was written there; the message says how it shows."""


def write(file: BinaryIO, tree: Tree, about: dict[str, Any]) -> None:
    """Write a tree to an empty file.

    Raises:
        UserError: a `Scalar` that is no finite number.
        TypeError: a leaf of a kind that results do not have.
        OSError: the disk is full, and the like.
    """
    described, arrays = _described(tree)
    text = json.dumps(described, separators=(",", ":"))
    tensors = _layout(arrays)
    content = _content_hash(text, tensors, arrays)
    metadata = {
        "sha256": _NO_HASH,
        "about": json.dumps({**about, "content": content}, separators=(",", ":")),
        "leaves": text,
    }
    header = _header({"__metadata__": metadata, **tensors})
    whole = hashlib.sha256(header)
    file.write(header)
    for address in tensors:
        data = _bytes(arrays[address])
        whole.update(data)
        file.write(data)
    file.seek(_HASH_AT)
    file.write(whole.hexdigest().encode())


def read_about(path: Path) -> dict[str, Any]:
    """Key and provenance of a result, from the file's beginning alone.

    Raises:
        DamagedResult: no such header, or the file is shorter or longer than it says.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        return _about(_read_header(file)[0])


def verify(path: Path) -> None:
    """Read the whole file and compare it with its hash.

    Raises:
        DamagedResult: they differ.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        header, _ = _read_header(file)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            _compare_hash(view, header)


def read(path: Path, verified: bool = False) -> dict:
    """The tree, its arrays mapped from the file; writing to them does not reach it.

    Args:
        path: the file.
        verified: leave the hash alone, because this very file was compared already.

    Raises:
        DamagedResult: the file is not as it was written.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        header, start = _read_header(file)
        # Copy-on-write: two workers share the pages, and torch gets arrays it may write to.
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if not verified:
        _compare_hash(view, header)
    described = json.loads(header["__metadata__"]["leaves"])
    return from_leaves(
        {name: _restored(name, leaf, header, view, start) for name, leaf in described}
    )


def _described(tree: Tree) -> tuple[list, dict[str, np.ndarray]]:
    """Every leaf as JSON, in the tree's order, and the arrays by address."""
    described: list = []
    arrays: dict[str, np.ndarray] = {}
    for address, leaf in leaves(tree):
        plain = leaf.item() if isinstance(leaf, np.generic) else leaf
        described.append([address, _describe(address, plain)])
        if isinstance(plain, Array):
            arrays[address] = _checked(address, plain.values)
        elif isinstance(plain, np.ndarray):
            arrays[address] = _checked(address, plain)
    return described, arrays


def _describe(address: str, leaf: Leaf) -> dict[str, Any]:
    if isinstance(leaf, Scalar):
        return {"scalar": _plain_scalar(address, leaf)}
    if isinstance(leaf, Array):
        return {"array": {"digits": leaf.digits, "tolerance": leaf.tolerance}}
    if isinstance(leaf, np.ndarray):
        return {"tensor": None}
    if isinstance(leaf, bool | int | float | str):
        return {"plain": leaf}
    raise TypeError(
        f"{address} is a {type(leaf).__name__}; a result holds numbers, text, NumPy arrays,"
        " Scalar and Array"
    )


def _plain_scalar(address: str, scalar: Scalar) -> dict[str, Any]:
    plain = {field.name: getattr(scalar, field.name) for field in fields(scalar)}
    for name in ("value", "low", "high", "chance", "tolerance"):
        if plain[name] is None:
            continue
        plain[name] = float(plain[name])
        if not math.isfinite(plain[name]):
            raise UserError(f"{address}: its {name} is {plain[name]}; a Scalar must be finite")
    return plain


def _checked(address: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.name not in _KINDS:
        raise TypeError(f"{address} holds {array.dtype}; results hold {', '.join(_KINDS)}")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _layout(arrays: dict[str, np.ndarray]) -> dict[str, dict]:
    """The tensors' entries in the order in which they lie in the file."""

    def place(address: str) -> tuple[bool, int]:
        array = arrays[address]
        return (array.nbytes % _ALIGNMENT != 0, -array.itemsize)

    tensors, at = {}, 0
    for address in sorted(arrays, key=place):
        array = arrays[address]
        tensors[address] = {
            "dtype": _KINDS[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    return tensors


def _header(header: dict) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _content_hash(text: str, tensors: dict, arrays: dict[str, np.ndarray]) -> str:
    """Hash of the result alone: equal for two runs if and only if every bit of it is."""
    content = hashlib.sha256(text.encode())
    content.update(json.dumps(tensors).encode())
    for address in tensors:
        content.update(_bytes(arrays[address]))
    return content.hexdigest()


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _read_header(file: BinaryIO) -> tuple[dict, int]:
    """The header, and where the data begin."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < _HASH_AT or length > size - 8:
        raise DamagedResult(f"it was cut short after {size} bytes")
    try:
        header = json.loads(file.read(length))
        ends = (
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        )
        expected = 8 + length + max(ends, default=0)
        _about(header)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedResult("its header was changed") from error
    if size != expected:
        raise DamagedResult(f"it has {size} bytes and should have {expected}")
    return header, 8 + length


def _about(header: dict) -> dict[str, Any]:
    return json.loads(header["__metadata__"]["about"])


def _compare_hash(view: mmap.mmap, header: dict) -> None:
    with memoryview(view) as data:
        found = hashlib.sha256(data[:_HASH_AT])
        found.update(_NO_HASH.encode())
        found.update(data[_HASH_AT + len(_NO_HASH) :])
    if found.hexdigest() != header["__metadata__"].get("sha256"):
        raise DamagedResult("its hash is not the one that was written with it")


def _restored(address: str, leaf: dict, header: dict, view: mmap.mmap, start: int) -> Leaf:
    [(kind, detail)] = leaf.items()
    if kind == "plain":
        return detail
    if kind == "scalar":
        return Scalar(**detail)
    entry = header[address]
    values: np.ndarray = np.ndarray(
        entry["shape"],
        dtype=_DTYPES[entry["dtype"]],
        buffer=view,
        offset=start + entry["data_offsets"][0],
    )
    return values if kind == "tensor" else Array(values, **detail)
