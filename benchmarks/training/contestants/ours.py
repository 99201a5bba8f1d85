"""This repository's `SAETrainer`."""

from dataclasses import replace

from contestants import LEARNING_RATE
from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.config import TOPK
from seedstability.dictionaries.samples import InMemory
from seedstability.dictionaries.training.initialization import activation_scaling, initial_sae
from seedstability.dictionaries.training.sae_trainer import SAETrainer


class Contestant:
    """Steps of an `SAETrainer`."""

    select = staticmethod(sparse_latents.topk)

    def __init__(self, x, shape, seed):
        config = replace(
            TOPK,
            n_latents=shape.latents,
            k=shape.k,
            batch_size=shape.batch,
            learning_rate=LEARNING_RATE,
            normalize_activations=False,  # the data have a root mean square of one
            auxk=0,
        )
        samples = InMemory(x)
        initial = initial_sae(samples, activation_scaling(samples, config), config, seed)
        self.trainer = SAETrainer(initial, str(seed), select=self.select)

    def train(self, batches):
        for batch in batches:
            self.trainer.step(batch)

    def reconstruct(self, x):
        return self.trainer.sae.reconstruct(x)
