"""What is pinned, before and after torch is imported, and at what cost."""

import json
import os
import subprocess
import sys

import pytest

from seedstability.errors import UserError
from seedstability.numerics import pinning
from seedstability.numerics.abi import numeric_abi
from seedstability.numerics.pinning import INSTRUCTION_SETS

SCRIPT = """
import json, sys, torch
from seedstability.numerics.pinning import fix_after_torch
fix_after_torch()
compiler = "torch._inductor" in sys.modules
print(json.dumps([torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), compiler]))
"""


def test_algorithms_are_deterministic_and_no_compiler_is_imported():
    """Importing it takes a second, in every stage and command."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [True, 1, False]


WITH_AVX512 = ("x86_64", INSTRUCTION_SETS["avx512"].needs | {"avx2"})
WITH_AVX2 = ("x86_64", frozenset({"avx2", "fma"}))
TRAINING = """
import hashlib, sys
from seedstability.numerics import pinning
pinning.fix_before_torch(int(sys.argv[1]))
import torch
pinning.fix_after_torch(int(sys.argv[1]))
from seedstability import DictionaryConfig, train
x = torch.randn(3000, 96, generator=torch.Generator().manual_seed(0)) @ torch.eye(96).cumsum(0)
config = DictionaryConfig(n_latents=512, k=8, epochs=3, batch_size=256)
sae, = train(x, config, seeds=[1])
print(hashlib.sha256(sae.decoder.numpy().tobytes()).hexdigest())
# By NumPy: torch's sum over all entries depends on the number of threads.
error, x = (sae.reconstruct(x) - x).numpy(), x.numpy()
print(float((error**2).sum() / ((x - x.mean(0)) ** 2).sum()))
"""


def trained(instruction_set: str, threads: int) -> tuple[str, float]:
    """Hash of a decoder trained under this set, in its own process, and unexplained variance."""
    ran = subprocess.run(
        [sys.executable, "-c", TRAINING, str(threads)],
        env={**os.environ, pinning.CHOICE: instruction_set},
        capture_output=True,
        text=True,
        check=True,
    )
    digest, error = ran.stdout.split()
    return digest, float(error)


def test_each_instruction_set_fixes_the_bits_and_they_agree_within_rounding():
    errors = []
    for name in pinning.available():
        (digest, error), other = trained(name, 1), trained(name, 2)
        assert other == (digest, error), name
        errors.append(error)
    assert 0 < max(errors) < 0.5
    assert max(errors) - min(errors) < 0.02 * min(errors)


def test_the_widest_set_is_the_default_and_another_can_be_chosen(monkeypatch):
    monkeypatch.delenv(pinning.CHOICE, raising=False)
    for processor, expected in (
        (WITH_AVX2, "avx2"),
        # An emulator shows its host's flags.
        (("aarch64", WITH_AVX512[1]), "neon"),
        (("x86_64", frozenset()), "unpinned"),
        (WITH_AVX512, "avx512"),
    ):
        monkeypatch.setattr(pinning, "_processor", lambda processor=processor: processor)
        assert pinning.instruction_set() == expected
    monkeypatch.setenv(pinning.CHOICE, "avx2")
    assert numeric_abi().instructions == pinning.instruction_set() == "avx2"
    assert pinning.environment()["OPENBLAS_CORETYPE"] == "Haswell"


def test_results_of_two_sets_are_never_taken_for_one_another(monkeypatch):
    monkeypatch.setattr(pinning, "_processor", lambda: WITH_AVX512)
    digests = set()
    for name in ("avx512", "avx2"):
        monkeypatch.setenv(pinning.CHOICE, name)
        digests.add(numeric_abi().digest)
    assert len(digests) == 2


@pytest.mark.parametrize(("asked", "reason"), [("sse", "it is unknown"), ("neon", "lacks it")])
def test_a_set_that_is_not_here_is_refused_in_one_line(asked, reason, monkeypatch):
    monkeypatch.setattr(pinning, "_processor", lambda: WITH_AVX2)
    monkeypatch.setenv(pinning.CHOICE, asked)
    with pytest.raises(UserError, match=f"is '{asked}', but .*{reason}; it must be avx2"):
        pinning.environment()
