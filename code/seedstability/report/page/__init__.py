"""The report as one HTML page that opens offline: `render(document, arrays) -> str`."""

from seedstability.report.page.rendering import render

__all__ = ["render"]
