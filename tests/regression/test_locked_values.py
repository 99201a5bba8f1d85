"""Reproduction of every locked number from scratch: always for `smoke`, with `--all` for `paper`.

pytest-regressions shows the differences. The expectation is the locked file itself, which only
`invoke lock` writes. A value inside its tolerance equals the locked one.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from audit.pipeline.graph.definitions import AT_IMPORT
from audit.pipeline.locking.differences import EXAMPLE
from audit.pipeline.locking.values import Values
from audit.pipeline.results import Array, Scalar
from audit.pipeline.store.store import Store
from audit.session import Session
from helpers.repository import ROOT

TRACER = Path(__file__).parents[1] / "helpers" / "tracer"


@pytest.fixture(scope="session")
def computed(tmp_path_factory):
    """Map a profile to a session that ran all its stages in a new store."""
    sessions, calls = {}, {}

    def compute(profile: str) -> Session:
        if profile not in sessions:
            session = Session(ROOT, profile)
            session.store = Store(tmp_path_factory.mktemp(profile) / "store", session.abi)
            with traced(tmp_path_factory.mktemp("calls"), profile == "smoke") as folder:
                session.run()
            sessions[profile] = session
            calls[profile] = [json.loads(file.read_text()) for file in folder.iterdir()]
        return sessions[profile]

    compute.calls = calls
    yield compute
    for session in sessions.values():
        shutil.rmtree(session.store.root, ignore_errors=True)


@contextmanager
def traced(folder: Path, wanted: bool) -> Iterator[Path]:
    """Have workers write down what each stage calls."""
    with pytest.MonkeyPatch.context() as patch:
        if wanted:
            patch.setenv("TRACED_CALLS", str(folder))
            patch.syspath_prepend(TRACER)
        yield folder


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


def test_every_function_that_a_stage_calls_is_in_its_key(computed):
    session = computed("smoke")
    keys, sources = session.results.keys_by_stage, session.sources
    missed = set()
    for call in computed.calls["smoke"]:
        definitions = keys[call["stage"]].definitions
        files = {name.partition(":")[0] for name in definitions}
        for ran in call["ran"]:
            file, _, name = ran.partition(":")
            # A module without top-level statements has no definition that stands for loading it;
            # a lambda or comprehension of a module belongs to a constant.
            known = file in files or not has_statements(sources, file)
            if sources.counts(sources.module_of(file)) and not (
                ran in definitions or (name.startswith("<") and known)
            ):
                missed.add((call["stage"], ran))
    assert len(computed.calls["smoke"]) == len({key.digest for key in keys.values()})
    assert not missed


def has_statements(sources, file: str) -> bool:
    return AT_IMPORT in sources.parsed(sources.module_of(file)).definitions


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
