"""Where the repository's folders lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ROOT / "code"
