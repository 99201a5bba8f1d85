"""Pin the numerics: environment variables before importing torch, and torch's settings after.

This file is part of every stage's key: an edit makes every result stale. `abi` only describes the
machine.
"""

import os
from collections.abc import Mapping
from pathlib import Path

# The kernel determines the order of summation in products. AVX2 is the newest instruction set that
# all expected machines have; an older one costs half the speed (measured: COMPATIBLE 0.42).
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # STRICT also makes Intel's matrix products independent of memory alignment.
    "MKL_CBWR": "AVX2,STRICT",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    # without this list numba adds all features of the processor
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2",
    # NumPy's exp, log and sin have other bits in their AVX-512 versions.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}

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


def has_avx2() -> bool:
    """Whether this processor supports the pinned instruction set; otherwise it is not pinned."""
    return {"avx2", "fma"} <= _cpu_flags()


def environment(threads: int = 1) -> dict[str, str]:
    """Environment variables of a pinned worker process."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    pins = _AVX2 if has_avx2() else {}
    return pins | _ALWAYS | _MEMORY | dict.fromkeys(counts, str(threads))


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
    return (_AVX2 if has_avx2() else {}) | _ALWAYS


def _cpu_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
