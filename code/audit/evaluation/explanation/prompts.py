"""Prompts for a language model as explainer and as judge."""

from collections.abc import Sequence

from audit.evaluation.explanation.detection import Example

OPEN, CLOSE = "⟦", "⟧"
"""Brackets around the tokens at which a latent fires."""

EXPLAIN = f"""\
You study one unit of a neural network that reads text and program code. You are given passages in \
which the unit is active. The tokens at which it is active stand between {OPEN} and {CLOSE}; how \
strongly, on a scale from 1 to 10, is listed after each passage. Find what these tokens, or what \
stands before them, have in common. Answer with that alone, in one sentence of at most thirty \
words, as exact as you can: name the words, characters or constructions."""

JUDGE = """\
You are told when one unit of a neural network is active, and given numbered passages. Decide for \
each passage whether the unit is active anywhere in it. Answer with a JSON list alone, one entry \
for each passage in their order: 1 where it is active, 0 where it is not. Example for three \
passages: [0, 1, 0]"""


def explainer_prompt(examples: Sequence[Example]) -> str:
    """Format the passages for an explainer."""
    highest = max((max(example.strengths) for example in examples), default=0.0) or 1.0
    return "\n".join(
        f"{number}. {_marked(example)}\n   strengths: {_strengths(example, highest)}"
        for number, example in enumerate(examples, 1)
    )


def judge_prompt(explanation: str, windows: Sequence[Example]) -> str:
    """Format the question for a judge."""
    passages = "\n".join(f"{n}. {_plain(window)}" for n, window in enumerate(windows, 1))
    return f"The unit is active here: {explanation}\n\nPassages:\n{passages}"


def yes_no_prompt(explanation: str, window: Example) -> str:
    """Format the question about one passage, for a model that continues text."""
    return (
        f"Pattern: {explanation}\nPassage: {_plain(window)}\n"
        "Does the pattern occur in the passage? Answer yes or no. Answer:"
    )


def _plain(example: Example) -> str:
    return _on_one_line("".join(example.tokens))


def _marked(example: Example) -> str:
    tokens = zip(example.tokens, example.strengths, strict=True)
    return _on_one_line("".join(f"{OPEN}{t}{CLOSE}" if s > 0 else t for t, s in tokens))


def _strengths(example: Example, highest: float) -> str:
    tokens = zip(example.tokens, example.strengths, strict=True)
    return ", ".join(
        f"{_on_one_line(t)!r} {max(1, round(10 * s / highest))}" for t, s in tokens if s > 0
    )


def _on_one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
