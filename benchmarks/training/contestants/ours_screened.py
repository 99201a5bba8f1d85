"""This repository's trainer with screening: most latents are ruled out before they are computed."""

from functools import partial

from contestants import ours
from seedstability.dictionaries.training import Trainee


class Contestant(ours.Contestant):
    """The same, screened."""

    make = staticmethod(partial(Trainee, screened=True))
