"""The report on disk: `report.json`, `latents.npz`, `report.html`.

`report.schema.json` beside this file is the schema of `report.json`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seedstability.errors import UserError
from seedstability.files import whole_folder

SCHEMA = "seedstability-report-1"
FILES = ("report.json", "latents.npz", "report.html")


@dataclass(frozen=True)
class Report:
    """The results of a comparison."""

    document: dict[str, Any]
    """Content of `report.json`, JSON types only."""
    arrays: dict[str, np.ndarray]
    """Content of `latents.npz`: one row per dictionary or pair, one column per latent."""

    @property
    def summary(self) -> list[str]:
        """The findings in words."""
        return self.document["summary"]

    def write(self, folder: str | Path) -> list[Path]:
        """Write the three files into a folder, atomically.

        A folder that holds only an earlier report is replaced.

        Raises:
            UserError: the folder holds other files, or cannot be written.
        """
        # Not at the top: only the page needs matplotlib.
        from seedstability.report.page.rendering import render

        folder = Path(folder)
        check_target(folder)
        text = json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        page = render(self.document, self.arrays)
        try:
            with whole_folder(folder, replace=True) as unfinished:
                (unfinished / "report.json").write_text(text, "utf-8")
                # without allow_pickle=False, which older NumPy would keep as one more array
                np.savez(unfinished / "latents.npz", **dict[str, Any](self.arrays))
                (unfinished / "report.html").write_text(page, "utf-8")
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror or error})") from None
        return [folder / name for name in FILES]


def check_target(folder: str | Path) -> None:
    """Check that a report can be written to a folder, before it is computed.

    Raises:
        UserError: the path is not a folder, or the folder holds other files than a report.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UserError(
            f"{folder} exists and is not a directory; a report is written to a directory"
        )
    names = set(os.listdir(folder))
    if names and not (names <= set(FILES) and _is_ours(folder / "report.json")):
        raise UserError(
            f"{folder} holds other files than a report; give a folder that is new, empty, or holds"
            " only an earlier report"
        )


def _is_ours(file: Path) -> bool:
    try:
        return json.loads(file.read_text("utf-8")).get("schema", "").startswith("seedstability-")
    except (OSError, ValueError, AttributeError):
        return False
