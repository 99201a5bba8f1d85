"""The report on a comparison: its document, words, figures and page."""
