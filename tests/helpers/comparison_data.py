"""Dictionaries that share a known number of directions."""

import json

import torch
from jsonschema import Draft202012Validator
from torch import Tensor

from helpers.repository import ROOT
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE

SCHEMA = json.loads((ROOT / "code/seedstability/report/report.schema.json").read_text("utf-8"))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sae(decoder: Tensor, encoder: Tensor | None = None, k: int = 4) -> SAE:
    """A TopK SAE with these directions; the encoder equals the decoder if omitted."""
    n, d = decoder.shape
    config = DictionaryConfig(architecture="topk", n_latents=n, k=min(k, n))
    encoder = decoder if encoder is None else encoder
    return SAE(
        encoder.clone(), torch.zeros(n), decoder.clone(), torch.zeros(d), torch.zeros(n), config
    )


def planted(n_seeds: int, n: int, d: int, shared: int, noise: float = 0.0) -> list[SAE]:
    """Dictionaries with `shared` common directions, each in its own order."""
    common = torch.nn.functional.normalize(normal(shared, d, seed=99), dim=1)
    made = []
    for seed in range(n_seeds):
        own = torch.nn.functional.normalize(normal(n - shared, d, seed=seed), dim=1)
        near = common + noise * normal(shared, d, seed=100 + seed) / d**0.5
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        made.append(sae(torch.cat([near, own])[order]))
    return made


def activations(m: int, d: int, seed: int = 7) -> Tensor:
    """Samples with a non-zero mean and variances that decrease along the coordinates."""
    return normal(m, d, seed=seed) / torch.arange(1, d + 1).sqrt() + 0.5


def schema_errors(document: dict) -> list[str]:
    """Violations of the schema by a document."""
    found = Draft202012Validator(SCHEMA).iter_errors(document)
    return [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in found]
