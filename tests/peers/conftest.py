"""The peers' environment and their checkpoints, made once for all tests here."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from peers import peers_environment


@pytest.fixture(scope="session")
def peers() -> Callable[..., None]:
    """Runs `peers_main.py` where the libraries are."""
    try:
        python = peers_environment.made()
    except peers_environment.NoPeersError as reason:
        if os.environ.get("CI") or os.environ.get("SEEDSTABILITY_BRING_ENGINE") == "1":
            pytest.fail(str(reason))
        # as with the container: on one's own machine it may be missing, in CI it may not
        pytest.skip(str(reason))
    return lambda *words: peers_environment.run(python, *words)


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
