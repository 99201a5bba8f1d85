"""Trainer of one SAE on a CPU."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.kernels import descent
from seedstability.dictionaries.sae import PER_LATENT, SAE
from seedstability.dictionaries.training.failures import refuse_loss
from seedstability.dictionaries.training.gradients import (
    dense_arrays,
    loss_and_gradients,
    sorted_by_latent,
)
from seedstability.dictionaries.training.schedules import rate_share, sparsity_share
from seedstability.dictionaries.training.sparse_gradients import BatchGradients, DenseGradients

_MIN_THRESHOLD = 1e-30
"""Keeps the log-threshold finite for architectures without thresholds."""


class SAETrainer:
    """Trainer state of one SAE: parameters, Adam's moments and firing counts.

    The SAE's tensors are updated in place.
    """

    def __init__(
        self,
        initial: SAE,
        name: str,
        *,
        total_steps: int = 0,
        frozen_decoder: bool = False,
        select: sparse_latents.TopKSelector = sparse_latents.topk,
    ):
        """Take over the tensors of `initial`.

        Args:
            initial: the SAE before the first step, float32 on the CPU.
            name: name in error messages, usually the seed.
            total_steps: number of steps of the run, for the learning-rate schedule.
            frozen_decoder: do not train the decoder.
            select: selects the k largest pre-activations.
        """
        self.sae, self.name, self.steps = initial, name, 0
        self._total_steps, self._frozen, self._select = total_steps, frozen_decoder, select
        n = len(initial.encoder)
        self.firings: Int64[np.ndarray, " n"] = np.zeros(n, np.int64)
        """Number of samples in which each latent fired since `reset_firings`."""
        self.since_fired: Int64[np.ndarray, " n"] = np.zeros(n, np.int64)
        """Number of samples since each latent last fired."""
        learned = [getattr(initial, part).numpy() for part in (*PER_LATENT, "decoder_bias")]
        self._log_threshold = initial.threshold.clamp_min(_MIN_THRESHOLD).log().numpy()
        self._weights = (*learned, self._log_threshold)
        self._means = tuple(np.zeros_like(weight) for weight in self._weights)
        self._squares = tuple(np.zeros_like(weight) for weight in self._weights)
        self._kept, self._first_loss = np.zeros(2), np.zeros(1)

    def step(self, x: Float[Tensor, "b d"], more: DenseGradients | None = None) -> float:
        """Take one step of Adam.

        Args:
            x: the batch.
            more: dense gradients of further loss terms.

        Returns:
            The batch's loss, without further terms.

        Raises:
            UserError: the loss is not finite or has diverged; parameters are unchanged.
        """
        config = self.sae.config
        with torch.no_grad():
            batch = loss_and_gradients(
                self.sae,
                x,
                sparsity_share(config, self.steps + 1),
                self.since_fired >= config.dead_after if config.auxk else None,
                self._select,
            )
        if self.steps == 0:
            self._first_loss[0] = batch.loss
        refuse_loss(batch.loss, self._first_loss[0], config, self.name, self.steps + 1)
        self.steps += 1
        self._count(batch, len(x))
        self._descend(batch, more)
        return batch.loss

    def reset_firings(self) -> None:
        """Set the firing counts to zero."""
        self.firings = np.zeros_like(self.firings)

    def replace_latents(
        self,
        latents: Int64[np.ndarray, " r"],
        encoder: Float32[np.ndarray, "r d"],
        decoder: Float32[np.ndarray, "r d"],
    ) -> None:
        """Replace rows of latents; their biases and Adam's moments are set to zero."""
        for weight, row in zip(self._weights[:3], (encoder, 0.0, decoder), strict=True):
            weight[latents] = row
        for moments in (self._means, self._squares):
            for moment in moments[:3]:
                moment[latents] = 0
        self.since_fired[latents] = 0

    def state(self) -> dict[str, np.ndarray]:
        """Copy the state that the next step depends on."""
        return {name: array.copy() for name, array in self._state().items()}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state."""
        self.steps = int(state["steps"][0])
        for name, array in self._state().items():
            if name != "steps":
                array[...] = state[name]

    def _state(self) -> dict[str, np.ndarray]:
        names = (*PER_LATENT, "decoder_bias", "log_threshold")
        groups = {"": self._weights, "mean_": self._means, "square_": self._squares}
        return {
            **{
                f"{prefix}{name}": array
                for prefix, arrays in groups.items()
                for name, array in zip(names, arrays, strict=True)
            },
            "threshold": self.sae.threshold.numpy(),
            "kept": self._kept,
            "first_loss": self._first_loss,
            "firings": self.firings,
            "since_fired": self.since_fired,
            "steps": np.array([self.steps]),
        }

    def _count(self, batch: BatchGradients, samples: int) -> None:
        self.firings += batch.firings
        self.since_fired += samples
        self.since_fired[batch.firings > 0] = 0

    def _descend(self, batch: BatchGradients, more: DenseGradients | None) -> None:
        config = self.sae.config
        rows = self._weights[:3]
        entries, whole = sorted_by_latent(batch, len(rows[0])), dense_arrays(batch, more)
        how = (
            self._frozen,
            config.remove_parallel_gradient and not self._frozen,
            config.unit_norm_decoder,
        )
        scale = np.float32(1)
        if config.clip_norm is not None:
            scale = self._clip(batch, entries, whole, how)
        rates = self._rates()
        through_bias = descent.descend(
            rows,
            self._means[:3],
            self._squares[:3],
            entries,
            whole,
            rates,
            scale,
            how,
        )
        if config.decoder_bias:
            gradient = batch.decoder_bias * scale
            if config.bias_before_encoder:
                gradient -= through_bias
            self._move(3, gradient, rates)
        if batch.threshold is not None:
            self._move(4, batch.threshold * scale, rates)
            np.exp(self._log_threshold, out=self.sae.threshold.numpy())
        if batch.smallest_kept is not None:
            self._update_threshold(batch.smallest_kept)

    def _rates(self) -> tuple[np.float32, np.float32]:
        config, t = self.sae.config, self.steps
        rate = config.learning_rate * rate_share(config, t, self._total_steps)
        first, second = float(descent.BETA1), float(descent.BETA2)
        return np.float32(rate / (1 - first**t)), np.float32(1 / math.sqrt(1 - second**t))

    def _move(self, which: int, gradient: Float32[np.ndarray, " p"], rates) -> None:
        descent.adam_row(
            self._weights[which], self._means[which], self._squares[which], gradient, *rates
        )

    def _clip(self, batch: BatchGradients, entries, whole, how) -> np.float32:
        """Factor, at most 1, that clips the gradient of all parameters to `clip_norm`."""
        config = self.sae.config
        total, through_bias = descent.squared_norm(self._weights[:3], entries, whole, how)
        if config.decoder_bias:
            before = through_bias if config.bias_before_encoder else np.float32(0)
            total += np.square(batch.decoder_bias - before).sum(dtype=float)
        if batch.threshold is not None:
            total += np.square(batch.threshold).sum(dtype=float)
        assert config.clip_norm is not None
        return np.float32(min(1.0, config.clip_norm / max(math.sqrt(total), 1e-30)))

    def _update_threshold(self, smallest: float) -> None:
        """Update the threshold: bias-corrected moving average of the smallest values kept."""
        decay = self.sae.config.threshold_ema_decay
        self._kept *= decay
        self._kept += (1 - decay) * np.array([smallest, 1.0])
        self.sae.threshold.fill_(self._kept[0] / self._kept[1])
