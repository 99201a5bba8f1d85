"""The image, built once for all its tests."""

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
        # Not in pytest's folders, which stay: with its wheels the context is half a gigabyte.
        with engine() as running, tempfile.TemporaryDirectory(prefix="context-") as folder:
            context = sources(Path(folder))
            if running.needs_wheelhouse:
                fill_wheelhouse(context / "requirements" / "wheelhouse")
            yield Image(running, context, running.build(context, TAG))
    except NoEngineError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder of the caller's, to be mounted."""
    folder = tmp_path / "build"
    folder.mkdir()
    os.chown(folder, *caller())
    return folder
