"""A comparison's results as somebody keeps them: `report.json`, `latents.npz`, `report.html`.

`report.schema.json` beside this file says what the first may hold.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from seedstability.errors import UserError

SCHEMA = "seedstability-report-1"
FILES = ("report.json", "latents.npz", "report.html")


@dataclass(frozen=True)
class Report:
    """What a comparison found."""

    document: dict[str, Any]
    """What `report.json` holds: JSON types only."""
    arrays: dict[str, np.ndarray]
    """What `latents.npz` holds: a row a dictionary or a pair, a column a latent."""

    @property
    def summary(self) -> list[str]:
        """The findings in plain words."""
        return self.document["summary"]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the three files into a folder, which appears when all of them are there.

        A folder that holds a report and nothing else is replaced.

        Raises:
            UserError: the folder holds something else, or cannot be written.
        """
        # The page draws figures, which nothing else here needs.
        from seedstability.report.page import render

        folder = Path(folder)
        check_target(folder)
        text = json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        page = render(self.document, self.arrays)
        target = Path(os.path.realpath(folder))
        unfinished = target.with_name(f".{target.name}-{uuid4().hex[:8]}")
        try:
            unfinished.mkdir(parents=True)
            (unfinished / "report.json").write_text(text, "utf-8")
            with open(unfinished / "latents.npz", "wb") as file:
                np.savez(file, allow_pickle=False, **self.arrays)
            (unfinished / "report.html").write_text(page, "utf-8")
            _put(unfinished, target)
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror or error})") from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return [folder / name for name in FILES]


def check_target(folder: str | Path) -> None:
    """See that a report may be written there, before hours are spent on it.

    Raises:
        UserError: the folder holds something that is no report of ours.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is there already and no folder; a report goes to a folder")
    names = set(os.listdir(folder))
    if names and not (names <= set(FILES) and _is_ours(folder / "report.json")):
        raise UserError(
            f"{folder} holds something else than a report; give a folder that is new or empty, or"
            " holds an earlier report and nothing else"
        )


def _is_ours(file: Path) -> bool:
    try:
        return json.loads(file.read_text("utf-8")).get("schema", "").startswith("seedstability-")
    except (OSError, ValueError, AttributeError):
        return False


def _put(unfinished: Path, target: Path) -> None:
    """Move a whole folder to where an earlier one may be."""
    if not target.is_dir():
        unfinished.rename(target)
        return
    earlier = target.with_name(f".{target.name}-{uuid4().hex[:8]}")
    target.rename(earlier)
    try:
        unfinished.rename(target)
    except OSError:
        earlier.rename(target)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
