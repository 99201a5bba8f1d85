"""dictionary_learning (saprmarks): `config.json` + `ae.pt`, a pickle; read, never written.

The class's name stands in the settings. Read in dictionary-learning 0.1.0, `dictionary.py` and
`trainers/`: classes made of linear layers keep the encoder as n × d and the decoder as d × n, the
others as d × n and n × d. `BatchTopKSAE` and its Matryoshka form keep, at inference, what exceeds
one threshold; a negative one, where training never set it, lets every positive latent through.
`JumpReluAutoEncoder` does not subtract the decoder's bias; its own flag for that is never saved.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from seedstability.dictionaries.config import Architecture
from seedstability.dictionaries.formats.format import Format, of_unknown_training, rectified
from seedstability.dictionaries.formats.settings import Settings, read_settings
from seedstability.dictionaries.formats.weights import Weights, read_pickled
from seedstability.dictionaries.sae import SAE

_LINEAR = ("encoder.weight", "encoder.bias", "decoder.weight")
_PLAIN = ("W_enc", "b_enc", "W_dec")


@dataclass(frozen=True)
class _Class:
    """One of the library's classes."""

    architecture: Architecture
    """What it is here."""
    matrices: tuple[str, str, str]
    """Names of encoder, its bias and decoder."""
    bias: str
    """Name of the decoder's bias."""
    centered: bool = True
    """Whether that is subtracted before the encoder."""
    more: tuple[str, ...] = ()
    """What else a file of this class may hold."""


_CLASSES = {
    "AutoEncoder": _Class("relu", _LINEAR, "bias"),
    "AutoEncoderNew": _Class("relu", _LINEAR, "decoder.bias", centered=False),
    "AutoEncoderTopK": _Class("topk", _LINEAR, "b_dec", more=("k", "threshold")),
    "BatchTopKSAE": _Class("batch_topk", _LINEAR, "b_dec", more=("k", "threshold")),
    "MatryoshkaBatchTopKSAE": _Class(
        "batch_topk", _PLAIN, "b_dec", more=("k", "threshold", "group_sizes")
    ),
    "JumpReluAutoEncoder": _Class("jumprelu", _PLAIN, "b_dec", False, ("threshold",)),
}


def read(folder: Path) -> SAE:
    """The SAE in a folder of dictionary_learning. Code in the pickle is not run.

    Raises:
        UserError: a file that is damaged, or a class that no SAE here can be.
    """
    settings = read_settings(folder / FORMAT.settings).part("trainer")
    name = settings.word("dict_class")
    if name not in _CLASSES:
        raise settings.wrong("dict_class", f"one of {', '.join(_CLASSES)}")
    its = _CLASSES[name]
    n, d = settings.whole("dict_size"), settings.whole("activation_dim")
    weights = read_pickled(folder / FORMAT.weights, {*its.matrices, its.bias, *its.more})
    encoder, bias, decoder = its.matrices
    linear = its.matrices is _LINEAR
    return SAE(
        weights.take(encoder, n, d) if linear else weights.take(encoder, d, n).t().contiguous(),
        weights.take(bias, n),
        weights.take(decoder, d, n).t().contiguous() if linear else weights.take(decoder, n, d),
        weights.take(its.bias, d),
        rectified(_threshold(weights, its, n)),
        of_unknown_training(
            its.architecture, n, _kept(settings, weights, its, n), centered=its.centered
        ),
    )


def _threshold(weights: Weights, its: _Class, n: int) -> Float[Tensor, " n"]:
    if its.architecture == "batch_topk":
        return weights.take("threshold").expand(n).clone()
    return weights.take("threshold", n) if its.architecture == "jumprelu" else torch.zeros(n)


def _kept(settings: Settings, weights: Weights, its: _Class, n: int) -> int | None:
    if its.architecture not in ("topk", "batch_topk"):
        return None
    k = settings.whole("k")
    if k > n:
        raise settings.wrong("k", f"in 1…{n}, the number of latents")
    # The library refuses this too; its older files hold no k.
    if "k" in weights.tensors and weights.whole("k") != k:
        raise settings.wrong("k", f"{weights.whole('k')}, as {weights.path.name} says")
    return k


FORMAT = Format("config.json", "ae.pt", read, None)
