"""The peers' environment and their checkpoints, made once for all tests here."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from helpers.environments import NoEnvironmentError, missing_environment
from peers import peers_environment


@pytest.fixture(scope="session")
def peers_python() -> Path:
    """The Python of the environment where the libraries are."""
    try:
        return peers_environment.made()
    except NoEnvironmentError as reason:
        missing_environment(reason)
        raise


@pytest.fixture(scope="session")
def peers(peers_python) -> Callable[..., None]:
    """Runs `peers_main.py` there."""
    return partial(peers_environment.run, peers_python)


@pytest.fixture(scope="session")
def theirs(peers, tmp_path_factory) -> Path:
    """Checkpoints that the libraries wrote, what they make of x.npy, and some to refuse."""
    folder = tmp_path_factory.mktemp("peers") / "theirs"
    peers("write", folder)
    return folder


@pytest.fixture(scope="session")
def x(theirs) -> np.ndarray:
    """The samples that the libraries reconstructed."""
    return np.load(theirs / "x.npy")
