"""What holds for every test. Which ones run is a matter of markers: see `invoke test`."""

import os

import pytest
from hypothesis import settings

# Two threads on two busy cores wait for each other; what depends on threads says so itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine breaks deadlines without anything being wrong; CI draws the same examples always.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


LONGEST = ("tests/regression", "tests/container", "tests/mutation", "tests/peers")
"""Files of these begin first, so that no process has a long one left when the others are done."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((k for k, place in enumerate(LONGEST) if item.nodeid.startswith(place)), 99)

    items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("force_regen", False) or config.getoption("regen_all", False):
        raise pytest.UsageError("tests write no locked values; `invoke lock` does, and shows each")
