"""Read the settings of a checkpoint, as untrusted JSON."""

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

from seedstability.errors import UserError

# Settings files have some 10 kB.
_MAX_BYTES = 2**24
# Upper bound of numbers of latents and dimensions.
_MAX_SIZE = 2**31


@dataclass(frozen=True)
class Settings:
    """Settings of one file, with typed access."""

    path: Path
    """The file, named in every error."""
    values: dict[str, Any]
    """Keys and values."""
    inside: str = ""
    """Prefix of these settings in the file, such as `trainer.`"""

    def whole(self, name: str) -> int:
        """Get a whole number, at least 1."""
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_SIZE:
            raise self.wrong(name, f"a whole number in 1…{_MAX_SIZE}")
        return value

    def number(self, name: str) -> float:
        """Get a number above 0."""
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        if not 0 < value <= sys.float_info.max:
            raise self.wrong(name, "above 0, and finite")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Get a boolean."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def word(self, name: str, default: str | None = None) -> str:
        """Get a string."""
        value = self._required(name) if default is None else self.values.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def part(self, name: str) -> "Settings":
        """Get nested settings."""
        value = self._required(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "an object of settings")
        return Settings(self.path, value, f"{self.inside}{name}.")

    def without(self, *names: str) -> None:
        """Refuse settings of unsupported features.

        Raises:
            UserError: one of `names` is set.
        """
        for name in names:
            if self.values.get(name):
                raise self.wrong(name, "false: this is not supported")

    def wrong(self, name: str, right: str) -> UserError:
        """The error about one setting."""
        value = short(self.values.get(name))
        return UserError(f"{self.path}: {self.inside}{name} is {value}; it must be {right}")

    def _required(self, name: str) -> Any:
        if name not in self.values:
            raise UserError(f"{self.path}: required key {self.inside}{name} is missing")
        return self.values[name]


def read_settings(path: Path) -> Settings:
    """Read the settings in a file.

    Raises:
        UserError: not a regular file, too large, or not a JSON object.
    """
    size = size_of(path)
    if size > _MAX_BYTES:
        raise UserError(f"{path} has {size} bytes; settings have at most {_MAX_BYTES}")
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} contains {short(values)}; it must contain an object of settings")
    return Settings(path, values)


def size_of(path: Path) -> int:
    """Size in bytes of a regular file; opening a pipe, for example, would block.

    Raises:
        UserError: missing, a broken link, or not a regular file.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not a regular file")
    return found.st_size
