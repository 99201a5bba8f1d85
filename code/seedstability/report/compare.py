"""`seedstability.compare`: anybody's dictionaries measured as the paper measures its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from torch import Tensor

from seedstability.errors import UserError
from seedstability.report.document import Findings, arrays, document
from seedstability.report.recurrence import thresholds
from seedstability.report.report import Report
from seedstability.similarity import activations as streamed
from seedstability.similarity.config import ComparisonConfig, config_for_size
from seedstability.similarity.cost import cost_message
from seedstability.similarity.dictionaries import (
    SAESource,
    read_dictionaries,
    read_initial_dictionaries,
)
from seedstability.similarity.inputs import ComparisonInputs
from seedstability.similarity.measures import measure
from seedstability.similarity.pairs import matched_pairs
from seedstability.similarity.reconstruction import reconstruction_metrics
from seedstability.similarity.recorder import Recorder


class Listener(Protocol):
    """Who is told how far a comparison is; shares of a phase go to `progress.listen`."""

    def phase(self, name: str) -> None:
        """The next phase begins."""

    def note(self, text: str) -> None:
        """A line to show."""


class NullListener:
    """Hears nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def compare(
    saes: Sequence[SAESource],
    activations: str | Path | Tensor | streamed.ActivationStream | None = None,
    initial: Sequence[SAESource] | None = None,
    *,
    threshold: float = 0.7,
    all_pairs: bool = False,
    numeric_abi: dict[str, str] | None = None,
    listener: Listener | None = None,
) -> Report:
    """Measure how alike dictionaries of several seeds are, each figure with its chance levels.

    Args:
        saes: two or more, as folders (SAELens, sparsify, dictionary_learning, ours) or `SAE`s, all
            of one shape. They are held in memory, 8·n·d bytes each.
        activations: [samples, d] that they were trained on, or others of the same kind: a tensor,
            `Shards`, or a .npy file, a folder of such, a .safetensors file. With them there are
            live-only figures, firing frequencies, and the chance levels `data` and `gauge`.
        initial: the same dictionaries before their first step, in the same order, for the chance
            level `untrained`.
        threshold: cosine from which two latents count as the same.
        all_pairs: match all pairs one to one; otherwise beyond five dictionaries the first five
            among themselves and each with the next one.
        numeric_abi: what decides the bits of this process, for the record.
        listener: told of each phase, and of the cost where it is more than a minute.

    Returns:
        The report; `.write(folder)` writes it, `.summary` says it in words.

    Raises:
        UserError: for what cannot be compared, or is no dictionary; one line that says why.
    """
    if not 0.0 < threshold < 1.0:
        raise UserError(f"threshold is {threshold:g}; it must lie between 0 and 1")
    listener = listener or NullListener()
    listener.phase("reading")
    given = read_dictionaries(list(saes))
    starts = None if initial is None else read_initial_dictionaries(list(initial), given)
    n, d = given[0].sae.decoder.shape
    samples = None if activations is None else streamed.open_activations(activations, d)

    whole = ComparisonConfig(threshold=threshold)
    whole = replace(whole, complete=len(given)) if all_pairs else whole
    config = config_for_size(whole, n, d, len(given), len(matched_pairs(len(given), whole)))
    n_samples = samples.samples.shape[0] if samples else 0
    cost = cost_message(config, n, d, len(given), n_samples, started=starts is not None)
    if cost:
        listener.note(cost)

    summed, worths, live = None, None, None
    if samples:
        listener.phase("activations")
        summed = streamed.accumulate_moments(samples)
        worths = reconstruction_metrics([each.sae for each in given], samples, summed.about_mean)
        live = [each.live for each in worths]

    listener.phase("comparing")
    question = ComparisonInputs(
        [each.weights for each in given],
        live,
        summed.moments if summed else None,
        [each.sae.decoder for each in starts] if starts else None,
    )
    observed = Recorder(thresholds(threshold), live)
    comparison = measure(question, config, observed.saw, certify=True)

    listener.phase("summing up")
    found = Findings(given, starts, samples, whole, config, comparison, observed, worths)
    return Report(document(found, numeric_abi), arrays(found))
