"""Measures of the user's own: a Python function, named as ``module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from cosinterp.patching.measures import Measure, MeasureError, Truth
from cosinterp.scorers import Frames, Metric

FORM = (
    "write module:function, of a function (video, recipient_truth, donor_truth) -> number or numbers by name"
)


class OwnMeasure:
    """A function as a measure; a single number goes into a column of the function's name.

    The function is given a video, uint8 (frame, row, col, rgb), and the truths of the sample that was patched
    and of the one that the activations come from (empty if there is none). NaN is kept: it says that there is
    nothing to measure.
    """

    columns: tuple[Metric, ...] = ()

    def __init__(self, name: str, function: Callable[[Frames, Truth, Truth], Any]) -> None:
        self.name = name
        self._column = name.rpartition(":")[2]
        self._function = function

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> Mapping[str, Any]:
        """What the function returns, by name."""
        found = self._function(video, recipient_truth, donor_truth)
        return found if isinstance(found, Mapping) else {self._column: found}


def load_measure(text: str) -> Measure:
    """The measure that ``module:function`` names.

    The module is looked for where Python looks, and then in the current folder.

    Raises:
        MeasureError: there is no such module or function, importing it fails, or it takes other arguments.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise MeasureError(f'measure "{text}": {FORM}')
    module = _imported(text, module_name)
    if not hasattr(module, name):
        raise MeasureError(f'measure "{text}": {module_name} has no {name}; {_functions(module)}')
    function = getattr(module, name)
    if not callable(function):
        raise MeasureError(f'measure "{text}": {name} is of the type {type(function).__name__}; {FORM}')
    _check_arguments(text, function)
    return OwnMeasure(text, function)


def _imported(text: str, name: str) -> ModuleType:
    try:
        with _current_folder_last():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise MeasureError(f'measure "{text}": {name} needs {error.name}, which is not there') from error
        raise MeasureError(
            f'measure "{text}": there is no module {error.name}, neither installed nor in {Path.cwd()}'
        ) from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise MeasureError(f'measure "{text}": {name} cannot be imported: {reason}') from error


@contextmanager
def _current_folder_last() -> Iterator[None]:
    # Last, so that a file there never stands in for a library.
    folder = str(Path.cwd())
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def _functions(module: ModuleType) -> str:
    names = [
        name
        for name, member in vars(module).items()
        if inspect.isfunction(member) and not name.startswith("_") and member.__module__ == module.__name__
    ]
    return f"it has {', '.join(names)}" if names else "it has no function of its own"


def _check_arguments(text: str, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Functions written in C need not tell; a wrong call is then reported when it is made.
        return
    try:
        signature.bind(None, None, None)
    except TypeError as error:
        raise MeasureError(
            f'measure "{text}": takes {signature}; it has to take (video, recipient_truth, donor_truth)'
        ) from error
