"""The report on disk: `report.json`, `latents.npz`, `report.html`; and in a notebook.

`report.schema.json` beside this file is the schema of `report.json`.
"""

import html
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstability.errors import UserError
from seedstability.files import whole_folder, write_whole

if TYPE_CHECKING:
    from pandas import DataFrame

    from seedstability.report.summary import Language

SCHEMA = "seedstability-report-1"
FILES = ("report.json", "latents.npz", "report.html")


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return "\n".join(self.summary)

    def _repr_html_(self) -> str:
        """Show the findings in a notebook."""
        findings = "".join(f"<li>{html.escape(line)}</li>" for line in self.summary)
        return f"<ul>{findings}</ul>"

    def to_markdown(self) -> str:
        """The main measures as a Markdown table."""
        return self._summary("markdown")

    def to_latex(self) -> str:
        """The main measures as a LaTeX table, for the package booktabs."""
        return self._summary("latex")

    def _summary(self, language: "Language") -> str:
        from seedstability.report.summary import summary

        return summary(self.document, language)

    def frames(self) -> dict[str, "DataFrame"]:
        """The results as pandas frames by name; see `report.frames.frames`.

        Raises:
            UserError: pandas is not installed.
        """
        from seedstability.report.frames import frames

        return frames(self.document, self.arrays)

    def write(self, folder: str | Path) -> list[Path]:
        """Write the three files into a folder: first the two of data, together, then the page.

        A folder that holds only an earlier report is replaced. Where the page fails, the data stay.

        Raises:
            UserError: the folder holds other files, or cannot be written, or no page can be drawn.
        """
        folder = Path(folder)
        check_target(folder)
        text = json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with whole_folder(folder, replace=True) as unfinished:
                # a folder's name that is not UTF-8 becomes an escape that JSON reads back
                (unfinished / "report.json").write_text(text, "utf-8", "backslashreplace")
                # without allow_pickle=False, which older NumPy would keep as one more array
                np.savez(unfinished / "latents.npz", **dict[str, Any](self.arrays))
            write_whole(folder / "report.html", self._page(folder).encode("utf-8", "replace"))
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror or error})") from None
        return [folder / name for name in FILES]

    def _page(self, folder: Path) -> str:
        try:
            # Not at the top: only the page needs matplotlib.
            from seedstability.report.page.rendering import render

            return render(self.document, self.arrays)
        # Drawing fails in too many ways to list: matplotlib, its fonts, the user's settings for
        # it. After hours of computing it has to be said where the data are. The cause is kept.
        except Exception as error:
            raise UserError(
                f"report.html cannot be drawn ({type(error).__name__}: {error});"
                f" report.json and latents.npz are in {folder}"
            ) from error


def read_document(path: Path) -> dict[str, Any]:
    """Content of a report's `report.json`, given that file or its folder.

    Raises:
        UserError: it cannot be read, or is none.
    """
    file = path / "report.json" if path.is_dir() else path
    try:
        document = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{file} is not JSON: {error}") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise UserError(f"{file} has schema {schema!r}; a report of this version has {SCHEMA!r}")
    return document


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
    # what a killed process left is ours too
    names = {name for name in os.listdir(folder) if not fnmatch(name, ".report.html.*.partial")}
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
