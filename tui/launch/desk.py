"""The threads of Launch: what reads modules and disks, asks other processes, and starts jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

from stores.errors import UserError
from tui.background import LatestReader
from tui.launch import examples, reading
from tui.launch.messages import (
    Checked,
    Completed,
    FormLoaded,
    FormRefused,
    MazesWritten,
    NotStarted,
    Rehearsed,
    Started,
)
from tui.launch.reading import Wanted

if TYPE_CHECKING:
    from cosinterp.rehearsal import Rehearsal
    from tui.launch.forms import Form
    from tui.launch.parameters import Parameter, Values

Words = tuple[str, ...]
_Request = TypeVar("_Request")


class Desk:
    """Does what takes its time for a screen, and tells it by the messages of `tui.launch.messages`.

    Each kind of work has a thread of its own, begun when it is first asked for; of several questions of a
    kind the last one counts.
    """

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen
        self._rehearsal: Rehearsal | None = None
        self._forms = self._reader("form", self._read_form)
        self._checker = self._reader("check", self._check)
        self._rehearser = self._reader("rehearse", self._rehearse)
        self._completer = self._reader("completions", self._complete)
        self._starter = self._reader("start", self._start)
        self._writer = self._reader("mazes", self._write_mazes)

    def open(self, wanted: Wanted) -> None:
        """Read a form: `FormLoaded` or `FormRefused`."""
        self._forms.ask(wanted)

    def check(self, words: Words) -> None:
        """Have the command line's parser read words: `Checked`. What is being rehearsed is given up."""
        self.give_up()
        self._checker.ask(words)

    def rehearse(self, words: Words) -> None:
        """Ask the command line what words would do: `Rehearsed`."""
        self._rehearser.ask(words)

    def give_up(self) -> None:
        """Have no interest in what is being rehearsed any more."""
        if self._rehearsal is not None:
            self._rehearsal.overtake()

    def complete(self, form: Form, parameter: Parameter, values: Values, text: str) -> None:
        """Find what a text may go on with: `Completed`."""
        self._completer.ask((form, parameter, values, text))

    def start(self, words: Words, name: str | None) -> None:
        """Start a job: `Started` or `NotStarted`."""
        self._starter.ask((words, name))

    def write_mazes(self, folder: Path) -> None:
        """Write the mazes of the example: `MazesWritten`."""
        self._writer.ask(folder)

    def close(self) -> None:
        """Ask for nothing any more, and end the process that rehearses."""
        for reader in (
            self._forms,
            self._checker,
            self._rehearser,
            self._completer,
            self._starter,
            self._writer,
        ):
            reader.close()
        if self._rehearsal is not None:
            self._rehearsal.close()

    # In the threads

    def _reader(self, name: str, work: Callable[[_Request], None]) -> LatestReader[_Request]:
        return LatestReader(name, work, lambda crashed: self._screen.app.post_message(crashed))

    def _read_form(self, wanted: Wanted) -> None:
        try:
            form, values = reading.read_form(wanted)
        except UserError as error:
            self._screen.post_message(FormRefused(str(error)))
        else:
            self._screen.post_message(FormLoaded(form, values, reading.all_commands()))

    def _check(self, words: Words) -> None:
        from cosinterp.rehearsal import check_words

        self._screen.post_message(Checked(words, check_words(words)))

    def _rehearse(self, words: Words) -> None:
        from cosinterp.rehearsal import Answer, Rehearsal

        if self._rehearsal is None:
            self._rehearsal = Rehearsal()
        try:
            answer = self._rehearsal.ask(words)
        except OSError as error:
            # No process can be started, or the folder that the app is in is gone.
            answer = Answer(False, _said(error), bug=str(error))
        if answer is not None:
            self._screen.post_message(Rehearsed(words, answer))

    def _complete(self, asked: tuple[Form, Parameter, Values, str]) -> None:
        from tui.launch.completing import completions

        _, parameter, _, text = asked
        self._screen.post_message(Completed(parameter.name, text, completions(*asked)))

    def _start(self, asked: tuple[Words, str | None]) -> None:
        from cosinterp.rehearsal.naming import flag_meant

        try:
            job = reading.start(*asked)
        except UserError as error:
            self._screen.post_message(NotStarted(str(error), flag_meant(str(error), {})))
        else:
            self._screen.post_message(Started(job))

    def _write_mazes(self, folder: Path) -> None:
        try:
            examples.write_example_mazes(folder)
        except UserError as error:
            self._screen.post_message(MazesWritten(str(error)))
        except OSError as error:
            self._screen.post_message(MazesWritten(f"the mazes cannot be written: {_said(error)}"))
        else:
            self._screen.post_message(MazesWritten())


def _said(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
