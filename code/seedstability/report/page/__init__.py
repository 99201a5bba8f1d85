"""The report as one self-contained HTML page: `render(document, arrays) -> str`."""

from seedstability.report.page.rendering import render

__all__ = ["render"]
