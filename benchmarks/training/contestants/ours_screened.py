"""This repository's `SAETrainer` with screened TopK."""

from contestants import ours
from seedstability.dictionaries.screening import ScreenedTopK


class Contestant(ours.Contestant):
    """The same, screened."""

    def __init__(self, x, shape, seed):
        self.select = ScreenedTopK()
        super().__init__(x, shape, seed)
