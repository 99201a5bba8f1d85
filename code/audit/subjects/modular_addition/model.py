"""The modular-addition transformer: token sequences, model, residual stream and logits."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import boot_native

from audit.subjects.modular_addition.config import ModularAdditionConfig, Position

READ_BATCH = 2048
"""Sequences in one forward pass. Fixed, so that matrix products have the same shapes everywhere."""


class Pairs(NamedTuple):
    """All p² pairs in two parts, each in ascending order of (a, b)."""

    train: Int[Tensor, "n_train 2"]
    """Training pairs of the transformer and of the dictionaries on its activations."""
    heldout: Int[Tensor, "n_heldout 2"]
    """The rest."""


def split_pairs(config: ModularAdditionConfig) -> Pairs:
    """Split all pairs into training and held-out: `train_share` of p², drawn from `split_seed`."""
    numbers = torch.arange(config.p)
    pairs = torch.cartesian_prod(numbers, numbers)
    generator = torch.Generator().manual_seed(config.split_seed)
    order = torch.randperm(len(pairs), generator=generator)
    n_train = int(config.train_share * len(pairs))
    return Pairs(pairs[order[:n_train].sort().values], pairs[order[n_train:].sort().values])


def answers(pairs: Int[Tensor, "n 2"], p: int) -> Int[Tensor, " n"]:
    """Return (a + b) mod p of each pair."""
    return pairs.sum(dim=1) % p


def sequences(pairs: Int[Tensor, "n 2"], config: ModularAdditionConfig) -> Int[Tensor, "n length"]:
    """Return the tokens that the subject reads: numbers as themselves, other tokens from p on."""
    a, b = pairs.unbind(dim=1)
    if config.subject == "clean":
        return torch.stack([a, b, torch.full_like(a, config.p)], dim=1)
    bos, eos, equals, plus = (torch.full_like(a, config.p + i) for i in range(4))
    return torch.stack([bos, a, plus, b, equals, answers(pairs, config.p), eos], dim=1)


def position_index(config: ModularAdditionConfig, position: Position = "report") -> int:
    """Return the index of a position in the sequence; `ActivationsConfig` defines the names.

    The subject is trained at `report`.
    """
    if config.subject == "clean":
        return 2
    return {"report": 5, "answer": 4}[position]


def build(config: ModularAdditionConfig) -> TransformerBridge:
    """Build the subject at initialization, every parameter drawn from `config.seed`."""
    clean = config.subject == "clean"
    n_tokens = config.p + (1 if clean else 4)
    shape = TransformerBridgeConfig(
        n_layers=config.n_layers,
        d_model=config.d_model,
        n_heads=config.n_heads,
        d_head=config.d_model // config.n_heads,
        d_mlp=config.d_mlp,
        n_ctx=3 if clean else 7,
        d_vocab=n_tokens,
        # The report's subject predicts over all tokens, `clean` over numbers only.
        d_vocab_out=config.p if clean else n_tokens,
        act_fn="relu",
        normalization_type="LN",
        init_weights=False,
    )
    # torch.nn draws from the global generator while it builds. The draws are overwritten below,
    # and the fork keeps the caller's generator unchanged.
    with torch.random.fork_rng(devices=[]):
        model = boot_native(shape)
    _initialize(model, config)
    return model


def _initialize(model: TransformerBridge, config: ModularAdditionConfig) -> None:
    generator = torch.Generator().manual_seed(config.seed)
    deviation = config.weight_scale / math.sqrt(config.d_model)
    with torch.no_grad():
        for name, parameter in model.state_dict().items():
            if parameter.ndim == 2:
                parameter.normal_(0.0, deviation, generator=generator)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)


@torch.no_grad()
def read_residual(
    model: TransformerBridge, tokens: Int[Tensor, "n length"], layer: int, index: int
) -> Float[Tensor, "n d_model"]:
    """Read the residual stream after a block at one position (`blocks.{layer}.hook_resid_post`)."""
    hook = f"blocks.{layer}.hook_resid_post"
    parts = []
    for batch in tokens.split(READ_BATCH):
        _, cache = model.run_with_cache(batch, names_filter=hook, stop_at_layer=layer + 1)
        parts.append(cache[hook][:, index])
    return torch.cat(parts)


@torch.no_grad()
def read_logits(
    model: TransformerBridge, tokens: Int[Tensor, "n length"], indices: list[int]
) -> Float[Tensor, "n n_indices d_vocab_out"]:
    """Compute logits at the given positions."""
    return torch.cat([model(batch)[:, indices] for batch in tokens.split(READ_BATCH)])
