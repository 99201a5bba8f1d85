"""Schedules of the learning rate and of the sparsity penalty."""

from seedstability.dictionaries.config import DictionaryConfig


def rate_share(config: DictionaryConfig, step: int, total_steps: int) -> float:
    """Share of the full learning rate at a step; steps count from 1.

    Linear warm-up over `warm_up_steps`, linear decay to zero over the last `decay_share` of all
    steps; the two factors multiply if they overlap.
    """
    up = min(1.0, step / config.warm_up_steps) if config.warm_up_steps else 1.0
    falling = config.decay_share * total_steps
    down = min(1.0, (total_steps - step + 1) / falling) if falling else 1.0
    return up * down


def sparsity_share(config: DictionaryConfig, step: int) -> float:
    """Share of the full `l1` or `l0_weight` at a step; steps count from 1."""
    steps = config.sparsity_warm_up_steps
    return min(1.0, step / steps) if steps else 1.0
