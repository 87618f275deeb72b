"""Errors that a user can mend.

An error of this family carries its whole text for the user in one or two lines: what is wrong, where, and
what to do. The command line prints it and ends with exit code 2; no traceback, because the code is not at
fault. Every other exception is a bug of ours and keeps its traceback.
"""


class UserError(Exception):
    """A mistake or a circumstance that the user can mend; ``str(error)`` is the whole message.

    A program ends with ``exit_code`` after printing it.
    """

    exit_code: int = 2


class SelectionError(UserError):
    """A selection of layers, steps, seeds or sites that cannot be read or is not there."""


class StoreError(UserError):
    """A store that cannot be opened, made, read or written as asked."""


class NoRunError(StoreError):
    """A run that is not there, or not any more."""


class ClaimedError(StoreError):
    """A run that another process is making."""


class UnreadableError(StoreError):
    """A file that the system does not let us read; what is in it may be whole."""


class VersionError(StoreError):
    """A store or run of another format version."""
