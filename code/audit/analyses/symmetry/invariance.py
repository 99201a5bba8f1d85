"""Translation invariance of a kernel on the grid Z_p × Z_p."""

import torch
from jaxtyping import Float
from torch import Tensor


def translation_share(x: Float[Tensor, "p p d"]) -> float:
    """Compute the share of the kernel's squared norm kept by its average over all translations.

    The kernel is K((a, b), (a', b')) = x(a, b)·x(a', b') of centered activations. Its average over
    translations depends on (a − a', b − b') alone and is an orthogonal projection of K. In the
    Fourier basis the projection is K's diagonal, P(k, l) = Σ_d |x̂_d(k, l)|², so the share is
    Σ P² / ‖K‖²; and ‖K‖ is the norm of the d × d matrix of second moments.

    Returns:
        1 for a translation-invariant kernel. A random labeling of the grid gives about
        (tr K)² / (p² ‖K‖²), because only the mean of K's diagonal remains in the average.
    """
    x = _centered(x)
    power = _power(x)
    moments = x.flatten(0, 1).T @ x.flatten(0, 1)
    return (power.square().sum() / moments.square().sum()).item()


def variance_shares(x: Float[Tensor, "p p d"]) -> dict[str, float]:
    """Compute the shares of variance that depend on a + b, a − b, a or b alone.

    The remainder is `rest`; with p odd the four are orthogonal.
    """
    power = _power(_centered(x))
    k = torch.arange(1, len(power))
    parts = {
        "sum": power[k, k],
        "difference": power[k, -k],
        "first": power[k, 0],
        "second": power[0, k],
    }
    shares = {name: (part.sum() / power.sum()).item() for name, part in parts.items()}
    return shares | {"rest": 1.0 - sum(shares.values())}


def _centered(x: Tensor) -> Tensor:
    x = x.double()
    return x - x.mean(dim=(0, 1))


def _power(x: Float[Tensor, "p p d"]) -> Float[Tensor, "p p"]:
    return torch.fft.fft2(x, dim=(0, 1), norm="ortho").abs().square().sum(dim=2)
