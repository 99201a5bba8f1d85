"""The numeric ABI: what has to be the same for two machines to compute the same bits.

It is read without importing torch. Inside one ABI results have the same bits whatever the
thread count, folder, user or clock; between two, the same verdicts and numbers within their
tolerance.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from seedstability.numerics import pinning

# The library of each package in which sums are taken; the name begins so.
_KERNELS = {
    "torch": "torch/lib/libtorch_cpu.so",
    "numpy": "numpy.libs/libscipy_openblas",
    "scipy": "scipy.libs/libscipy_openblas",
}


@dataclass(frozen=True)
class NumericABI:
    """What decides the bits, apart from code and settings."""

    cpu: str
    """Maker of the processor as it calls itself, such as `GenuineIntel`."""
    instructions: str
    """Widest instruction set in use once all is pinned: `avx2`, or `unpinned` without it."""
    torch: str
    """Its version with the variant, and the beginning of its kernel library's hash."""
    blas: str
    """The BLAS builds of NumPy and SciPy."""
    libc: str
    """The C library, whose mathematics NumPy and torch call."""
    device: str
    """`cpu`, or `cuda` and the name of the card."""

    @cached_property
    def digest(self) -> str:
        """Twelve letters that stand for all of this in the names of files."""
        text = json.dumps([asdict(self), dict(pinning.pins())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.cpu}, {self.instructions}, torch {self.torch}, {self.libc}, {self.device}"


def numeric_abi(device: str = "cpu") -> NumericABI:
    """The ABI of this process's machine.

    Args:
        device: `cpu` or `cuda`.
    """
    torch_build = _kernel_library("torch").rpartition(" ")[2]
    return NumericABI(
        cpu=_cpu_vendor(),
        instructions="avx2" if pinning.has_avx2() else "unpinned",
        torch=f"{_version('torch')} {torch_build}".strip(),
        blas=f"numpy {_kernel_library('numpy')}, scipy {_kernel_library('scipy')}",
        libc=" ".join(platform.libc_ver()),
        device=device if device == "cpu" else f"{device} {graphics_card() or 'unknown'}",
    )


def _cpu_vendor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("vendor_id"):
            return line.partition(":")[2].strip()
    return platform.machine()


def graphics_card() -> str:
    """Name of the first NVIDIA card that a driver has, or nothing."""
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
    """Name and hash, as the wheel's list of files gives them, so that nothing big is read."""
    found = _installed(package)
    for line in ((found and found.read_text("RECORD")) or "").splitlines():
        if line.startswith(_KERNELS[package]):
            path, digest, _ = line.rsplit(",", 2)
            return f"{Path(path).name} {digest.removeprefix('sha256=')[:12]}"
    return "unknown"
