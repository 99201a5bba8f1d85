"""Reproduction of every locked number from scratch: always for `smoke`, with `--all` for `paper`.

pytest-regressions shows the differences. The expectation is the locked file itself, which only
`invoke lock` writes. A value inside its tolerance equals the locked one.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from audit.pipeline.locking.differences import EXAMPLE
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from audit.pipeline.store.store import Store
from audit.session import Session
from helpers.repository import ROOT


@pytest.fixture(scope="session")
def computed(tmp_path_factory):
    """Map a profile to a session that ran all its stages in a new store."""
    sessions = {}

    def compute(profile: str) -> Session:
        if profile not in sessions:
            session = Session(ROOT, profile)
            session.store = Store(tmp_path_factory.mktemp(profile) / "store", session.abi)
            session.run()
            sessions[profile] = session
        return sessions[profile]

    yield compute
    for session in sessions.values():
        shutil.rmtree(session.store.root, ignore_errors=True)


def as_text(values: Values, locked: Values) -> dict[str, str]:
    """Each value as printed; a value within its tolerance as it is locked."""
    return {
        address: _shown(
            locked[address] if _is_example(address, locked) else values[address],
            locked.get(address),
            locked.allowed_difference(address) if address in locked else 0.0,
        )
        for address in sorted(values)
    }


def _is_example(address: str, locked: Values) -> bool:
    return address.endswith(EXAMPLE) and isinstance(locked.get(address), str)


def _shown(value, locked, allowed: float) -> str:
    if isinstance(value, Scalar):
        near = isinstance(locked, Scalar) and _near(value, locked, allowed)
        return f"{(locked if near else value).value:.{value.digits}f} {value.unit}".strip()
    if isinstance(value, Array):
        same_shape = isinstance(locked, Array) and locked.values.shape == value.values.shape
        apart = abs(value.values - locked.values) if same_shape else None
        near = apart is not None and not (apart > allowed + 1e-9).any()
        return str((locked if near else value).values.tolist())
    return str(value)


def _near(value: Scalar, locked: Scalar, allowed: float) -> bool:
    return abs(value.value - locked.value) <= allowed + 1e-9


def check(session: Session, data_regression, folder: Path) -> None:
    expected = folder / "locked.yml"
    locked = session.locked
    text = yaml.safe_dump(as_text(locked, locked), default_flow_style=False, allow_unicode=True)
    expected.write_text(text, encoding="utf-8")
    data_regression.check(as_text(session.new_values(), locked), fullpath=expected)


def test_smoke_reproduces_the_locked_values(computed, data_regression, tmp_path):
    check(computed("smoke"), data_regression, tmp_path)


def test_smoke_has_no_mismatch_report(computed):
    assert computed("smoke").compare() is None


@pytest.mark.slow
def test_paper_reproduces_the_locked_values(computed, data_regression, tmp_path):
    check(computed("paper"), data_regression, tmp_path)


@pytest.mark.slow
def test_paper_has_no_mismatch_report(computed):
    assert computed("paper").compare() is None


def test_value_outside_its_tolerance_is_detected(data_regression, tmp_path):
    locked = Values({"chance.x": Scalar(0.5, 3)})
    assert as_text(Values({"chance.x": Scalar(0.501, 3)}), locked) == as_text(locked, locked)
    assert as_text(Values({"chance.x": Scalar(0.503, 3)}), locked) != as_text(locked, locked)
