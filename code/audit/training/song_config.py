"""Settings of the training of Song et al. (2025, 2505.20254) on synthetic data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SongConfig:
    """Settings of several seeds of one dictionary, with full-batch steps.

    From models.py and the two notebooks of the public repository
    xiangchensong/sae-feature-consistency, folder synthetic. The loss is the squared error averaged
    over all entries plus `l1` times the latents summed over a sample and averaged over samples. The
    decoder bias is subtracted before the encoder; decoder rows are not normalized.
    """

    architecture: Literal["relu", "topk"] = "relu"
    """All positive pre-activations, or the k largest of them. Initializations differ too: see
    `row_length`; encoder biases are uniform in ±1/√d with `relu` and zero with `topk`."""
    n_latents: int = 32
    """Number of latents."""
    k: int = 3
    """Latents kept with `topk`, which keeps the L1 term."""
    l1: float = 1e-2
    """Weight of the L1 penalty, also with `topk`."""
    learning_rate: float = 1e-4
    """Learning rate of Adam, with betas 0.9 and 0.999 and epsilon 1e-8."""
    steps: int = 30_000
    """Number of steps, each on all samples."""
    row_length: float | None = None
    """Length of the initial decoder rows; the initial encoder is a copy. By default as in their
    code, 0.1 with `relu` and 1 with `topk`."""
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    """One dictionary per seed; the default seeds are theirs."""
    trace_steps: tuple[int, ...] = ()
    """Steps after which decoders are recorded; 0 is before the first."""

    @property
    def initial_row_length(self) -> float:
        """Length of the initial decoder rows."""
        if self.row_length is not None:
            return self.row_length
        return 0.1 if self.architecture == "relu" else 1.0
