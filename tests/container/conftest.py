"""The image, built once for all tests."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.container_engine import NoEngineError, engine, fill_wheelhouse, sources
from helpers.container_image import TAG, Image, caller


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    try:
        # pytest keeps its folders, and with its wheels the context has half a gigabyte.
        with engine() as running, tempfile.TemporaryDirectory(prefix="context-") as folder:
            context = sources(Path(folder))
            if running.needs_wheelhouse:
                fill_wheelhouse(context / "requirements" / "wheelhouse")
            yield Image(running, context, running.build(context, TAG))
    except NoEngineError as reason:
        # An engine takes root and Linux, which not every machine that runs the tests has.
        pytest.skip(str(reason))


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder that belongs to the caller, for mounting."""
    folder = tmp_path / "build"
    folder.mkdir()
    os.chown(folder, *caller())
    return folder
