"""SAEs of Song et al. (2025) on synthetic data, trained with the recipe of `config.py`.

With X the samples, b samples of d coordinates, and for each seed E and e the encoder, D and c the
decoder,

    f = ReLU((X − c) Eᵀ + e), all but the k largest of a sample set to 0 with TopK,
    loss = mean over entries of (f D + c − X)² + l1 · mean over samples of Σ f.

All seeds take their steps together. The gradient is explicit, which is several times as fast as
autograd here; a test compares the two.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from audit.training.config import SongConfig
from audit.training.results import Dictionaries
from seedstability.errors import UserError
from seedstability.progress import report

_BETAS, _EPSILON = (0.9, 0.999), 1e-8
_REPORT_EVERY = 50


class Parameters(NamedTuple):
    """Parameters of S dictionaries."""

    encoder: Float[Tensor, "S n d"]
    """E."""
    encoder_bias: Float[Tensor, "S n 1"]
    """e."""
    decoder: Float[Tensor, "S n d"]
    """D."""
    decoder_bias: Float[Tensor, "S d 1"]
    """c."""


def song(config: SongConfig, activations: Mapping[str, np.ndarray]) -> Dictionaries:
    """Train one dictionary per seed; the trace has steps and decoders.

    Raises:
        UserError: invalid settings, or weights that are not finite.
    """
    _check(config)
    x = torch.from_numpy(np.array(activations["train"]))
    initial_parts = [_initial(config, x.shape[1], seed) for seed in config.seeds]
    parameters = Parameters(*(torch.stack(parts) for parts in zip(*initial_parts, strict=True)))
    initial = parameters.decoder.clone()
    kept = {0: initial} if 0 in config.trace_steps else {}
    adam = _Adam(parameters, config.learning_rate)
    for step in range(1, config.steps + 1):
        adam.step(gradient(parameters, x, config))
        if step in config.trace_steps:
            kept[step] = parameters.decoder.clone()
        if step % _REPORT_EVERY == 0 or step == config.steps:
            _check_finite(parameters, step)
            report(step, config.steps)
    biases = parameters.encoder_bias[..., 0], parameters.decoder_bias[..., 0]
    return {
        "encoder": parameters.encoder.numpy(),
        "encoder_bias": biases[0].numpy(),
        "decoder": parameters.decoder.numpy(),
        "decoder_bias": biases[1].numpy(),
        "threshold": torch.zeros_like(biases[0]).numpy(),
        "initial_decoder": initial.numpy(),
        "seeds": np.array(config.seeds),
        "trace": {
            "step": np.array(list(kept), np.int64),
            "decoder": np.stack([decoder.numpy() for decoder in kept.values()])
            if kept
            else np.empty((0, *initial.shape), np.float32),
        },
    }


def latents(
    parameters: Parameters, x: Float[Tensor, "b d"], config: SongConfig
) -> Float[Tensor, "S n b"]:
    """Compute latents f of each dictionary, samples last."""
    offset = parameters.encoder_bias - parameters.encoder @ parameters.decoder_bias
    f = torch.baddbmm(offset, parameters.encoder, x.T.expand(len(offset), -1, -1)).relu_()
    if config.architecture == "topk" and config.k < config.n_latents:
        f *= f >= kth_largest(f, config.k)
    return f


def gradient(parameters: Parameters, x: Float[Tensor, "b d"], config: SongConfig) -> Parameters:
    """Compute the gradient of each dictionary's loss, with the selection of latents held fixed."""
    f = latents(parameters, x, config)
    error = torch.baddbmm(parameters.decoder_bias, parameters.decoder.mT, f) - x.T
    error *= 2 / x.numel()
    of_f = torch.bmm(parameters.decoder, error)
    of_f += config.l1 / len(x)
    of_f *= f > 0
    of_bias = of_f.sum(2, keepdim=True)
    of_encoder = torch.matmul(of_f, x) - of_bias * parameters.decoder_bias.mT
    of_offset = error.sum(2, keepdim=True) - parameters.encoder.mT @ of_bias
    return Parameters(of_encoder, of_bias, torch.bmm(f, error.mT), of_offset)


def kth_largest(f: Float[Tensor, "S n b"], k: int) -> Float[Tensor, "S 1 b"]:
    """Find the k-th largest latent of each sample; latents are not negative.

    Latents are inserted into the sorted k largest so far, for all samples at once. On a CPU this
    takes a third of the time of torch's selection for k = 3.
    """
    largest = [torch.zeros_like(f[:, 0]) for _ in range(k)]
    for latent in f.unbind(1):
        for place, before in enumerate(largest):
            largest[place] = torch.maximum(before, latent)
            latent = torch.minimum(before, latent)
    return largest[-1][:, None]


class _Adam:
    """Adam (Kingma & Ba 2015) on all dictionaries at once."""

    def __init__(self, parameters: Parameters, rate: float):
        self._parameters, self._rate, self._done = parameters, rate, 0
        self._first = [torch.zeros_like(p) for p in parameters]
        self._second = [torch.zeros_like(p) for p in parameters]

    def step(self, gradients: Parameters) -> None:
        self._done += 1
        first, second = (1 - beta**self._done for beta in _BETAS)
        for p, g, m, v in zip(self._parameters, gradients, self._first, self._second, strict=True):
            m.lerp_(g, 1 - _BETAS[0])
            v.mul_(_BETAS[1]).addcmul_(g, g, value=1 - _BETAS[1])
            p.addcdiv_(m, (v / second).sqrt_().add_(_EPSILON), value=-self._rate / first)


def _initial(config: SongConfig, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Initialize one dictionary, with random draws in the order of their code."""
    generator = torch.Generator().manual_seed(seed)
    n = config.n_latents

    def uniform(*size: int, fan_in: int) -> Tensor:
        # as torch.nn.Linear draws weights and biases
        bound = 1 / math.sqrt(fan_in)
        return torch.empty(size).uniform_(-bound, bound, generator=generator)

    if config.architecture == "relu":
        uniform(n, d, fan_in=d)  # draws of weights that their code then replaces
        bias = uniform(n, fan_in=d)
        uniform(d, n, fan_in=n)
        columns = torch.randn(d, n, generator=generator)
    else:
        columns, bias = uniform(d, n, fan_in=n), torch.zeros(n)
    rows = (columns / columns.norm(dim=0, keepdim=True) * config.initial_row_length).T.contiguous()
    return rows.clone(), bias[:, None], rows, torch.zeros(d, 1)


def _check(config: SongConfig) -> None:
    if not config.seeds or config.n_latents < 1 or config.steps < 0:
        raise UserError(
            f"{len(config.seeds)} seeds, {config.n_latents} latents and {config.steps} steps "
            "train nothing; need at least one seed and one latent"
        )
    if config.architecture == "topk" and not 1 <= config.k <= config.n_latents:
        raise UserError(f"k is {config.k}; it must be between 1 and {config.n_latents}")


def _check_finite(parameters: Parameters, step: int) -> None:
    if not all(torch.isfinite(p).all() for p in parameters):
        raise UserError(f"step {step}: a weight is not finite; lower the learning rate")
