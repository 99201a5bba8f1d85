"""Small checkpoints in each library's format."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

D, N, K = 5, 12, 3


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X = draw(64, D, seed=9)
ENCODER, DECODER = draw(N, D, seed=1), draw(N, D, seed=2)
ENCODER_BIAS, BIAS = draw(N, seed=3), draw(D, seed=4)
THRESHOLD = draw(N, seed=5)

SAELENS = {"d_in": D, "d_sae": N, "architecture": "standard", "apply_b_dec_to_input": True}
SPARSIFY = {"d_in": D, "num_latents": N, "k": K, "activation": "topk"}
TRAINER = {"activation_dim": D, "dict_size": N, "dict_class": "AutoEncoder"}

SAELENS_TENSORS = {"W_enc": ENCODER.t(), "b_enc": ENCODER_BIAS, "W_dec": DECODER, "b_dec": BIAS}
SPARSIFY_TENSORS = {
    "encoder.weight": ENCODER,
    "encoder.bias": ENCODER_BIAS,
    "W_dec": DECODER,
    "b_dec": BIAS,
}
LINEAR_TENSORS = {
    "encoder.weight": ENCODER,
    "encoder.bias": ENCODER_BIAS,
    "decoder.weight": DECODER.t(),
}


def saelens(folder: Path, settings=None, tensors=None) -> Path:
    """Write a SAELens checkpoint with changed settings and tensors; None removes one."""
    folder.mkdir(parents=True)
    _json(folder / "cfg.json", SAELENS, settings)
    _safetensors(folder / "sae_weights.safetensors", SAELENS_TENSORS, tensors)
    return folder


def sparsify(folder: Path, settings=None, tensors=None) -> Path:
    """Write a sparsify checkpoint."""
    folder.mkdir(parents=True)
    _json(folder / "cfg.json", SPARSIFY, settings)
    _safetensors(folder / "sae.safetensors", SPARSIFY_TENSORS, tensors)
    return folder


def dictionary_learning(folder: Path, trainer=None, tensors=None) -> Path:
    """Write a dictionary_learning checkpoint; `tensors` replaces the contents of ae.pt."""
    folder.mkdir(parents=True)
    values = _changed(TRAINER, trainer)
    (folder / "config.json").write_text(json.dumps({"trainer": values}))
    torch.save({**LINEAR_TENSORS, "bias": BIAS} if tensors is None else tensors, folder / "ae.pt")
    return folder


def _json(path: Path, values: dict, changes: dict | None) -> None:
    path.write_text(json.dumps(_changed(values, changes)))


def _safetensors(path: Path, values: dict, changes: dict | None) -> None:
    tensors = _changed(values, changes)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def _changed(values: dict, changes: dict | None) -> dict:
    both = {**values, **(changes or {})}
    return {name: value for name, value in both.items() if value is not None}
