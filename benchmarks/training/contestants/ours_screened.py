"""This repository's trainer with screening: most latents are ruled out before they are computed."""

from contestants import ours
from seedstability.dictionaries.screening import Screened


class Contestant(ours.Contestant):
    """The same, screened."""

    def __init__(self, x, shape, seed):
        self.select = Screened()
        super().__init__(x, shape, seed)
