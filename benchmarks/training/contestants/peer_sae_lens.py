"""sae-lens 6.54.12: `SAETrainer.fit` with its TopK SAE, no logging."""

from contextlib import suppress

import torch
from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

from contestants import LEARNING_RATE

_FOREVER = 10**9


class Contestant:
    """Dense latents, the default."""

    sparse = False

    def __init__(self, x, shape, seed):
        torch.manual_seed(seed)
        config = TopKTrainingSAEConfig(
            d_in=shape.width,
            d_sae=shape.latents,
            k=shape.k,
            device="cpu",
            dtype="float32",
            use_sparse_activations=self.sparse,
            decoder_init_norm=1.0,
            aux_loss_coefficient=0.0,
            rescale_acts_by_decoder_norm=False,  # a replacement of unit norm; faster without
        )
        self.sae = TopKTrainingSAE(config)
        self.settings = SAETrainerConfig(
            total_training_samples=_FOREVER * shape.batch,
            train_batch_size_samples=shape.batch,
            lr=LEARNING_RATE,
            lr_end=LEARNING_RATE,
            device="cpu",
            dead_feature_window=_FOREVER,
            feature_sampling_window=_FOREVER,  # avoids an unused histogram
        )

    def train(self, batches):
        with suppress(StopIteration):  # it requests more batches than there are
            SAETrainer(self.settings, self.sae, iter(batches)).fit()

    def reconstruct(self, x):
        return self.sae(x)
