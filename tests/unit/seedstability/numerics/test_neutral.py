"""Nothing that a caller sets in torch or NumPy reaches a result."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

import seedstability
from helpers.comparison_data import activations
from seedstability import DictionaryConfig
from seedstability.errors import UserError


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


SETTINGS = {
    "dtype": default_dtype,
    "device": default_device,
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "errors": lambda: np.errstate(all="raise"),
}
CONFIG = DictionaryConfig(n_latents=16, k=2, epochs=2)
X = activations(300, 8)


def results(folder) -> tuple[list[bytes], dict]:
    saes = seedstability.train(X, CONFIG, seeds=range(2))
    for seed, sae in enumerate(saes):
        seedstability.save(sae, folder / str(seed))
    report = seedstability.compare([folder / "0", folder / "1"], X)
    for place, each in enumerate(report.document["inputs"]["dictionaries"]):
        each["folder"] = place
    return [file.read_bytes() for file in sorted(folder.rglob("*.safetensors"))], report.document


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return results(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("setting", SETTINGS)
def test_results_are_those_of_a_fresh_process(plain, setting, tmp_path):
    with SETTINGS[setting]():
        found = results(tmp_path)
    assert found == plain


def test_the_callers_settings_are_kept():
    with default_dtype():
        seedstability.chance_level(n=8, d=4)
        assert torch.get_default_dtype() == torch.float64
        with pytest.raises(UserError):
            seedstability.compare([])
        assert torch.get_default_dtype() == torch.float64
