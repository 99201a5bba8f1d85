"""Stage results for dictionaries of several seeds that share some latents."""

import numpy as np
import torch

from audit.analyses.config import PartnersConfig, RecurrenceConfig

WIDTH = 32


def planted(seeds: int = 5, n: int = 40, shared: int = 24, dead: int = 4):
    """Results of training, evaluation and activations; every other seed has `dead` dead latents."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    common = normal(shared, WIDTH)
    reach = torch.linspace(0.2, 1.5, shared)[:, None]
    made = [
        torch.cat([common + 0.5 * reach * normal(shared, WIDTH), normal(n - shared, WIDTH)])
        for _ in range(seeds)
    ]
    order = [torch.randperm(n, generator=generator) for _ in range(seeds)]
    decoder = torch.stack([each[at] for each, at in zip(made, order, strict=True)])
    rate = torch.cat([torch.full((shared,), 0.2), torch.full((n - shared,), 0.004)]).repeat(
        seeds, 1
    )
    rate[::2, n - dead :] = 0.0
    rate = torch.stack([each[at] for each, at in zip(rate, order, strict=True)])
    dictionaries = {
        "decoder": decoder.numpy(),
        "encoder": (decoder + 0.2 * normal(*decoder.shape)).numpy(),
        "initial_decoder": normal(*decoder.shape).numpy(),
        "seeds": np.arange(seeds),
    }
    rates = rate.numpy()
    heldout = {
        "firing_rate": rates,
        "dead_fraction": (rates == 0).mean(axis=1),
        "explained_variance": np.full(seeds, 0.8) + 0.01 * np.arange(seeds),
        "l0": rates.sum(axis=1),
    }
    x = normal(2000, WIDTH) / torch.arange(1, WIDTH + 1).sqrt()
    return dictionaries, {"heldout": heldout, "live": rates > 0}, {"train": x.numpy()}


def recurrence_of(seeds: int = 5, **how) -> dict:
    from audit.analyses.recurrence import recurrence

    return recurrence(RecurrenceConfig(), *planted(seeds, **how))


def arm(seeds: int = 5, **how) -> dict[str, dict]:
    """Evaluation and partners of an arm, as a measuring stage receives them."""
    from audit.analyses.partners import partners

    made = planted(seeds, **how)
    return {"evaluation": made[1], "partners": partners(PartnersConfig(), *made)}
