"""Interventions at a hook point: the model's predictions after one, and similarity of two."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens.model_bridge import TransformerBridge

from audit.subjects.language_model.checkpoint import checked_hook

_BATCH = 16


class Effect(NamedTuple):
    """Similarity of two interventions over the same positions."""

    effect: float
    """Correlation of the changes of log-probability, centered at each position."""
    weighted_effect: float
    """The same with each token of the vocabulary weighted by its probability."""
    kl_ratio: float
    """The smaller over the larger mean Kullback-Leibler divergence from the clean prediction."""


class DownstreamModel:
    """The part of a model after a hook point."""

    def __init__(self, model: TransformerBridge, hook: str):
        self.model, self.hook = model, checked_hook(hook, model.cfg.n_layers)
        self.first = int(hook.split(".")[1])
        self._entry = f"blocks.{self.first}.hook_resid_pre"
        self._end = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"

    @torch.no_grad()
    def clean_residuals(
        self, tokens: Int[Tensor, "c length"]
    ) -> tuple[Float[Tensor, "c length d"], Float[Tensor, "c length d"]]:
        """Compute the residual streams before the hook's block and after the last block."""
        entering, last = [], []
        for batch in tokens.split(_BATCH):
            kept = self._residuals_at(batch, (self._entry, self._end), [])
            entering.append(kept[self._entry])
            last.append(kept[self._end])
        return torch.cat(entering), torch.cat(last)

    @torch.no_grad()
    def final_residual(
        self, entering: Float[Tensor, "b length d"], change: Float[Tensor, "b length d"]
    ) -> Float[Tensor, "b length d"]:
        """Compute the residual stream after the last block when `change` is added at the hook."""
        with _skipping_blocks(self.model, self.first):
            edit = (self.hook, lambda value, hook: value + change)
            return self._residuals_at(entering, (self._end,), [edit], start_at_layer=self.first)[
                self._end
            ]

    @torch.no_grad()
    def log_probabilities(self, last: Float[Tensor, "m d"]) -> Float[Tensor, "m vocabulary"]:
        """Compute next-token log-probabilities.

        In double precision, because a divergence is a small difference of sums.
        """
        # These modules of the bridge need a batch dimension.
        logits = self.model.unembed(self.model.ln_final(last[None]))[0]
        return logits.double().log_softmax(dim=-1)

    def _residuals_at(self, at: Tensor, names: tuple[str, ...], edits: list, **more: Any) -> dict:
        kept: dict[str, Tensor] = {}

        def keep(name: str) -> tuple:
            return name, lambda value, hook: kept.update({name: value})

        # Logits are computed later, from the residual stream, at the positions that need them.
        hooks = [*edits, *map(keep, names)]
        self.model.run_with_hooks(at, fwd_hooks=hooks, logits_to_keep=1, **more)
        return kept


def compare_effects(
    clean: Float[Tensor, "m v"], first: Float[Tensor, "m v"], second: Float[Tensor, "m v"]
) -> Effect:
    """Compare two changes of log-probabilities at the same positions.

    An intervention without effect has similarity 0 to any other: a partner that does not fire at
    these positions counts as different instead of being excluded.

    Args:
        clean: log-probabilities without intervention.
        first, second: change of the log-probabilities by each intervention.
    """
    uniform = torch.full_like(clean, 1 / clean.shape[1])
    kl = sorted((kl_divergence(clean, first), kl_divergence(clean, second)))
    return Effect(
        _correlation(uniform, first, second),
        _correlation(clean.exp(), first, second),
        kl[0] / kl[1] if kl[1] > 0 else 0.0,
    )


def kl_divergence(clean: Float[Tensor, "m v"], change: Float[Tensor, "m v"]) -> float:
    """Compute the mean Kullback-Leibler divergence of the changed from the clean prediction."""
    return -(clean.exp() * change).sum(dim=1).mean().item()


class _SkippedBlock(nn.Module):
    """An identity in place of a block."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states


@contextmanager
def _skipping_blocks(model: TransformerBridge, first: int) -> Iterator[None]:
    """Replace the blocks before `first` by identities.

    Their output is given as input. TransformerLens would run them all the same, and discard the
    result.
    """
    blocks = list(model.blocks[:first])
    for i in range(first):
        model.blocks[i] = _SkippedBlock()
    try:
        yield
    finally:
        for i, block in enumerate(blocks):
            model.blocks[i] = block


def _correlation(weight: Tensor, first: Tensor, second: Tensor) -> float:
    """Correlate over positions and tokens, centering each position by its weighted mean."""
    one, other = (each - (weight * each).sum(1, keepdim=True) for each in (first, second))
    size = ((weight * one.square()).sum() * (weight * other.square()).sum()).sqrt()
    return ((weight * one * other).sum() / size).item() if size > 0 else 0.0
