"""Trainer of reparametrized dictionaries and of soft TopK, with autograd.

The loss is that of `losses.py`. Trained parameters determine encoder and decoder:

    tied         E = g D,  with one factor g per dictionary
    archetypal   D_i = Σ_j W_ij c_j / ‖Σ_j W_ij c_j‖,  W ≥ 0, Σ_j W_ij = 1

where c are the initial rows and W is initially the identity. After each step W is projected to the
simplex as in the authors' code: negative weights are set to zero and each row is divided by its sum
(Fel et al., 2502.12892, without their relaxation and common factor; rows have length one).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from audit.training.variants.config import VariantConfig
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.batched import BatchedTrainer
from seedstability.dictionaries.training.losses import Loss, Parameters, loss
from seedstability.dictionaries.training.schedules import sparsity_share


class Selection(NamedTuple):
    """Selection of latents at a step."""

    temperature: float
    """Temperature of soft TopK; 0 is TopK."""


class ReparametrizedTrainer(BatchedTrainer):
    """Trainer of S dictionaries with tied or archetypal parametrization, or with soft TopK."""

    def __init__(
        self,
        initial_saes: Sequence[SAE],
        config: VariantConfig,
        total_steps: int,
        selection: Callable[[int], Selection],
        points: Float[Tensor, "S m d"] | None,
        names: Sequence[str],
    ):
        """Copy the initial SAEs.

        Args:
            initial_saes: one per seed, in scaled units. With form `tied` their encoders are
                multiples of their decoders.
            config: settings; `form` is the parametrization.
            total_steps: number of steps of the run.
            selection: selection at a step; steps count from 1.
            points: points of archetypal rows, one per row.
            names: each seed's name in error messages.
        """
        settings = config.dictionary
        if config.form == "archetypal":
            # Rows have length one by construction, so their gradients have no parallel component.
            settings = replace(settings, unit_norm_decoder=False, remove_parallel_gradient=False)
        super().__init__(initial_saes, settings, total_steps, names=names)
        self._own_settings, self._form, self._selection = config.dictionary, config.form, selection
        self._points, self._weights_rate = points, config.weights_rate
        self._set_trained(self._initial_parameters())

    def step(self, x: Float[Tensor, "S b d"] | Float[Tensor, "b d"]) -> Float[Tensor, " S"]:
        """Take one step of Adam, as `BatchedTrainer.step`, on the trained parameters."""
        self.steps += 1
        x = x.expand(len(self.names), *x.shape[-2:])
        temperature = self._selection(self.steps).temperature
        found = self._loss(self._dictionaries(), x, temperature)
        losses = found.total.detach()
        if self.steps == 1:
            self._first_losses.copy_(losses)
        self._unchecked.append(losses)
        self.check()
        gradients = torch.autograd.grad(found.total.sum(), list(self._learned.values()))
        with torch.no_grad():
            self._descend(dict(zip(self._learned, gradients, strict=True)))
            self._project()
            self._count(found.latents)
        return losses

    def saes(self) -> list[SAE]:
        """Copy the current SAEs."""
        return [replace(sae, config=self._own_settings) for sae in super().saes()]

    @property
    def weights(self) -> Float[Tensor, "S n m"]:
        """Weights of the points in archetypal rows."""
        return self._weights_rate * self._learned["weights"].detach()

    def _initial_parameters(self) -> dict[str, Tensor]:
        """Trained parameters at initialization."""
        parts = dict(self._learned)
        if self._form == "tied":
            encoder, decoder = parts.pop("encoder").detach(), parts["decoder"].detach()
            parts["gain"] = (encoder * decoder).sum((1, 2), keepdim=True) / decoder.shape[1]
        if self._form == "archetypal":
            n_seeds, n, _ = parts.pop("decoder").shape
            # In units of their learning rate, so that Adam has one rate for all.
            parts["weights"] = torch.eye(n).repeat(n_seeds, 1, 1) / self._weights_rate
        return parts

    def _set_trained(self, parts: dict[str, Tensor]) -> None:
        self._learned = {name: part.requires_grad_() for name, part in parts.items()}
        self._means = {name: torch.zeros_like(part) for name, part in parts.items()}
        self._squares = {name: torch.zeros_like(part) for name, part in parts.items()}
        self._adam_steps = [torch.tensor(0.0) for _ in parts]

    def _dictionaries(self) -> Parameters:
        """The dictionaries as differentiable functions of the trained parameters."""
        if self._form == "tied":
            encoder = self._learned["gain"] * self._learned["decoder"]
            return self.parameters._replace(encoder=encoder)
        if self._form == "archetypal":
            assert self._points is not None
            rows = self._learned["weights"] @ self._points
            decoder = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True)
            return self.parameters._replace(decoder=decoder)
        return self.parameters

    def _project(self) -> None:
        """Project the trained parameters to their constraints and update the dictionaries."""
        if self._form == "archetypal":
            weights = self._learned["weights"]
            positive = weights.relu()
            sums = positive.sum(2, keepdim=True)
            # Sums are positive unless a step exceeds the largest weight.
            shares = torch.where(sums > 0, positive / sums, 1 / weights.shape[2])
            weights.copy_(shares / self._weights_rate)
        if self._form != "free":
            dictionaries = self._dictionaries()
            self.parameters.encoder.copy_(dictionaries.encoder)
            self.parameters.decoder.copy_(dictionaries.decoder)

    def _loss(
        self, dictionaries: Parameters, x: Float[Tensor, "S b d"], temperature: float
    ) -> Loss:
        if temperature:
            return soft_loss(dictionaries, x, self.config, temperature)
        return loss(
            dictionaries, x, self.config, sparsity_share(self.config, self.steps), self._dead()
        )


def soft_loss(
    parameters: Parameters,
    x: Float[Tensor, "S b d"],
    config: DictionaryConfig,
    temperature: float,
) -> Loss:
    """Squared error of soft TopK.

    A latent is its positive pre-activation p times σ((p − c) / T s): c is halfway between the k-th
    and the next largest of the sample, s the standard deviation of the sample's pre-activations. No
    gradient flows through c and s. The limit T → 0 is TopK.
    """
    bias = parameters.decoder_bias[:, None]
    centered = x - bias if config.bias_before_encoder else x
    pre = torch.baddbmm(parameters.encoder_bias[:, None], centered, parameters.encoder.mT)
    latents = pre.relu() * gates(pre, config.k, temperature)
    error = torch.baddbmm(bias, latents, parameters.decoder) - x
    # Firings are counted as with TopK, so that dead latents are defined in the same way.
    return Loss(error.square().mean((1, 2)), _kept(pre.detach(), config.k))


def gates(pre: Float[Tensor, "S b n"], k: int, temperature: float) -> Float[Tensor, "S b n"]:
    """Factors of soft TopK on each pre-activation."""
    fixed = pre.detach()
    if k >= fixed.shape[2]:
        return torch.ones_like(fixed)
    largest = fixed.topk(k + 1, dim=2).values
    cut = (largest[:, :, k - 1 : k] + largest[:, :, k:]) / 2
    spread = fixed.std(dim=2, keepdim=True).clamp_min(torch.finfo(fixed.dtype).tiny)
    return torch.sigmoid((pre - cut) / (temperature * spread))


def _kept(pre: Float[Tensor, "S b n"], k: int) -> Float[Tensor, "S b n"]:
    columns = pre.topk(k, dim=2, sorted=False).indices
    return torch.zeros_like(pre).scatter_(2, columns, pre.gather(2, columns)).relu_()
