"""How far a kernel on the grid Z_p × Z_p is the same after a translation of its arguments."""

import torch
from jaxtyping import Float
from torch import Tensor


def translation_share(x: Float[Tensor, "p p d"]) -> float:
    """Share of the kernel's squared length that its average over all translations keeps.

    The kernel is K((a, b), (a', b')) = x(a, b)·x(a', b') of activations less their mean. Its
    average over translations depends on (a − a', b − b') alone and is an orthogonal projection of
    K. In the Fourier basis the projection is K's diagonal, P(k, l) = Σ_d |x̂_d(k, l)|², hence
    Σ P² / ‖K‖²; and ‖K‖ is the length of the d × d matrix of second moments.

    Returns:
        1 for a kernel that no translation changes. A random labelling of the grid gives about
        (tr K)² / (p² ‖K‖²), the diagonal of K being the same everywhere.
    """
    x = _centred(x)
    power = _power(x)
    moments = x.flatten(0, 1).T @ x.flatten(0, 1)
    return (power.square().sum() / moments.square().sum()).item()


def variance_shares(x: Float[Tensor, "p p d"]) -> dict[str, float]:
    """Shares of the variance that depend on a + b alone, a − b alone, a alone and b alone.

    What is left is `rest`; with p odd the four have nothing in common.
    """
    power = _power(_centred(x))
    k = torch.arange(1, len(power))
    parts = {
        "sum": power[k, k],
        "difference": power[k, -k],
        "first": power[k, 0],
        "second": power[0, k],
    }
    shares = {name: (part.sum() / power.sum()).item() for name, part in parts.items()}
    return shares | {"rest": 1.0 - sum(shares.values())}


def _centred(x: Tensor) -> Tensor:
    x = x.double()
    return x - x.mean(dim=(0, 1))


def _power(x: Float[Tensor, "p p d"]) -> Float[Tensor, "p p"]:
    return torch.fft.fft2(x, dim=(0, 1), norm="ortho").abs().square().sum(dim=2)
