"""Training samples of a subject, from memory or from a language model's store."""

from typing import cast

import numpy as np
import torch

from audit.subjects.language_model.activation_store import stored_samples
from audit.subjects.language_model.results import TextActivations
from audit.subjects.results import Activations
from seedstability.dictionaries.samples import InMemory, Samples


def in_memory(activations: Activations, samples: int | None = None) -> InMemory:
    """Training samples of a stage's result, or the first `samples` of them."""
    return InMemory(torch.from_numpy(np.array(activations["train"][:samples])))


def training_samples(activations: Activations, samples: int | None = None) -> Samples:
    """Training samples, or the first `samples` of them, of any subject.

    A language model's are in its store; those of other subjects are all in the stage's result.
    """
    if "request" in activations:
        return stored_samples(cast(TextActivations, activations), samples)
    return in_memory(activations, samples)
