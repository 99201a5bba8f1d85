"""Training as stages: settings and activations in, arrays out.

`activations` is what an activations stage of the subjects returns: `train` and `heldout`, each
float32[samples, d]. Dictionaries are trained on the first, or on the store that it is a part of;
what is traced is measured on the second.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from audit.subjects.language_model.activation_store import training_samples
from audit.training.controls import control as make_control
from audit.training.controls_config import ControlConfig
from seedstability.dictionaries.config import (
    DictionaryConfig,
    PairedConfig,
    TrainingConfig,
)
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import SAE
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.coupling_terms import consistency
from seedstability.dictionaries.training.train import RunOptions, Snapshot, train_all
from seedstability.progress import report
from seedstability.stability.chance.closed_form import chance_level

PARTS = ("encoder", "encoder_bias", "decoder", "decoder_bias", "threshold")
"""The tensors of an SAE."""
INITIAL = "initial_decoder"
"""The decoder before the first step."""
TRACED = ("explained_variance", "explained_variance_scalar_mean", "mse", "l0", "dead_fraction")
"""What `quality` says of each dictionary along the way."""


def train(config: TrainingConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train one SAE for each seed.

    Returns:
        `encoder`, `decoder`, `initial_decoder` [S, n, d], `encoder_bias` [S, n], `decoder_bias`
        [S, d], `threshold` [S, n], `last_epoch_firings` [S, n]; and `trace` with `step` and `epoch`
        [T], `loss` in training since the trace before and the measures of `TRACED` on held-out
        samples [T, S], `max_cosine` of each pair of decoders [T, S(S−1)/2] and its chance level
        `max_cosine_chance` [T], and, where asked for, `decoder` [T, S, n, d].
    """
    x = training_samples(activations, config.samples)
    trace = Trace(tensor(activations["heldout"]), config.trace_decoders)
    options = RunOptions(device=os.environ.get("SEEDSTABILITY_DEVICE", "cpu"))
    runs = train_all(x, config, options, trace.watch)
    return {
        **stacked([run.sae for run in runs]),
        INITIAL: stack(run.initial_decoder for run in runs),
        "last_epoch_firings": stack(run.last_epoch_firings for run in runs),
        "trace": trace.arrays(),
    }


def train_pairs(config: PairedConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Train pairs of SAEs side by side.

    Returns:
        As `train`, with [P, 2] in the place of [S] and without firings. `trace` holds the traced
        epochs, 0 before the first step: `epoch` [T], `max_cosine` of each pair's decoders [T, P],
        the measures of `TRACED` [T, P, 2] and, where asked for, `decoder` [T, P, 2, n, d].
    """
    x, heldout = tensor(activations["train"]), tensor(activations["heldout"])
    results = []
    for done, pair in enumerate(config.pairs):
        results.append(_train_pair(config, pair, x, heldout))
        report(done + 1, len(config.pairs))
    traces = [result.pop("trace") for result in results]
    return {
        **{name: np.stack([result[name] for result in results]) for name in results[0]},
        "trace": {
            "epoch": traces[0].pop("epoch"),
            **{name: np.stack([trace[name] for trace in traces], axis=1) for name in traces[0]},
        },
    }


def _train_pair(
    config: PairedConfig, pair: tuple[int, int], x: Tensor, heldout: Tensor
) -> dict[str, Any]:
    last = config.dictionary.epochs
    epochs = range(last + 1) if config.trace_every_epoch else (0, last)
    trace = Trace(heldout, config.trace_decoders)
    initial: list[Tensor] = []

    def watch(epoch: int, both: Sequence[SAE]) -> None:
        if epoch == 0:
            initial.extend(sae.decoder.clone() for sae in both)
        if epoch in epochs:
            trace.watch(Snapshot(0, epoch, list(both), []))

    trained = train_group(x, config, pair, watch)
    traced = trace.arrays()
    return {
        **stacked(trained),
        INITIAL: stack(initial),
        "trace": {
            "epoch": traced["epoch"],
            "max_cosine": traced["max_cosine"][:, 0],
            **{name: traced[name] for name in (*TRACED, "decoder") if name in traced},
        },
    }


def control(config: ControlConfig, activations: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Make one control dictionary for each seed.

    Returns:
        As `train`, without trace and firings. `initial_decoder` holds directions uniform on the
        sphere: what a dictionary without training would be.
    """
    x = tensor(activations["train"])
    made = []
    for done, seed in enumerate(config.seeds):
        made.append(make_control(x, config, seed))
        report(done + 1, len(config.seeds))
    n = len(made[0].decoder)
    blank = replace(config, kind="random_decoder", n_latents=n, k=min(config.k, n))
    initial = [make_control(x, blank, seed).decoder for seed in config.seeds]
    return {**stacked(made), INITIAL: stack(initial)}


class Trace:
    """What dictionaries are worth, and how alike they are, at chosen snapshots of their training."""

    def __init__(self, heldout: Float[Tensor, "m d"], keep_decoders: bool):
        self._heldout, self._keep = heldout, keep_decoders
        self._taken: list[dict[str, Any]] = []

    def watch(self, snapshot: Snapshot) -> None:
        """Take the trace."""
        measured = [quality(sae, self._heldout) for sae in snapshot.saes]
        decoders = torch.stack([sae.decoder for sae in snapshot.saes])
        pairs = combinations(decoders, 2)
        taken = {
            "step": snapshot.step,
            "epoch": snapshot.epoch,
            "loss": snapshot.losses,
            **{name: [getattr(each, name) for each in measured] for name in TRACED},
            "max_cosine": [-consistency(torch.stack(pair)).item() for pair in pairs],
            "max_cosine_chance": chance_level(decoders.shape[1], decoders.shape[2], "max_cosine"),
        }
        if self._keep:
            taken["decoder"] = decoders.numpy()
        self._taken.append(taken)

    def arrays(self) -> dict[str, np.ndarray]:
        """Each of these along the snapshots, which come first."""
        names = self._taken[0] if self._taken else ()
        arrays = {name: np.array([taken[name] for taken in self._taken]) for name in names}
        whole = "epoch" in arrays and not (arrays["epoch"] % 1).any()
        return arrays | ({"epoch": arrays["epoch"].astype(np.int64)} if whole else {})


def saes(result: Mapping[str, np.ndarray], config: DictionaryConfig) -> list[SAE]:
    """The SAEs of a stage's result, one for each seed."""
    stacks = [tensor(result[name]) for name in PARTS]
    n = stacks[0].shape[1]
    # ICA has fewer rows than were asked for where the data have too few dimensions.
    config = replace(config, n_latents=n, k=min(config.k, n))
    each = zip(*stacks, strict=True)
    return [
        SAE(e, e_bias, d, d_bias, threshold, config) for e, e_bias, d, d_bias, threshold in each
    ]


def stacked(dictionaries: Iterable[SAE]) -> dict[str, np.ndarray]:
    """The arrays of several SAEs, seeds first; the inverse of `saes`."""
    dictionaries = list(dictionaries)
    return {name: stack(getattr(sae, name) for sae in dictionaries) for name in PARTS}


def stack(tensors: Iterable[Tensor]) -> np.ndarray:
    """Tensors of one shape as one array, a new first axis running over them."""
    return torch.stack(list(tensors)).numpy()


def tensor(array: np.ndarray) -> Tensor:
    """A tensor of its own with the array's values, whatever the store did to its memory."""
    return torch.from_numpy(np.array(array))
