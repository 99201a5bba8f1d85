"""A checkpoint's settings: JSON that somebody else wrote, read without trusting it."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

from seedstability.errors import UserError

# The largest seen is some 10 kB; a file of gigabytes under this name is something else.
_LARGEST = 2**24
# Of latents, or of coordinates; no tensor has more.
_MOST = 2**31


@dataclass(frozen=True)
class Settings:
    """The settings of one file, each asked for with the type that it must have."""

    path: Path
    """The file; every complaint names it."""
    values: dict[str, Any]
    """What it holds."""
    inside: str = ""
    """Where in the file these settings lie, such as `trainer.`"""

    def whole(self, name: str) -> int:
        """A number of something, at least 1."""
        value = self._needed(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
            raise self.wrong(name, f"a whole number in 1…{_MOST}")
        return value

    def number(self, name: str) -> float:
        """A number above 0."""
        value = self._needed(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        if not 0 < value <= sys.float_info.max:
            raise self.wrong(name, "above 0, and finite")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """A yes or no."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """A name of something."""
        value = self._needed(name) if default is None else self.values.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "a word")
        return value

    def part(self, name: str) -> "Settings":
        """The settings under this name."""
        value = self._needed(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object of settings")
        return Settings(self.path, value, f"{self.inside}{name}.")

    def without(self, *names: str) -> None:
        """Refuse settings under which the file holds more than an SAE that can be read.

        Raises:
            UserError: for the first of `names` that is there and neither false nor empty.
        """
        for name in names:
            if self.values.get(name):
                raise self.wrong(name, "false: no SAE here computes that")

    def wrong(self, name: str, right: str) -> UserError:
        """The complaint about one setting."""
        value = short(self.values.get(name))
        return UserError(f"{self.path}: {self.inside}{name} is {value}; it must be {right}")

    def _needed(self, name: str) -> Any:
        if name not in self.values:
            raise UserError(f"{self.path} has no {self.inside}{name}; this format always says it")
        return self.values[name]


def read_settings(path: Path) -> Settings:
    """The settings in a file.

    Raises:
        UserError: no regular file, one that is far too large, or no JSON object.
    """
    size = size_of(path)
    if size > _LARGEST:
        raise UserError(f"{path} has {size} bytes; settings never have more than {_LARGEST}")
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds {short(values)}; it must hold an object of settings")
    return Settings(path, values)


def size_of(path: Path) -> int:
    """Bytes of a file that can safely be opened; a pipe, say, would be waited for.

    Raises:
        UserError: it is not there, leads nowhere, or is no regular file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is no regular file")
    return found.st_size
