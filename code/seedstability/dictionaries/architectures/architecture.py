"""What one architecture decides, and its usual answers."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sparse_latents import (
    ActiveEntries,
    TopKSelector,
    nonzero,
    pre_activations,
)
from seedstability.dictionaries.training.sparse_gradients import BatchGradients
from seedstability.errors import UserError

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE


class Forward(NamedTuple):
    """A batch of b samples passed through S dictionaries, for the terms of the loss."""

    pre: Float[Tensor, "S b n"]
    """Inputs of the activation function."""
    selected: Float[Tensor, "S b n"]
    """Pre-activations of the latents selected, zero elsewhere."""
    latents: Float[Tensor, "S b n"]
    """Latents."""
    error: Float[Tensor, "S b d"]
    """Reconstruction minus sample."""
    threshold: Float[Tensor, "S 1 n"]
    """Threshold of each latent."""
    sparsity: float
    """Share of `l1` and `l0_weight` at this step."""


class Batch(NamedTuple):
    """A batch of b samples on a CPU."""

    x: Float[Tensor, "b d"]
    """The samples, contiguous."""
    centered: Float[Tensor, "b d"]
    """Inputs of the encoder."""
    sparsity: float
    """Share of `l1` or `l0_weight` at this step."""
    select: TopKSelector
    """Selects the k largest pre-activations, where all of a batch are not needed."""


class Architecture:
    """An activation function with the loss terms and conventions of its training.

    Two ways lead to the same gradients. The CPU trains with `sparse_gradients`; other devices
    differentiate the loss in `training/losses.py`, which asks `select` and `penalty`. The tests
    compare them.
    """

    name: str
    """`DictionaryConfig.architecture` of its dictionaries."""
    reads_k = False
    """Whether `k` sets the number of active latents."""
    has_suppression = False
    """Whether `suppression` weighs a term of its loss."""
    learns_threshold = False
    """Whether the logarithm of each latent's threshold is a parameter."""
    averages_threshold = False
    """Whether the threshold at inference is the average of the smallest values kept in training."""
    has_sparse_gradients = True
    """Whether `sparse_gradients` is there; otherwise a CPU trains as other devices do."""
    against_death = "learning_rate"
    """Setting to lower if all latents die."""

    def check(self, config: DictionaryConfig) -> None:
        """Validate the settings that the architecture reads, and refuse others'.

        Raises:
            UserError: an invalid setting.
        """
        n, k = config.n_latents, config.k
        if self.reads_k and not 1 <= k <= n:
            raise UserError(f"k is {k} with {n} latents; it must lie in 1…{n}")
        if config.suppression and (not self.has_suppression or k == n):
            raise UserError(
                f"suppression is {config.suppression:g}; only topk has that term, and it needs "
                f"inactive latents (k is {k} of {n})"
            )

    def initial_threshold(self, config: DictionaryConfig) -> float:
        """Threshold of each latent before training."""
        return 0.0

    def before_training(self, config: DictionaryConfig) -> DictionaryConfig:
        """Settings by which an SAE encodes that has no trained threshold yet."""
        return config

    def encode(self, pre: Float[Tensor, "b n"], sae: "SAE") -> Float[Tensor, "b n"]:
        """Compute the latents at inference; may overwrite `pre`."""
        selected = self.select(pre[None], sae.threshold[None, None], sae.config)[0]
        return selected.relu_() if self.rectifies(sae.config) else selected

    def active(self, sae: "SAE", centered: Float[Tensor, "b d"]) -> ActiveEntries:
        """Find the latents of `encode` that are not zero; a ReLU may still have to follow."""
        pre = torch.from_numpy(pre_activations(sae.encoder, sae.encoder_bias, centered))
        return nonzero(self.encode(pre, sae).numpy())

    def select(
        self,
        pre: Float[Tensor, "S b n"],
        threshold: Float[Tensor, "S 1 n"],
        config: DictionaryConfig,
    ) -> Float[Tensor, "S b n"]:
        """Keep the pre-activations of the latents that may be active; set others to zero."""
        return pre

    def rectifies(self, config: DictionaryConfig) -> bool:
        """Whether a ReLU follows the selection."""
        return True

    def penalty(self, forward: Forward, config: DictionaryConfig) -> Float[Tensor, " S"] | None:
        """Loss term beside the squared error, averaged over samples; None if there is none."""
        return None

    def sparse_gradients(self, sae: "SAE", inputs: Batch) -> BatchGradients:
        """Compute loss and gradients of a batch, without AuxK; the SAE is float32 on the CPU.

        Raises:
            UserError: the architecture has none.
        """
        raise UserError(
            f"{self.name} has no sparse gradients; train each seed by itself, with uncoupled losses"
        )
