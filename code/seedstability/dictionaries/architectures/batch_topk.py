"""BatchTopK (Bussmann et al., 2412.06410)."""

from dataclasses import replace
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries import sparse_latents
from seedstability.dictionaries.architectures.architecture import Architecture, Batch
from seedstability.dictionaries.architectures.topk import TopK, largest
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.training.sparse_gradients import BatchGradients, squared_error

if TYPE_CHECKING:
    from seedstability.dictionaries.sae import SAE


class BatchTopK(Architecture):
    """Positive ones among the k·b largest pre-activations of a batch of b samples are latents.

    At inference those above the average of the smallest value kept.
    """

    name = "batch_topk"
    reads_k = averages_threshold = True

    def before_training(self, config: DictionaryConfig) -> DictionaryConfig:
        """See `Architecture`; without a threshold yet, each sample keeps k."""
        return replace(config, architecture=TopK.name)

    def encode(self, pre: Float[Tensor, "b n"], sae: "SAE") -> Float[Tensor, "b n"]:
        """See `Architecture`."""
        return pre.masked_fill_(pre <= sae.threshold, 0.0)

    def select(
        self,
        pre: Float[Tensor, "S b n"],
        threshold: Float[Tensor, "S 1 n"],
        config: DictionaryConfig,
    ) -> Float[Tensor, "S b n"]:
        """See `Architecture`. The ReLU later sets kept values that are not positive to zero."""
        batch = pre.flatten(1)
        return batch.masked_fill(~largest(batch, config.k * pre.shape[1]), 0.0).view_as(pre)

    def sparse_gradients(self, sae: "SAE", inputs: Batch) -> BatchGradients:
        """See `Architecture`."""
        fired = sparse_latents.batch_topk(sae, inputs.centered, sae.config.k)
        batch, _ = squared_error(sae, inputs.x, inputs.centered, fired, rectify=sae.config.rectify)
        batch.smallest_kept = fired.values.min().item() if len(fired.values) else None
        return batch
