"""The exception for mistakes of the user."""


class UserError(Exception):
    """A mistake that the user can correct: one line says what was wrong, where, and what is right.

    The command lines print it without a traceback and exit with status 2.
    """
