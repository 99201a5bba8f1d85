"""Numeric ABI: what two machines must share to compute the same bits.

Within one ABI results have the same bits for any thread count, folder, user or clock. Between two,
verdicts are equal and numbers agree within their tolerance. This module does not import torch.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from seedstability.numerics import pinning

# Prefix of the name of each package's kernel library.
_KERNELS = {
    "torch": "torch/lib/libtorch_cpu.so",
    "numpy": "numpy.libs/libscipy_openblas",
    "scipy": "scipy.libs/libscipy_openblas",
}


@dataclass(frozen=True)
class NumericABI:
    """Properties of the machine that determine the bits of results."""

    cpu: str
    """Vendor of the processor, such as `GenuineIntel`."""
    instructions: str
    """The pinned instruction set: `avx512`, `avx2` or `neon`; `unpinned` without any of them."""
    torch: str
    """Version of torch with the variant, and the prefix of its kernel library's hash."""
    blas: str
    """The BLAS builds of NumPy and SciPy."""
    libc: str
    """The C library, whose math functions NumPy and torch call."""
    device: str
    """`cpu`, or `cuda` and the name of the card."""

    @cached_property
    def digest(self) -> str:
        """Hash of twelve characters, for file names."""
        text = json.dumps([asdict(self), dict(pinning.pins())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.cpu}, {self.instructions}, torch {self.torch}, {self.libc}, {self.device}"


def numeric_abi(device: str = "cpu") -> NumericABI:
    """Numeric ABI of this machine.

    Args:
        device: `cpu` or `cuda`.
    """
    torch_build = _kernel_library("torch").rpartition(" ")[2]
    return NumericABI(
        cpu=_cpu_vendor(),
        instructions=pinning.instruction_set(),
        torch=f"{_version('torch')} {torch_build}".strip(),
        blas=f"numpy {_kernel_library('numpy')}, scipy {_kernel_library('scipy')}",
        libc=" ".join(platform.libc_ver()),
        device=device if device == "cpu" else f"{device} {graphics_card() or 'unknown'}",
    )


def _cpu_vendor() -> str:
    machine = platform.machine()
    field = "vendor_id" if machine == "x86_64" else "CPU implementer"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(field):
            vendor = line.partition(":")[2].strip()
            return vendor if machine == "x86_64" else f"{machine} {vendor}"
    return machine


def graphics_card() -> str:
    """Name of the first NVIDIA card with a driver, or an empty string."""
    for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in card.read_text().splitlines():
            if line.startswith("Model"):
                return line.partition(":")[2].strip()
    return ""


def _installed(package: str) -> Distribution | None:
    try:
        return distribution(package)
    except PackageNotFoundError:
        return None


def _version(package: str) -> str:
    found = _installed(package)
    return "absent" if found is None else found.version


def _kernel_library(package: str) -> str:
    """Name and hash of a kernel library, from the wheel's RECORD, without reading the library."""
    found = _installed(package)
    for line in ((found and found.read_text("RECORD")) or "").splitlines():
        if line.startswith(_KERNELS[package]):
            path, digest, _ = line.rsplit(",", 2)
            return f"{Path(path).name} {digest.removeprefix('sha256=')[:12]}"
    return "unknown"
