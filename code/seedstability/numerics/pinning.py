"""Pin the numerics: environment variables before importing torch, and torch's settings after.

This file is part of every stage's key: an edit makes every result stale. `abi` only describes the
machine.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from seedstability.errors import UserError

# The instruction set determines the order of summation in products, and with it the last bits. Each
# set is pinned as a whole, so that processors of one vendor that have it compute the same bits.
_AVX512 = {
    "ATEN_CPU_CAPABILITY": "avx512",
    # STRICT also makes Intel's matrix products independent of memory alignment.
    "MKL_CBWR": "AVX512,STRICT",
    "OPENBLAS_CORETYPE": "SkylakeX",
    "NUMBA_CPU_NAME": "skylake-avx512",
    # Without this list numba adds all features of the processor. The last one has loops use all 512
    # bits: training small dictionaries is a twentieth faster.
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+avx512bw,+avx512cd,+avx512dq,+avx512f,+avx512vl,+bmi,+bmi2,"
    "+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2,-prefer-256-bit",
    "NPY_DISABLE_CPU_FEATURES": "AVX512_ICL AVX512_SPR",
}
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2,STRICT",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2",
    # NumPy's exp, log and sin have other bits in their AVX-512 versions.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
_NEON = {
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "ARMV8",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "+neon",
    "NPY_DISABLE_CPU_FEATURES": "ASIMDHP ASIMDDP ASIMDFHM SVE",
}


class InstructionSet(NamedTuple):
    """An instruction set that can be pinned."""

    machine: str
    """The architecture, as `uname -m` prints it."""
    needs: frozenset[str]
    """Flags of the processor in /proc/cpuinfo."""
    pins: Mapping[str, str]
    """Environment variables that select it."""


# The widest first: at AVX2 training takes 1.2 to 1.4 times as long as at AVX-512.
INSTRUCTION_SETS = {
    "avx512": InstructionSet(
        "x86_64",
        frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "fma"}),
        _AVX512,
    ),
    "avx2": InstructionSet("x86_64", frozenset({"avx2", "fma"}), _AVX2),
    "neon": InstructionSet("aarch64", frozenset(), _NEON),  # every such processor has it
}
CHOICE = "SEEDSTABILITY_ISA"
"""Environment variable that names one of them instead of the widest."""

_ALWAYS = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # required by CUDA's deterministic products
    "NVIDIA_TF32_OVERRIDE": "0",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    "PYTHONHASHSEED": "0",  # iteration order of sets
}

# These change only time: each training step frees and allocates the same few megabytes, which glibc
# would return to the kernel in between. 32 MB is the largest threshold that glibc accepts. They
# take effect only at the start of a process.
_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


def available() -> list[str]:
    """Names of the instruction sets that this processor has, the widest first."""
    machine, flags = _processor()
    return [
        name
        for name, each in INSTRUCTION_SETS.items()
        if each.machine == machine and each.needs <= flags
    ]


def instruction_set() -> str:
    """Name of the pinned instruction set: the one that SEEDSTABILITY_ISA names, or the widest.

    `unpinned` on a processor with none of them.

    Raises:
        UserError: the one named is unknown, or this processor lacks it.
    """
    here, asked = available(), os.environ.get(CHOICE, "")
    if not asked:
        return here[0] if here else "unpinned"
    if asked not in here:
        known = "this processor lacks it" if asked in INSTRUCTION_SETS else "it is unknown"
        raise UserError(
            f"{CHOICE} is '{asked}', but {known}; it must be {' or '.join(here) or 'unset'}"
        )
    return asked


def environment(threads: int = 1) -> dict[str, str]:
    """Environment variables of a pinned worker process."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**pins(), **_MEMORY, **dict.fromkeys(counts, str(threads))}


def fix_before_torch(threads: int = 1) -> None:
    """Set the pinned environment in this process, before importing torch and NumPy.

    For scripts and tests. Stages run in workers that start with this environment.
    """
    os.environ.update(environment(threads))


def fix_after_torch(threads: int = 1) -> None:
    """Pin torch's own settings, after importing it."""
    import torch

    torch.set_num_threads(threads)
    # As `use_deterministic_algorithms`, which would also import torch's compiler: a second for each
    # stage and command, and nothing here compiles.
    torch.set_deterministic_debug_mode("error")
    # Dead latents produce denormal numbers, which are very slow.
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def pins() -> Mapping[str, str]:
    """Pinned environment variables on this machine, without thread counts and memory settings."""
    chosen = instruction_set()
    return {**(INSTRUCTION_SETS[chosen].pins if chosen in INSTRUCTION_SETS else {}), **_ALWAYS}


@cache
def _processor() -> tuple[str, frozenset[str]]:
    """Architecture, and the flags of an x86 processor."""
    flags = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            flags = line.partition(":")[2]
            break
    return os.uname().machine, frozenset(flags.split())
