"""Batched trainer: several seeds in one product per step, on any torch device.

A GPU trains S small dictionaries at once faster than one after the other. Nothing here draws random
numbers. Under `torch.use_deterministic_algorithms(True)` the bits of a step depend on the device,
its libraries and the shapes alone (cuBLAS needs CUBLAS_WORKSPACE_CONFIG=:4096:8 in the
environment). S is one of the shapes, so a seed trained among others agrees with the same seed
trained alone only to rounding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim.adam import adam

from seedstability.dictionaries.architectures.registry import architecture_of
from seedstability.dictionaries.config import DictionaryConfig
from seedstability.dictionaries.sae import PER_LATENT, SAE
from seedstability.dictionaries.training.failures import refuse_dead, refuse_loss
from seedstability.dictionaries.training.losses import Parameters, loss
from seedstability.dictionaries.training.resampling import NewRows
from seedstability.dictionaries.training.schedules import rate_share, sparsity_share
from seedstability.errors import UserError

_STEPS_BETWEEN_CHECKS = 100
"""On asynchronous devices, where reading a loss blocks Python until it is computed. Losses are
checked together; the error still names the first failed step."""


class BatchedTrainer:
    """Trainer of S dictionaries of one shape, updated together at each step."""

    shares_batches = True
    """All seeds take a shared batch in one product."""
    parameters: Parameters
    """Current parameters, on the device; updated in place."""
    steps: int
    """Number of steps done."""
    firings: Int[Tensor, "S n"]
    """Number of samples since `end_epoch` in which each latent was nonzero, on the device."""
    since_fired: Int[Tensor, "S n"]
    """Number of samples after the last step in which each latent fired, on the device."""

    def __init__(
        self,
        initial_saes: Sequence[SAE],
        config: DictionaryConfig,
        total_steps: int,
        device: torch.device | str = "cpu",
        frozen_decoder: bool = False,
        names: Sequence[str] | None = None,
    ):
        """Copy the initial SAEs to `device`.

        Args:
            initial_saes: one per seed.
            config: the settings of all seeds.
            total_steps: number of steps of the run, for the schedules.
            device: a torch device.
            frozen_decoder: do not train the decoders.
            names: each seed's name in error messages; by default its index.
        """
        self.config, self.total_steps, self.frozen_decoder = config, total_steps, frozen_decoder
        self._architecture = architecture_of(config)
        self.device, self.steps = torch.device(device), 0
        self.names = (
            list(names) if names is not None else [str(i) for i in range(len(initial_saes))]
        )
        self.parameters = _stacked(initial_saes, config, self.device)
        self._learned = {
            name: getattr(self.parameters, name).requires_grad_()
            for name in _learned_names(config, frozen_decoder)
        }
        self._means = {name: torch.zeros_like(value) for name, value in self._learned.items()}
        self._squares = {name: torch.zeros_like(value) for name, value in self._learned.items()}
        self._adam_steps = [torch.tensor(0.0, device=self.device) for _ in self._learned]

        latents = self.parameters.encoder_bias
        self.firings = torch.zeros_like(latents, dtype=torch.int64)
        self.since_fired = torch.zeros_like(latents, dtype=torch.int64)
        self._longest_silence = 0
        self._smallest_kept = torch.zeros_like(latents[:, 0])
        self._smallest_kept_weight = torch.zeros_like(latents[:, 0])
        self._first_losses = torch.zeros_like(latents[:, 0])
        self._unchecked: list[Tensor] = []
        self._steps_between_checks = 1 if self.device.type == "cpu" else _STEPS_BETWEEN_CHECKS

    def step(self, x: Float[Tensor, "S b d"] | Float[Tensor, "b d"]) -> Float[Tensor, " S"]:
        """Take one step of Adam, on one batch per seed or one shared batch.

        Returns:
            The losses before the step, on the device.

        Raises:
            UserError: a loss is not finite or has diverged; names seed and step. Except on a CPU,
                raised up to `_STEPS_BETWEEN_CHECKS` steps later.
        """
        self.steps += 1
        x = x.to(self.device).expand(len(self.names), *x.shape[-2:])
        sparsity = sparsity_share(self.config, self.steps)
        found = loss(self.parameters, x, self.config, sparsity, self._dead())
        losses = found.total.detach()
        if self.steps == 1:
            self._first_losses.copy_(losses)
        self._unchecked.append(losses)
        if len(self._unchecked) >= self._steps_between_checks:
            self.check()
        gradients = torch.autograd.grad(found.total.sum(), list(self._learned.values()))
        with torch.no_grad():
            self._descend(dict(zip(self._learned, gradients, strict=True)))
            self._count(found.latents)
        return losses

    def advance(self, feeds: Sequence[Iterator[Float[Tensor, "b d"]]], steps: int) -> list[float]:
        """Train for `steps` steps, from one shared feed or one per seed.

        Returns:
            Each seed's loss, averaged over these steps.

        Raises:
            UserError: as `step`, or when the device has too little memory.
        """
        total = torch.zeros_like(self._smallest_kept)
        with within_memory(self.device, len(self.names)):
            for _ in range(steps):
                batches = [next(feed) for feed in feeds]
                total += self.step(batches[0] if len(batches) == 1 else torch.stack(batches))
        return (total / max(1, steps)).tolist()

    def check(self) -> None:
        """Check the losses of all unchecked steps.

        Raises:
            UserError: a loss is not finite or has diverged; names seed and the first such step.
        """
        if not self._unchecked:
            return
        losses = torch.stack(self._unchecked).tolist()
        self._unchecked.clear()
        first_losses = self._first_losses.tolist()
        for before, row in enumerate(losses, start=self.steps - len(losses)):
            for found, first, name in zip(row, first_losses, self.names, strict=True):
                refuse_loss(found, first, self.config, name, before + 1)

    def end_epoch(self) -> Int[Tensor, "S n"]:
        """Reset the firing counts; returns those of the epoch, on the CPU.

        Raises:
            UserError: a loss was not finite, or no latent of a dictionary fired.
        """
        self.check()
        firings = self.firings.to("cpu", copy=True)
        for name, row in zip(self.names, firings.numpy(), strict=True):
            refuse_dead(row, self.config, name, self.steps)
        self.firings.zero_()
        self._longest_silence = int(self.since_fired.max())
        return firings

    def saes(self) -> list[SAE]:
        """Copy the current SAEs to the CPU."""
        self.check()
        e, e_bias, d, d_bias = (part.detach().cpu() for part in self.parameters[:4])
        threshold = self._thresholds().detach().cpu()
        return [
            SAE(
                e[which].clone(),
                e_bias[which].clone(),
                d[which].clone(),
                d_bias[which].clone(),
                threshold[which].clone(),
                self.config,
            )
            for which in range(len(self.names))
        ]

    def replace_latents(self, which: int, new: NewRows) -> None:
        """Replace rows of latents of one SAE; their biases and Adam's moments are set to zero."""
        at = which, torch.from_numpy(new.latents).to(self.device)
        with torch.no_grad():
            self.parameters.encoder[at] = torch.from_numpy(new.encoder).to(self.device)
            self.parameters.decoder[at] = torch.from_numpy(new.decoder).to(self.device)
            self.parameters.encoder_bias[at] = 0.0
            for moments in (self._means, self._squares):
                for name in moments.keys() & {*PER_LATENT}:
                    moments[name][at] = 0.0
            self.since_fired[at] = 0

    def state(self) -> dict[str, np.ndarray]:
        """Copy the state that the next steps depend on."""
        self.check()
        found = {
            name: part.detach().to("cpu", copy=True).numpy()
            for name, part in self._tensors().items()
        }
        return found | {"steps": np.array(self.steps)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the same settings and number of seeds."""
        mine = self._tensors()
        with torch.no_grad():
            for name, part in mine.items():
                part.copy_(torch.from_numpy(state[name]))
        self.steps = int(np.asarray(state["steps"]).item())  # a file gives it back as [1]
        for steps in self._adam_steps:
            steps.fill_(self.steps)
        self._longest_silence = int(self.since_fired.max())
        self._unchecked.clear()

    def _tensors(self) -> dict[str, Tensor]:
        """All tensors that change from step to step."""
        return {
            **self.parameters._asdict(),
            **{f"{name}_mean": mean for name, mean in self._means.items()},
            **{f"{name}_square": square for name, square in self._squares.items()},
            "firings": self.firings,
            "since_fired": self.since_fired,
            "first_losses": self._first_losses,
            "smallest_kept": self._smallest_kept,
            "smallest_kept_weight": self._smallest_kept_weight,
        }

    def _dead(self) -> Tensor | None:
        # Python has an upper bound of how long a latent has been silent, without reading from the
        # device. Until it reaches `dead_after` the term is zero and is not computed.
        if not self.config.auxk or self._longest_silence < self.config.dead_after:
            return None
        return self.since_fired >= self.config.dead_after

    def _descend(self, gradients: dict[str, Tensor]) -> None:
        config, decoder = self.config, self.parameters.decoder
        if config.remove_parallel_gradient and not self.frozen_decoder:
            gradients["decoder"] = _without_parallel(gradients["decoder"], decoder)
        if config.clip_norm is not None:
            gradients = _clipped(gradients, config.clip_norm)
        adam(
            list(self._learned.values()),
            # The fused kernel ignores strides, and autograd may return a transposed view.
            [gradient.contiguous() for gradient in gradients.values()],
            list(self._means.values()),
            list(self._squares.values()),
            max_exp_avg_sqs=[],
            state_steps=self._adam_steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=config.learning_rate * rate_share(config, self.steps, self.total_steps),
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        if config.unit_norm_decoder and not self.frozen_decoder:
            decoder.div_(torch.linalg.vector_norm(decoder, dim=2, keepdim=True))

    def _count(self, latents: Float[Tensor, "S b n"]) -> None:
        samples = latents.shape[1]
        firings = (latents != 0).sum(1)
        self.firings += firings
        self.since_fired += samples
        self.since_fired.masked_fill_(firings > 0, 0)
        self._longest_silence += samples
        if self._architecture.averages_threshold:
            self._update_smallest_kept(latents)

    def _update_smallest_kept(self, latents: Float[Tensor, "S b n"]) -> None:
        """Update the moving average of the smallest value kept; skip a batch that kept none."""
        smallest = latents.masked_fill(latents <= 0, torch.inf).amin((1, 2))
        valid, decay = smallest.isfinite(), self.config.threshold_ema_decay
        for average, value in (
            (self._smallest_kept, smallest),
            (self._smallest_kept_weight, torch.ones_like(smallest)),
        ):
            average.copy_(torch.where(valid, decay * average + (1 - decay) * value, average))

    def _thresholds(self) -> Float[Tensor, "S n"]:
        """Thresholds at inference."""
        log_threshold = self.parameters.log_threshold
        if self._architecture.learns_threshold:
            return log_threshold.exp()
        if self._architecture.averages_threshold:
            # As in Adam, the summed weights correct the bias of the initial zero.
            weight = self._smallest_kept_weight
            average = torch.where(weight > 0, self._smallest_kept / weight, 0.0)
            return average[:, None].expand_as(log_threshold)
        return torch.zeros_like(log_threshold)


@contextmanager
def within_memory(device: torch.device | str, seeds: int) -> Iterator[None]:
    """Turn an out-of-memory error of torch into a UserError.

    Raises:
        UserError: the device has too little memory.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise UserError(
            f"{seeds} seeds at once do not fit the memory of {device}; "
            "use fewer, a smaller batch_size, or cpu"
        ) from None


def _stacked(
    initial_saes: Sequence[SAE], config: DictionaryConfig, device: torch.device
) -> Parameters:
    threshold = torch.stack([sae.threshold for sae in initial_saes])
    learned = architecture_of(config).learns_threshold
    return Parameters(
        torch.stack([sae.encoder for sae in initial_saes]).to(device),
        torch.stack([sae.encoder_bias for sae in initial_saes]).to(device),
        torch.stack([sae.decoder for sae in initial_saes]).to(device),
        torch.stack([sae.decoder_bias for sae in initial_saes]).to(device),
        (threshold.log() if learned else torch.zeros_like(threshold)).to(device),
    )


def _learned_names(config: DictionaryConfig, frozen_decoder: bool) -> list[str]:
    names = ["encoder", "encoder_bias"]
    names += [] if frozen_decoder else ["decoder"]
    names += ["decoder_bias"] if config.decoder_bias else []
    names += ["log_threshold"] if architecture_of(config).learns_threshold else []
    return names


def _without_parallel(
    gradient: Float[Tensor, "S n d"], rows: Float[Tensor, "S n d"]
) -> Float[Tensor, "S n d"]:
    """Remove the component of each row's gradient parallel to the row, which has length one."""
    along = (gradient * rows).sum(2, keepdim=True)
    return gradient - along * rows


def _clipped(gradients: dict[str, Tensor], longest: float) -> dict[str, Tensor]:
    """Clip each seed's gradients together to the norm `longest`."""
    squares = [gradient.square().flatten(1).sum(1) for gradient in gradients.values()]
    share = (longest / torch.stack(squares).sum(0).sqrt()).clamp(max=1.0)
    return {
        name: gradient * share.view(-1, *[1] * (gradient.ndim - 1))
        for name, gradient in gradients.items()
    }
