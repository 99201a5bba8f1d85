"""A causal language model from a local folder, as explainer and as judge by likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from audit.evaluation.explanation import prompts
from audit.evaluation.explanation.detection import Example
from seedstability.errors import UserError


@dataclass(frozen=True)
class LocalModel:
    """A model in a folder as `transformers` saves it; nothing is downloaded."""

    folder: Path
    """Folder with `config.json`, weights and tokenizer."""
    max_tokens: int = 60
    """Maximum length of an answer."""

    def complete(self, instruction: str, question: str) -> str:
        """Return the greedy continuation, with the model's chat template if it has one.

        Raises:
            UserError: the folder holds no such model, or the question is too long for it.
        """
        tokenizer, model = self._loaded
        if getattr(tokenizer, "chat_template", None):
            messages = [
                {"role": "system", "content": instruction},
                {"role": "user", "content": question},
            ]
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        else:
            text = f"{instruction}\n\n{question}\n\nAnswer:"
        ids = self._ids(text, self.max_tokens)
        with torch.no_grad():
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self.max_tokens,
                do_sample=False,
                pad_token_id=tokenizer.eos_token_id or 0,
            )
        return tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)

    def log_probability(self, text: str, continuation: str) -> float:
        """Compute the log-probability of a continuation of the text."""
        tokenizer, model = self._loaded
        after = tokenizer(continuation, add_special_tokens=False)["input_ids"]
        ids = torch.cat([self._ids(text, len(after)), torch.tensor([after])], dim=1)
        with torch.no_grad():
            logits = model(ids).logits[0, -len(after) - 1 : -1]
        expected = logits.double().log_softmax(-1)
        return expected[torch.arange(len(after)), torch.tensor(after)].sum().item()

    def _ids(self, text: str, room: int) -> torch.Tensor:
        tokenizer, model = self._loaded
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        most = getattr(model.config, "max_position_embeddings", None)
        if most is not None and ids.shape[1] + room > most:
            raise UserError(
                f"the model in {self.folder} reads {most} tokens, and {ids.shape[1]} with an answer"
                f" of {room} are too many; show fewer windows, or take another model"
            )
        return ids

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                self.folder, local_files_only=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{self.folder} holds no causal language model ({said}); give a folder that"
                " transformers' save_pretrained wrote, tokenizer included"
            ) from None
        return tokenizer, model.eval()


@dataclass(frozen=True)
class LocalJudge:
    """Asks about one window at a time and takes the more likely of yes and no.

    This works with any causal model, even one that does not follow instructions.
    """

    model: LocalModel
    """The language model."""

    def judge(self, explanation: str, windows: Sequence[Example]) -> list[bool]:
        """See `Judge`."""
        return [self._says_yes(prompts.yes_no_prompt(explanation, window)) for window in windows]

    def _says_yes(self, text: str) -> bool:
        yes, no = (self.model.log_probability(text, answer) for answer in (" yes", " no"))
        return yes > no
