"""dictionary-learning 0.1.0: `trainSAE` with its TopK trainer, one thread, no logging."""

from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import trainSAE

from contestants import LEARNING_RATE

_FOREVER = 10**9


class Contestant:
    """`trainSAE` makes its own trainer and returns nothing, so `_make` records the trainer."""

    def __init__(self, x, shape, seed):
        self.made = []
        self.config = {
            "trainer": self._make,
            "steps": _FOREVER,
            "activation_dim": shape.width,
            "dict_size": shape.latents,
            "k": shape.k,
            "layer": 0,  # these two are only recorded
            "lm_name": "none",
            "lr": LEARNING_RATE,
            "warmup_steps": 0,
            "auxk_alpha": 0,
            # no running threshold for inference
            "threshold_start_step": _FOREVER,
            "seed": seed,
            "device": "cpu",
        }

    def _make(self, **settings):
        self.made.append(TopKTrainer(**settings))
        return self.made[-1]

    def train(self, batches):
        trainSAE(batches, [self.config], steps=_FOREVER, device="cpu")

    def reconstruct(self, x):
        return self.made[-1].ae(x)
