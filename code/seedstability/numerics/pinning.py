"""What fixes the bits of a result: set before torch is imported, and once after.

This file is part of every stage's key: an edit here makes every result stale. What only
*describes* the machine stands in `abi`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

# Which kernel runs decides how products are summed. AVX2 is the newest instruction set that all
# machines we expect have; asking for less costs half the speed (measured: COMPATIBLE 0.42).
_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    # STRICT also makes Intel's matrix products independent of where in memory the matrices lie.
    "MKL_CBWR": "AVX2,STRICT",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    # without this list numba adds whatever else the processor has
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2",
    # NumPy's exp, log and sin come out otherwise in their AVX-512 versions.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}

_ALWAYS = {
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what CUDA's deterministic products ask for
    "NVIDIA_TF32_OVERRIDE": "0",
    "MKL_DYNAMIC": "FALSE",
    "OMP_DYNAMIC": "FALSE",
    "PYTHONHASHSEED": "0",  # the order in which a set of names is walked
}

# These change no bit, only time: a training step frees and takes the same few megabytes again
# and again, and glibc would hand them back to the kernel in between. 32 MB is the largest
# threshold glibc accepts. They count only from the start of a process on.
_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


def has_avx2() -> bool:
    """Whether this processor can run what we pin. Where it cannot, nothing is pinned."""
    return {"avx2", "fma"} <= _cpu_flags()


def environment(threads: int = 1) -> dict[str, str]:
    """The environment variables with which a worker process has to start."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    pins = _AVX2 if has_avx2() else {}
    return pins | _ALWAYS | _MEMORY | dict.fromkeys(counts, str(threads))


def fix_before_torch(threads: int = 1) -> None:
    """Set that environment in this process; of use only before torch and NumPy are imported.

    For scripts and tests. Stages run in workers that were started with it.
    """
    os.environ.update(environment(threads))


def fix_after_torch(threads: int = 1) -> None:
    """The settings that torch itself has to be told, once it is imported."""
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Dead latents leave numbers below 1e-38 behind, which a processor handles very slowly.
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def pins() -> Mapping[str, str]:
    """What is pinned on this machine, apart from the number of threads and memory."""
    return (_AVX2 if has_avx2() else {}) | _ALWAYS


def _cpu_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()
