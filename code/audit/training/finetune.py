"""Stage: fine-tune given dictionaries."""

import os

from audit.subjects.results import Activations
from audit.training.config import FinetuneConfig
from audit.training.results import Dictionaries
from audit.training.samples import training_samples
from audit.training.stages import saes, stack, stacked
from seedstability.dictionaries.training.train import RunOptions, train_all


def finetune(
    config: FinetuneConfig,
    dictionaries: Dictionaries,
    activations: Activations,
) -> Dictionaries:
    """Fine-tune several dictionaries.

    The given ones are the initial dictionaries, and their decoders the `initial_decoder`.

    Raises:
        UserError: the number of dictionaries differs from that of seeds, or shapes differ.
    """
    training = config.training
    initial_saes = saes(dictionaries, training.dictionary)
    x = training_samples(activations, training.samples)
    options = RunOptions(device=os.environ.get("SEEDSTABILITY_DEVICE", "cpu"))
    runs = train_all(x, training, options, initial_saes=initial_saes)
    return {
        **stacked([run.sae for run in runs], [run.initial_decoder for run in runs]),
        "last_epoch_firings": stack(run.last_epoch_firings for run in runs),
    }
