"""What a model predicts when something is changed at a hook, and how alike two changes are."""

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
    """How alike two interventions are, over the same positions."""

    effect: float
    """Correlation of the changes of log-probability, each position's centred."""
    weighted_effect: float
    """The same with each token of the vocabulary weighted by its probability."""
    kl_ratio: float
    """The smaller mean Kullback-Leibler divergence from the clean prediction over the larger."""


class Rest:
    """A model from one hook point on."""

    def __init__(self, model: TransformerBridge, hook: str):
        self.model, self.hook = model, checked_hook(hook, model.cfg.n_layers)
        self.first = int(hook.split(".")[1])
        self._entry = f"blocks.{self.first}.hook_resid_pre"
        self._end = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"

    @torch.no_grad()
    def clean(
        self, tokens: Int[Tensor, "c length"]
    ) -> tuple[Float[Tensor, "c length d"], Float[Tensor, "c length d"]]:
        """What enters the hook's block, and what the model unembeds, with nothing removed."""
        entering, last = [], []
        for batch in tokens.split(_BATCH):
            kept = self._kept(batch, (self._entry, self._end), [])
            entering.append(kept[self._entry])
            last.append(kept[self._end])
        return torch.cat(entering), torch.cat(last)

    @torch.no_grad()
    def changed(
        self, entering: Float[Tensor, "b length d"], change: Float[Tensor, "b length d"]
    ) -> Float[Tensor, "b length d"]:
        """What the model unembeds when `change` is added at the hook."""
        with _passed_by(self.model, self.first):
            edit = (self.hook, lambda value, hook: value + change)
            return self._kept(entering, (self._end,), [edit], start_at_layer=self.first)[self._end]

    @torch.no_grad()
    def log_probabilities(self, last: Float[Tensor, "m d"]) -> Float[Tensor, "m vocabulary"]:
        """Of the next token, in double precision: a divergence is a small difference of sums."""
        # The bridge's own parts, which want a batch.
        logits = self.model.unembed(self.model.ln_final(last[None]))[0]
        return logits.double().log_softmax(dim=-1)

    def _kept(self, at: Tensor, names: tuple[str, ...], edits: list, **more: Any) -> dict:
        kept: dict[str, Tensor] = {}

        def keep(name: str) -> tuple:
            return name, lambda value, hook: kept.update({name: value})

        # Logits of one position alone: those that are needed are made from what is kept.
        hooks = [*edits, *map(keep, names)]
        self.model.run_with_hooks(at, fwd_hooks=hooks, logits_to_keep=1, **more)
        return kept


def compare(
    clean: Float[Tensor, "m v"], first: Float[Tensor, "m v"], second: Float[Tensor, "m v"]
) -> Effect:
    """Two changes of log-probabilities at the same positions.

    What changes nothing is like nothing: a partner that does not fire there has no effect, and must
    count as unlike instead of being left out.

    Args:
        clean: log-probabilities with nothing removed.
        first, second: what is added to them by each intervention.
    """
    uniform = torch.full_like(clean, 1 / clean.shape[1])
    kl = sorted((divergence(clean, first), divergence(clean, second)))
    return Effect(
        _correlation(uniform, first, second),
        _correlation(clean.exp(), first, second),
        kl[0] / kl[1] if kl[1] > 0 else 0.0,
    )


def divergence(clean: Float[Tensor, "m v"], change: Float[Tensor, "m v"]) -> float:
    """Mean Kullback-Leibler divergence of the changed from the clean prediction, in nats."""
    return -(clean.exp() * change).sum(dim=1).mean().item()


class _PassedBy(nn.Module):
    """Stands where a block was, and does nothing."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states


@contextmanager
def _passed_by(model: TransformerBridge, first: int) -> Iterator[None]:
    """Blocks before the first one do nothing; what they did is handed in where they end.

    TransformerLens runs them, and then throws away what they did.
    """
    blocks = list(model.blocks[:first])
    for i in range(first):
        model.blocks[i] = _PassedBy()
    try:
        yield
    finally:
        for i, block in enumerate(blocks):
            model.blocks[i] = block


def _correlation(weight: Tensor, first: Tensor, second: Tensor) -> float:
    """Over positions and tokens, each position centred by its weighted mean over tokens."""
    one, other = (each - (weight * each).sum(1, keepdim=True) for each in (first, second))
    size = ((weight * one.square()).sum() * (weight * other.square()).sum()).sqrt()
    return ((weight * one * other).sum() / size).item() if size > 0 else 0.0
