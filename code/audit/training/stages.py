"""Training stages: settings and activations in, arrays out.

Dictionaries are trained on the training samples of a subject; traces are measured on held-out ones.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from audit.subjects.arrays import columns
from audit.subjects.results import Activations
from audit.training.config import ControlConfig
from audit.training.controls import control as make_control
from audit.training.results import Dictionaries, PairedDictionaries, positions_of
from audit.training.results import Trace as TraceArrays
from audit.training.samples import in_memory, training_samples
from seedstability.dictionaries.config import (
    DictionaryConfig,
    PairedConfig,
    TrainingConfig,
)
from seedstability.dictionaries.metrics import quality
from seedstability.dictionaries.sae import PARTS, SAE
from seedstability.dictionaries.samples import Samples
from seedstability.dictionaries.training.coupled import train_group
from seedstability.dictionaries.training.coupling_terms import consistency
from seedstability.dictionaries.training.train import RunOptions, Snapshot, train_all
from seedstability.progress import report
from seedstability.stability.chance.closed_form import chance_level

INITIAL = "initial_decoder"
"""Name of the decoder before the first step."""
TRACED = ("explained_variance", "explained_variance_scalar_mean", "mse", "l0", "dead_fraction")
"""Reconstruction metrics in traces."""


def train(config: TrainingConfig, activations: Activations) -> Dictionaries:
    """Train one SAE per seed on samples in memory; the trace is measured on held-out ones."""
    return _train(config, in_memory(activations, config.samples), activations)


def train_any(config: TrainingConfig, activations: Activations) -> Dictionaries:
    """Train one SAE per seed, as `train`; a language model's samples are read from its store."""
    return _train(config, training_samples(activations, config.samples), activations)


def _train(config: TrainingConfig, x: Samples, activations: Activations) -> Dictionaries:
    trace = Trace(tensor(activations["heldout"]), config.trace_decoders)
    options = RunOptions(device=os.environ.get("SEEDSTABILITY_DEVICE", "cpu"))
    runs = train_all(x, config, options, trace.watch)
    return {
        **stacked([run.sae for run in runs], [run.initial_decoder for run in runs]),
        "last_epoch_firings": stack(run.last_epoch_firings for run in runs),
        "seeds": np.array(config.seeds),
        "trace": trace.arrays(),
    }


def train_pairs(config: PairedConfig, activations: Activations) -> PairedDictionaries:
    """Train pairs of SAEs with a coupling term."""
    x, heldout = tensor(activations["train"]), tensor(activations["heldout"])
    results = []
    for done, pair in enumerate(config.pairs):
        results.append(_train_pair(config, pair, x, heldout))
        report(done + 1, len(config.pairs))
    traces = [result.pop("trace") for result in results]
    trace = {"epoch": traces[0].pop("epoch"), **columns(traces, axis=1)}
    return cast(PairedDictionaries, columns(results) | {"trace": trace})


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
        **stacked(trained, initial),
        "trace": {
            "epoch": traced["epoch"],
            "max_cosine": traced["max_cosine"][:, 0],
            **{k: v for k, v in traced.items() if k in (*TRACED, "decoder")},
        },
    }


def control(config: ControlConfig, activations: Activations) -> Dictionaries:
    """Make one control dictionary per seed."""
    x = tensor(activations["train"])
    made = []
    for done, seed in enumerate(config.seeds):
        made.append(make_control(x, config, seed))
        report(done + 1, len(config.seeds))
    n = len(made[0].decoder)
    blank = replace(config, kind="random_decoder", n_latents=n, k=min(config.k, n))
    initial = [make_control(x, blank, seed).decoder for seed in config.seeds]
    return {**stacked(made, initial), "seeds": np.array(config.seeds)}


class Trace:
    """Recorder of reconstruction metrics and pairwise similarity during training."""

    def __init__(self, heldout: Float[Tensor, "m d"], keep_decoders: bool):
        self._heldout, self._keep = heldout, keep_decoders
        self._recorded: list[dict[str, Any]] = []

    def watch(self, snapshot: Snapshot) -> None:
        """Record a snapshot."""
        measured = [quality(sae, self._heldout) for sae in snapshot.saes]
        decoders = torch.stack([sae.decoder for sae in snapshot.saes])
        pairs = combinations(decoders, 2)
        recorded = {
            "step": snapshot.step,
            "epoch": snapshot.epoch,
            "loss": snapshot.losses,
            **{name: [getattr(each, name) for each in measured] for name in TRACED},
            "max_cosine": [-consistency(torch.stack(pair)).item() for pair in pairs],
            "max_cosine_chance": chance_level(decoders.shape[1], decoders.shape[2], "max_cosine"),
        }
        if self._keep:
            recorded["decoder"] = decoders.numpy()
        self._recorded.append(recorded)

    def arrays(self) -> TraceArrays:
        """Recorded values as arrays, snapshots first."""
        arrays = columns(self._recorded)
        whole = "epoch" in arrays and not (arrays["epoch"] % 1).any()
        epochs = {"epoch": arrays["epoch"].astype(np.int64)} if whole else {}
        return cast(TraceArrays, arrays | epochs)


def saes(
    dictionaries: Dictionaries | Mapping[str, np.ndarray],
    config: DictionaryConfig,
    seeds: Collection[int] | None = None,
) -> list[SAE]:
    """SAEs of a stage's result, one per seed; of the given seeds only, if any.

    Raises:
        ValueError: a seed is not among those of the dictionaries.
    """
    arrays: Mapping[str, Any] = dictionaries
    at = slice(None) if seeds is None else positions_of(seeds, arrays["seeds"])
    stacks = [tensor(arrays[name][at]) for name in PARTS]
    n = stacks[0].shape[1]
    # ICA has fewer latents than set if the data have too few dimensions.
    config = replace(config, n_latents=n, k=min(config.k, n))
    each = zip(*stacks, strict=True)
    return [
        SAE(e, e_bias, d, d_bias, threshold, config) for e, e_bias, d, d_bias, threshold in each
    ]


def stacked(dictionaries: Iterable[SAE], initial: Iterable[Tensor]) -> Dictionaries:
    """Arrays of several SAEs and of their initial decoders, seeds first; undone by `saes`."""
    dictionaries = list(dictionaries)
    parts = {name: stack(getattr(sae, name) for sae in dictionaries) for name in PARTS}
    return cast(Dictionaries, parts | {INITIAL: stack(initial)})


def stack(tensors: Iterable[Tensor]) -> np.ndarray:
    """Stack tensors of one shape into an array, along a new first axis."""
    return torch.stack(list(tensors)).numpy()


def tensor(array: np.ndarray) -> Tensor:
    """Copy an array to a tensor; arrays of the store may be read-only."""
    return torch.from_numpy(np.array(array))
