"""The training of Song et al. (2025, 2505.20254) on synthetic data, as plain settings."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SongConfig:
    """Several seeds of one dictionary, every step on all samples.

    After models.py and the two notebooks of the public repository xiangchensong/
    sae-feature-consistency, folder synthetic. The loss is the squared error averaged over all
    entries plus `l1` times the latents summed over a sample and averaged over samples. The bias of
    the decoder is taken off before the encoder; rows of the decoder are free to grow.
    """

    architecture: Literal["relu", "topk"] = "relu"
    """All positive pre-activations, or the k largest of them. The two also start differently, see
    `row_length`: encoder biases start uniform in ±1/√d with `relu` and at zero with `topk`."""
    n_latents: int = 32
    """Rows of the dictionary."""
    k: int = 3
    """Latents kept with `topk`, whose L1 term stays."""
    l1: float = 1e-2
    """Weight of the summed latents, with `topk` too."""
    learning_rate: float = 1e-4
    """Adam's; betas 0.9 and 0.999, epsilon 1e-8."""
    steps: int = 30_000
    """Steps, each on all samples."""
    row_length: float | None = None
    """Length of the decoder's rows before the first step, of which the encoder starts as a copy.
    Left out: theirs, 0.1 with `relu` and 1 with `topk`."""
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    """One dictionary for each; these five are theirs."""
    trace_steps: tuple[int, ...] = ()
    """Steps after which the decoders are kept; 0 is before the first."""

    @property
    def start_length(self) -> float:
        """Length of the rows before the first step."""
        if self.row_length is not None:
            return self.row_length
        return 0.1 if self.architecture == "relu" else 1.0
