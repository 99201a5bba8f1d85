"""Dictionaries made of other parameters, or with a soft selection: steps by autograd, in torch.

The loss is that of `losses.py`. What is learned is not the decoder and encoder themselves but what
they are made of:

    tied         E = g D,  with one number g a dictionary
    archetypal   D_i = Σ_j W_ij c_j / ‖Σ_j W_ij c_j‖,  W ≥ 0, Σ_j W_ij = 1

where c are the points at which the rows begin, W the identity then. After each step W is brought
back to its simplex as the authors' code does: negative weights to zero, each row over its sum (Fel
et al., 2502.12892, whose relaxation and common factor are left out; a row's length would be one
more free factor, so it is one, as everywhere here).
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
    """How latents are chosen at a step."""

    temperature: float
    """Of the soft selection; 0 keeps the k largest."""


class ReparametrizedTrainer(BatchedTrainer):
    """S dictionaries on their way, whose decoders or encoders are made of other parameters."""

    def __init__(
        self,
        initial_saes: Sequence[SAE],
        config: VariantConfig,
        total_steps: int,
        selection: Callable[[int], Selection],
        points: Float[Tensor, "S m d"] | None,
        names: Sequence[str],
    ):
        """Begin at `initial_saes`; tied ones have encoders that are multiples of their decoders.

        Args:
            initial_saes: one for each seed, in training's units.
            config: its `form` says what is learned.
            total_steps: steps that training will have.
            selection: how latents are chosen at a step, the first of which is 1.
            points: what archetypal rows are made of, as many as rows.
            names: what errors call each seed.
        """
        settings = config.dictionary
        if config.form == "archetypal":
            # The rows have length one by construction, and autograd sees to what is parallel.
            settings = replace(settings, unit_norm_decoder=False, remove_parallel_gradient=False)
        super().__init__(initial_saes, settings, total_steps, names=names)
        self._own_settings, self._form, self._selection = config.dictionary, config.form, selection
        self._points, self._weights_rate = points, config.weights_rate
        self._learn(self._parts())

    def step(self, x: Float[Tensor, "S b d"] | Float[Tensor, "b d"]) -> Float[Tensor, " S"]:
        """As `BatchedTrainer.step`, through what the dictionaries are made of."""
        self.steps += 1
        x = x.expand(len(self.names), *x.shape[-2:])
        temperature = self._selection(self.steps).temperature
        found = self._loss(self._made(), x, temperature)
        losses = found.total.detach()
        if self.steps == 1:
            self._first_losses.copy_(losses)
        self._unchecked.append(losses)
        self.check()
        gradients = torch.autograd.grad(found.total.sum(), list(self._learned.values()))
        with torch.no_grad():
            self._descend(dict(zip(self._learned, gradients, strict=True)))
            self._keep()
            self._count(found.latents)
        return losses

    def saes(self) -> list[SAE]:
        """Each dictionary as it is now."""
        return [replace(sae, config=self._own_settings) for sae in super().saes()]

    @property
    def weights(self) -> Float[Tensor, "S n m"]:
        """What archetypal rows are made of their points with."""
        return self._weights_rate * self._learned["weights"].detach()

    def _parts(self) -> dict[str, Tensor]:
        """What is learned, at its start."""
        parts = dict(self._learned)
        if self._form == "tied":
            encoder, decoder = parts.pop("encoder").detach(), parts["decoder"].detach()
            parts["gain"] = (encoder * decoder).sum((1, 2), keepdim=True) / decoder.shape[1]
        if self._form == "archetypal":
            n_seeds, n, _ = parts.pop("decoder").shape
            # In units of their rate, so that one rate serves Adam for everything.
            parts["weights"] = torch.eye(n).repeat(n_seeds, 1, 1) / self._weights_rate
        return parts

    def _learn(self, parts: dict[str, Tensor]) -> None:
        self._learned = {name: part.requires_grad_() for name, part in parts.items()}
        self._means = {name: torch.zeros_like(part) for name, part in parts.items()}
        self._squares = {name: torch.zeros_like(part) for name, part in parts.items()}
        self._adam_steps = [torch.tensor(0.0) for _ in parts]

    def _made(self) -> Parameters:
        """The dictionaries, differentiable in what is learned."""
        if self._form == "tied":
            encoder = self._learned["gain"] * self._learned["decoder"]
            return self.parameters._replace(encoder=encoder)
        if self._form == "archetypal":
            assert self._points is not None
            rows = self._learned["weights"] @ self._points
            decoder = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True)
            return self.parameters._replace(decoder=decoder)
        return self.parameters

    def _keep(self) -> None:
        """Bring what is learned back to where it has to lie, and the dictionaries up to it."""
        if self._form == "archetypal":
            weights = self._learned["weights"]
            positive = weights.relu()
            sums = positive.sum(2, keepdim=True)
            # A step is shorter than the largest weight, but nothing should hang on that.
            shares = torch.where(sums > 0, positive / sums, 1 / weights.shape[2])
            weights.copy_(shares / self._weights_rate)
        if self._form != "free":
            made = self._made()
            self.parameters.encoder.copy_(made.encoder)
            self.parameters.decoder.copy_(made.decoder)

    def _loss(self, made: Parameters, x: Float[Tensor, "S b d"], temperature: float) -> Loss:
        if temperature:
            return soft_loss(made, x, self.config, temperature)
        return loss(made, x, self.config, sparsity_share(self.config, self.steps), self._dead())


def soft_loss(
    parameters: Parameters,
    x: Float[Tensor, "S b d"],
    config: DictionaryConfig,
    temperature: float,
) -> Loss:
    """The squared error of TopK dictionaries whose selection is soft.

    A latent is its positive pre-activation p times σ((p − c) / T s): c lies halfway between the
    k-th and the next largest of the sample, s is the standard deviation of the sample's
    pre-activations, and no gradient flows through either. As T falls to 0 this becomes TopK.
    """
    bias = parameters.decoder_bias[:, None]
    centered = x - bias if config.bias_before_encoder else x
    pre = torch.baddbmm(parameters.encoder_bias[:, None], centered, parameters.encoder.mT)
    latents = pre.relu() * gates(pre, config.k, temperature)
    error = torch.baddbmm(bias, latents, parameters.decoder) - x
    # What fires is counted as TopK would have it, so that dead latents mean the same.
    return Loss(error.square().mean((1, 2)), _kept(pre.detach(), config.k))


def gates(pre: Float[Tensor, "S b n"], k: int, temperature: float) -> Float[Tensor, "S b n"]:
    """Share of each pre-activation that a soft selection keeps."""
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
