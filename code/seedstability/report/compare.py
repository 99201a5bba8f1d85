"""`seedstability.compare`: measure dictionaries of several seeds exactly as the paper does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from torch import Tensor

from seedstability.errors import UserError
from seedstability.report.arrays import CONTEXTS, arrays
from seedstability.report.document import document
from seedstability.report.findings import Findings
from seedstability.report.over_time import in_order
from seedstability.report.recurrence import thresholds
from seedstability.report.report import Report
from seedstability.similarity.config import ComparisonConfig, config_for_size, matched_pairs
from seedstability.similarity.cost import cost_message
from seedstability.similarity.dictionaries.loaded import initial_decoders, stated_rates
from seedstability.similarity.dictionaries.reading import (
    listed,
    read_dictionaries,
    read_initial_dictionaries,
)
from seedstability.similarity.dictionaries.refusals import Source
from seedstability.similarity.inputs import ComparisonInputs
from seedstability.similarity.measures import measure
from seedstability.similarity.recorder import Recorder
from seedstability.similarity.samples import activations as streamed
from seedstability.similarity.samples.outliers import levels_without
from seedstability.similarity.samples.sampled import measure_activations
from seedstability.similarity.samples.tokens import Tokens, TokenSource, read_tokens
from seedstability.terminal import Phases


def compare(
    saes: Sequence[Source],
    activations: str | Path | Tensor | np.ndarray | streamed.ActivationStream | None = None,
    initial: Sequence[Source] | None = None,
    *,
    threshold: float = 0.7,
    all_pairs: bool = False,
    against: Sequence[Source] | None = None,
    over_time: bool = False,
    allow_different: bool = False,
    decoders_only: bool = False,
    drop_outliers: bool = False,
    activations_key: str | None = None,
    tokens: TokenSource | None = None,
    numeric_abi: dict[str, str] | None = None,
    listener: Phases | None = None,
) -> Report:
    """Measure the similarity of dictionaries of several seeds, with chance levels.

    Args:
        saes: two or more folders or files (SAELens, sparsify, dictionary_learning, Gemma Scope,
            ours) or `SAE`s, all of one width. They are held in memory, 8·n·d bytes each. Latents
            without a direction are left out.
        activations: [samples, d] or [contexts, positions, d] of any floating type, from training or
            from the same distribution: an array, `Shards`, a .npy, .safetensors or .pt file, or a
            folder of these. They are needed for live-only statistics, firing rates, and the chance
            levels `data` and `gauge`.
        initial: the same SAEs at initialization, in the same order, for the chance level
            `untrained`.
        threshold: cosine from which two latents count as the same.
        all_pairs: match all pairs one-to-one; otherwise, with more than five dictionaries, only the
            first five among themselves and each with the next one.
        against: a second group of SAEs. Similarities within each group and between them are
            reported; settings may differ between the groups. Matches all pairs.
        over_time: they are checkpoints of one run, whose paths say their steps; in memory, in
            their order. Matches all pairs.
        allow_different: compare dictionaries that differ in more than the seed, as configurations.
        decoders_only: compare no more than the decoders: of checkpoints of any class, such as
            transcoders, of a .npy or .safetensors file with one matrix [n, d], or of such a matrix.
        drop_outliers: leave out samples with a norm above 10 times the median norm. If they hold a
            tenth of the variance, the report says so in either case.
        activations_key: which tensor of a file of activations that holds several.
        tokens: the token of each activation, for the contexts in which latents are largest: a list
            of text or of contexts, a .json file of one, or a .txt file with one a line.
        numeric_abi: numeric ABI of this process, to be recorded.
        listener: receives each phase, and the cost if it is more than 20 s.

    Returns:
        The report; `.write(folder)` writes it, `.summary` has the findings in words.

    Raises:
        UserError: for inputs that are not SAEs or cannot be compared; one line says why.
    """
    if not 0.0 < threshold < 1.0:
        raise UserError(f"threshold is {threshold:g}; it must lie between 0 and 1")
    listener = listener or Phases()
    listener.phase("reading")

    opened = None
    if activations is not None:  # they may be needed before all SAEs are read, for their norm
        opened = cache(partial(streamed.open_activations, activations, key=activations_key))
    first, second = listed(saes), None if against is None else listed(against)
    if over_time and (second is not None or initial is not None):
        raise UserError(
            "checkpoints over time (--over-time, over_time=True) are one group, and have no other"
            " initialization than their first"
        )
    trained = read_dictionaries(
        [*first, *(second or [])],
        allow_different=allow_different or over_time,
        first_group=None if second is None else len(first),
        decoders_only=decoders_only,
        mean_norm=opened and partial(_mean_norm, opened),
    )
    steps = None
    if over_time:
        trained, steps = in_order(trained)
    untrained = (
        None if initial is None else read_initial_dictionaries([*initial], trained, decoders_only)
    )
    n_seeds, d = len(trained), trained[0].decoder.shape[1]
    n = max(len(each.directed) for each in trained)
    samples = opened(d) if opened else None

    full = ComparisonConfig(threshold=threshold)
    if all_pairs or second is not None or over_time:
        full = replace(full, complete=n_seeds)
    config = config_for_size(full, n, d, n_seeds, len(matched_pairs(n_seeds, full)))
    words = _tokens(tokens, samples, drop_outliers)
    n_samples = samples.samples.shape[0] if samples else 0
    cost = cost_message(config, n, d, n_seeds, n_samples, has_initial=untrained is not None)
    if cost:
        listener.note(cost)
    if samples:
        from seedstability.compiled import is_cold  # imports numba, which not all need

        if is_cold():
            listener.hint("loops are compiled for this processor first, once: up to 20 s")

    sampled, rates = None, stated_rates(trained)
    if samples:
        listener.phase("activations")
        known = [each.sae for each in trained if each.sae]
        sampled = measure_activations(known, samples, drop_outliers, CONTEXTS if words else 0)
        rates = [each.firing for each in sampled.metrics] or None
    live = rates and [each.compared(its > 0) for its, each in zip(rates, trained, strict=True)]

    listener.phase("comparing")
    inputs = ComparisonInputs(
        [each.weights for each in trained],
        live,
        sampled.moments if sampled else None,
        None if untrained is None else initial_decoders(untrained, trained),
    )
    recorder = Recorder(thresholds(threshold), live)
    comparison = measure(inputs, config, recorder.record, certify=True)
    without = None
    if sampled and sampled.moments_without:
        without = levels_without(inputs.dictionaries, sampled.moments_without, config)

    listener.phase("summing up")
    findings = Findings(
        trained,
        untrained,
        sampled,
        live,
        full,
        config,
        comparison,
        recorder,
        without,
        None if second is None else [0] * len(first) + [1] * len(second),
        steps,
        words,
    )
    return Report(document(findings, numeric_abi), arrays(findings))


def _mean_norm(opened: Callable[[int], streamed.Activations], d: int) -> float:
    return streamed.mean_norm(opened(d))


def _tokens(
    given: TokenSource | None, samples: streamed.Activations | None, drop_outliers: bool
) -> Tokens | None:
    if given is None:
        return None
    if samples is None or drop_outliers:
        raise UserError(
            "tokens are those of activations, all of them; give --activations (activations=), and"
            " not --drop-outliers"
        )
    return read_tokens(given, samples.samples.shape[0])
