"""Where the repository's folders lie."""

from pathlib import Path

CODE = Path(__file__).resolve().parents[1]
"""Holds the folders of both packages."""
ROOT = CODE.parent
"""The repository."""
DATA = ROOT / "data"
"""Claims, reported and measured figures, subjects and locked values."""
