"""Settings, initial SAEs and batches for tests of the batched trainer."""

from dataclasses import replace

import numpy as np
import torch

from helpers.dictionaries_data import samples
from seedstability.dictionaries.config import (
    BATCH_TOPK,
    HUSAI_RELU,
    HUSAI_TOPK,
    JUMPRELU,
    RELU,
    TOPK,
    DictionaryConfig,
)
from seedstability.dictionaries.sae import SAE, initialize
from seedstability.dictionaries.training.batched import BatchedTrainer

D, N, B, TOTAL = 12, 40, 50, 30
SMALL = {"n_latents": N, "k": 5, "batch_size": B}
CONFIGS = {
    "topk": replace(TOPK, **SMALL, clip_norm=0.1, warm_up_steps=4, decay_share=0.5),
    "topk_auxk": replace(TOPK, **{**SMALL, "k": 1}, auxk_weight=1.0, dead_after=2 * B),
    "batch_topk": replace(BATCH_TOPK, **SMALL),
    "relu": replace(RELU, **SMALL, sparsity_warm_up_steps=5),
    "jumprelu": replace(JUMPRELU, **SMALL, warm_up_steps=3, sparsity_warm_up_steps=6),
    "husai_topk": replace(HUSAI_TOPK, **SMALL),
    "husai_relu": replace(HUSAI_RELU, **SMALL),
}


def initial_saes(config: DictionaryConfig, seeds: int = 3) -> list[SAE]:
    """Initial SAEs with nonzero biases, so that every gradient is tested."""
    found = [initialize(config, D, seed) for seed in range(seeds)]
    generator = torch.Generator().manual_seed(5)
    for sae in found:
        sae.encoder_bias.add_(torch.randn(N, generator=generator), alpha=0.1)
        if config.decoder_bias:
            sae.decoder_bias.add_(torch.randn(D, generator=generator), alpha=0.3)
    return found


def batches(steps: int, seeds: int = 3) -> torch.Tensor:
    """[steps, seeds, B, D]."""
    return samples(steps * seeds * B, D).reshape(steps, seeds, B, D)


def trained(config: DictionaryConfig, x: torch.Tensor, **more) -> BatchedTrainer:
    trainer = BatchedTrainer(initial_saes(config, x.shape[1]), config, TOTAL, **more)
    for batch in x:
        trainer.step(batch)
    return trainer


def tensors(trainer: BatchedTrainer) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.asarray(part)) for name, part in trainer.state().items()}
