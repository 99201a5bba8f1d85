"""Weights are trained again with the instructions that made them."""

import pytest

from audit import retraining
from seedstability.numerics import pinning

WITH_AVX512 = ("x86_64", pinning.INSTRUCTION_SETS["avx512"].needs | {"avx2"})


@pytest.mark.parametrize(("recorded", "core"), [("avx2", "Haswell"), ("avx512", "SkylakeX")])
def test_a_transformer_is_trained_again_with_the_recorded_instruction_set(
    recorded, core, monkeypatch
):
    environments = []

    def run(code, name, environment):
        environments.append(environment)
        return "True 0.0 1.0 5.0"

    recipe = {"numeric_abi": f"AuthenticAMD, {recorded}, torch 2.13.0+cpu x, glibc 2.36, cpu"}
    monkeypatch.setattr(pinning, "_processor", lambda: WITH_AVX512)
    monkeypatch.setattr(retraining, "read_recipe", lambda name: recipe)
    monkeypatch.setattr(retraining, "_run_in_process", run)
    [line] = retraining.retrain_subjects("clean_0")
    assert line == "clean_0: the same bits; 100.00% of the held-out pairs, 5 s"
    assert environments[0]["OPENBLAS_CORETYPE"] == core
    assert environments[0]["OMP_NUM_THREADS"] == "1"
