"""Stages that use libraries; apart from the others, which shall not wait for them."""

import sys

import torch


def product(config) -> dict:
    generator = torch.Generator().manual_seed(config.size)
    x = torch.randn(300, 500, generator=generator)
    weight = torch.randn(500, 400, generator=generator, requires_grad=True)
    for _ in range(3):
        # First each row: the mean of many numbers at once is split among the threads.
        loss = torch.relu(x @ weight).pow(2).mean(1).mean()
        loss.backward()
        weight.data -= 0.1 * weight.grad
    return {"weight": weight.detach().numpy(), "loss": float(loss)}


def integrate(config) -> dict:
    had = "scipy.integrate" in sys.modules
    from scipy.integrate import quad

    return {"area": quad(lambda x: 2 * x, 0, 1)[0], "had": had}
