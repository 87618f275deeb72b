"""Functions of the user's own, named as ``module:function``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from stores.errors import UserError


@dataclass(frozen=True)
class OwnFunctions:
    """What functions of the user's are asked for.

    Attributes:
        what: such as "measure": errors begin with it.
        form: how to write one, in words.
        arguments: the names of what it is called with.
        error: what is raised.
    """

    what: str
    form: str
    arguments: tuple[str, ...]
    error: type[UserError]

    def load(self, text: str) -> Callable[..., Any]:
        """The function that ``module:function`` names.

        The module is looked for where Python looks, and then in the current folder.

        Raises:
            UserError: of the type `error`: there is no such module or function, importing it fails, or it
                takes other arguments.
        """
        asked = f'{self.what} "{text}"'
        module_name, colon, name = text.partition(":")
        if not colon or not all(part.isidentifier() for part in (*module_name.split("."), name)):
            raise self.error(f"{asked}: {self.form}")
        module = self._imported(asked, module_name)
        if not hasattr(module, name):
            raise self.error(f"{asked}: {module_name} has no {name}; {_functions(module)}")
        function = getattr(module, name)
        if not callable(function):
            raise self.error(f"{asked}: {name} is of the type {type(function).__name__}; {self.form}")
        self._check_arguments(asked, function)
        return function

    def _imported(self, asked: str, name: str) -> ModuleType:
        try:
            with _current_folder_last():
                return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise self.error(f"{asked}: {name} needs {error.name}, which is not there") from error
            raise self.error(
                f"{asked}: there is no module {error.name}, neither installed nor in {Path.cwd()}"
            ) from error
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise self.error(f"{asked}: {name} cannot be imported: {reason}") from error

    def _check_arguments(self, asked: str, function: Callable[..., Any]) -> None:
        try:
            signature = inspect.signature(function)
        except ValueError:
            # Functions written in C need not tell; a wrong call is then reported when it is made.
            return
        try:
            signature.bind(*(None for _ in self.arguments))
        except TypeError as error:
            raise self.error(
                f"{asked}: takes {signature}; it has to take ({', '.join(self.arguments)})"
            ) from error


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
