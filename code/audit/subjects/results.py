"""What every stage that reads or draws activations hands on."""

from typing import TypedDict

import numpy as np
from jaxtyping import Float


class Activations(TypedDict):
    """Samples of width d."""

    train: Float[np.ndarray, "samples d"]
    heldout: Float[np.ndarray, "heldout d"]
