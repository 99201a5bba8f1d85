"""A language model behind an OpenAI-compatible endpoint, over plain HTTP."""

import os
import time
from dataclasses import dataclass
from typing import Any

import httpx

from seedstability.errors import UserError

_RETRY_STATUSES = (408, 409, 425, 429)
"""Transient statuses, besides those from 500 on."""
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Endpoint:
    """Address of a model, with timeout and retries."""

    base_url: str
    """Base URL as OpenAI's clients take it, such as `http://localhost:8000/v1`."""
    model: str
    """Name of the model at the endpoint."""
    key_variable: str = ""
    """Environment variable that holds the key; no key is sent if omitted."""
    timeout: float = 60.0
    """Timeout of a request in seconds."""
    retries: int = 3
    """Number of retries when the server is busy or cannot be reached."""
    pause: float = 1.0
    """Seconds before the first retry, doubled for each further one."""
    max_tokens: int = 300
    """Maximum length of an answer."""

    def complete(self, instruction: str, question: str) -> str:
        """Return the model's answer, at temperature zero.

        Raises:
            UserError: no key, no server, a refusal, or a reply that is not a chat completion.
        """
        messages = [
            {"role": "system", "content": instruction},
            {"role": "user", "content": question},
        ]
        request = {
            "model": self.model,
            "messages": messages,
            "temperature": 0.0,
            "max_tokens": self.max_tokens,
        }
        return self._content(self._posted(request))

    def _posted(self, request: dict[str, Any]) -> httpx.Response:
        address = f"{self.base_url.rstrip('/')}/chat/completions"
        headers, problem = self._headers(), ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                response = httpx.post(address, json=request, headers=headers, timeout=self.timeout)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError) as error:
                raise UserError(f"{address} cannot be asked ({error}); check base_url") from None
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
                continue
            if response.is_success:
                return response
            problem = f"status {response.status_code}: {_one_line(response.text)}"
            if response.status_code < 500 and response.status_code not in _RETRY_STATUSES:
                raise UserError(f"{address} refused ({problem}); check model, key and base_url")
        tries = f"{self.retries + 1} times"
        raise UserError(f"{address} did not answer, asked {tries} ({problem}); is it running?")

    def _headers(self) -> dict[str, str]:
        if not self.key_variable:
            return {}
        key = os.environ.get(self.key_variable, "")
        if not key:
            raise UserError(
                f"the environment has no {self.key_variable}; put the endpoint's key there"
            )
        return {"Authorization": f"Bearer {key}"}

    def _content(self, response: httpx.Response) -> str:
        try:
            content = response.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            content = None
        if not isinstance(content, str):
            raise UserError(
                f"{self.base_url} answered {_one_line(response.text)!r}, which is not a chat"
                " completion; base_url must be that of an OpenAI-compatible endpoint"
            )
        return content


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARACTERS]
