"""The report of a comparison: document, wording, figures and HTML page."""
