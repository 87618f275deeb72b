"""What the threads of Launch tell its screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from cosinterp.rehearsal import Answer
    from tui.launch.completing import Completion
    from tui.launch.forms import Form
    from tui.launch.parameters import Values


class FormLoaded(Message):
    """The form of a command is known.

    ``commands`` are all there are, each with a line on what it does. Values of None: none were asked for.
    """

    def __init__(self, form: Form, values: Values | None, commands: Sequence[tuple[str, str]]) -> None:
        self.form = form
        self.values = values
        self.commands = commands
        super().__init__()


class FormRefused(Message):
    """There is no form for what was asked."""

    def __init__(self, error: str) -> None:
        self.error = error
        super().__init__()


class Checked(Message):
    """The command line's parser has read some words."""

    def __init__(self, words: tuple[str, ...], answer: Answer) -> None:
        self.words = words
        self.answer = answer
        super().__init__()


class Rehearsed(Message):
    """The command line has said what some words would do."""

    def __init__(self, words: tuple[str, ...], answer: Answer) -> None:
        self.words = words
        self.answer = answer
        super().__init__()


class Completed(Message):
    """What the text of a field may go on with."""

    def __init__(self, name: str, text: str, found: Sequence[Completion]) -> None:
        self.name = name
        self.text = text
        self.found = found
        super().__init__()


class Started(Message):
    """A job has been started."""

    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__()


class NotStarted(Message):
    """A job could not be started, or its command failed at once; ``flag`` is what the error is about."""

    def __init__(self, error: str, flag: str | None) -> None:
        self.error = error
        self.flag = flag
        super().__init__()


class MazesWritten(Message):
    """The mazes of the example are there, or could not be written."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        super().__init__()
