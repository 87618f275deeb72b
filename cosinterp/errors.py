"""Errors that the user can mend: the message is the whole text, and the command line exits with code 2."""

from stores.errors import SelectionError, StoreError, UserError

__all__ = [
    "InterventionError",
    "JobError",
    "ModelError",
    "ModelWarning",
    "SampleError",
    "SelectionError",
    "StoreError",
    "TraceError",
    "UserError",
]


class ModelError(UserError):
    """A model cannot be found, loaded or understood."""


class InterventionError(UserError):
    """An intervention cannot be applied, or a run cannot be replayed."""


class JobError(UserError):
    """A job cannot be started, found or told to do something."""


class ModelWarning(UserWarning):
    """Something about a model that the user should know, and that stops nothing."""


class SampleError(UserError):
    """A sample cannot be read, or does not fit the model."""


class TraceError(UserError):
    """A trace cannot start or go on: too little space, runs that exist, settings the pipeline refuses."""
