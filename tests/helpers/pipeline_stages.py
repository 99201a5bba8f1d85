"""Stages that do next to nothing, and the package they are copied into for a test to edit."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seedstability.errors import UserError
from seedstability.progress import report


@dataclass(frozen=True)
class Settings:
    size: int = 3
    seconds: float = 0.0
    journal: str = ""
    tells: bool = True
    remark: str = ""


def count(config: Settings) -> dict:
    """Leaves a line in the journal each time it really runs."""
    if config.journal:
        with Path(config.journal).open("a") as journal:
            journal.write(f"begin {config.size}\n")
    for step in range(10):
        if config.tells:
            report(step, 10)
        time.sleep(config.seconds / 10)
    if config.journal:
        with Path(config.journal).open("a") as journal:
            journal.write(f"end {config.size}\n")
    return {"numbers": np.arange(config.size, dtype=np.float64)}


def add(config: Settings, left: dict, right: dict) -> dict:
    return {"sum": float(left["numbers"].sum() + right["numbers"].sum())}


def add_all(config: Settings, terms: dict[str, dict], more: dict) -> dict:
    return {"sum": float(sum(each["numbers"].sum() for each in [*terms.values(), more]))}


def fail(config: Settings) -> dict:
    raise KeyError("a bug")


def err(config: Settings) -> dict:
    raise UserError("size is 3; it must be even")


def die(config: Settings) -> dict:
    import ctypes

    return {"never": ctypes.string_at(0)}


def undefined(config: Settings) -> dict:
    from audit.pipeline.results import Scalar

    return {"share": {"of_none": Scalar(float("nan"))}}
