"""Values for the rules of claims, held in a dictionary."""

from audit.pipeline.results import Scalar
from seedstability.errors import UserError


class Held(dict):
    """Values by address."""

    def scalar(self, address: str) -> Scalar:
        """The value at an address; raises `UserError` where there is none."""
        try:
            return self[address]
        except KeyError:
            raise UserError(f"nothing at {address}") from None
