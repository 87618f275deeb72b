"""A field of a form, and the typing of its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.message import Message

from tui.launch.form_row import FormRow
from tui.launch.forms import Field
from tui.launch.parameters import Kind, Value
from tui.launch.value_input import Completions, ValueInput

if TYPE_CHECKING:
    from tui.launch.completing import Completion

EMPTY = "''"
"""How a text that is given and empty is shown, and typed."""
_ROOM_FOR_HELP = 88
_VALUE = 40


class FieldRow(FormRow):
    """A field, or one value of a field that takes several; the value is typed in its place."""

    class Changed(Message):
        """A value is typed, taken back or turned round; None: it is not given."""

        def __init__(self, row: FieldRow, value: str | bool | None) -> None:
            self.row = row
            self.value = value
            super().__init__()

    class Left(Message):
        """A value is typed; ``move`` is where to go on, as of `ValueInput.Done`."""

        def __init__(self, row: FieldRow, move: int) -> None:
            self.row = row
            self.move = move
            super().__init__()

    class Asked(Message):
        """What may the text go on with?"""

        def __init__(self, row: FieldRow, text: str) -> None:
            self.row = row
            self.text = text
            super().__init__()

    def __init__(self, field: Field, place: int = 0) -> None:
        super().__init__()
        self.field = field
        self.place = place
        self._value: Value | None = None
        self._before: Value | None = None
        self._keeps = False
        self._typing: ValueInput | None = None

    @property
    def value(self) -> Value | None:
        """What is given here; None: nothing."""
        return self._value

    @property
    def is_editing(self) -> bool:
        """Whether a value is being typed."""
        return self._typing is not None

    def show(self, value: Value | None, keeps: bool = False) -> None:
        """Show a value; None: it is not given.

        Args:
            value: of this line.
            keeps: what is typed counts as given, even if it says the default.
        """
        self._keeps = keeps
        if value != self._value:
            self._value = value
            self.refresh()

    def text(self) -> Text:  # noqa: D102
        parameter = self.field.parameter
        line = self.line_of(self.field.label if not self.place else "")
        text, look = self._said()
        if self.size.width >= _ROOM_FOR_HELP and not self.place:
            short = text if len(text) < _VALUE else f"{text[: _VALUE - 2]}…"
            line.append(short.ljust(_VALUE), self.look(look))
            line.append(parameter.help, self.look("help"))
        else:
            line.append(text, self.look(look))
        return line

    def _said(self) -> tuple[str, str]:
        """The value as it reads, and its look."""
        parameter, value = self.field.parameter, self._value
        if parameter.kind is Kind.FLAG:
            on = parameter.default if value is None else value
            return "yes" if on else "no", "unset" if value is None else "given"
        if value is not None:
            return str(value) or EMPTY, "given"
        if self.place:
            return "and...", "unset"
        if parameter.required:
            return "needed", "needed"
        return parameter.shown or "-", "unset"

    # What the user does

    def action(self) -> None:
        """Type a value; turn a flag round."""
        parameter = self.field.parameter
        if parameter.kind is Kind.FLAG:
            turned = not (parameter.default if self._value is None else self._value)
            self.post_message(self.Changed(self, None if turned == parameter.default else turned))
            return
        if not self.is_editing:
            self._before = self._value
            offered = Completions()
            self._typing = ValueInput(self._first_text(), offered)
            self._typing.styles.margin = (0, 0, 0, self.value_column)
            offered.styles.margin = (0, 0, 1, self.value_column)
            self.mount(self._typing, offered)
            self.screen.set_focus(self._typing)

    def clear(self) -> None:
        """Take the value back."""
        self.post_message(self.Changed(self, None))

    def offer(self, text: str, found: Sequence[Completion]) -> None:
        """Show what the value may go on with, if it still is the one that was asked about."""
        if self._typing is not None and (not text or self._typing.value == text):
            self._typing.completions.show(found)

    def take(self) -> None:
        """End typing, and keep what is typed."""
        if self.is_editing:
            self._end(keep=True, move=0)

    @on(ValueInput.Changed)
    def _type(self, event: ValueInput.Changed) -> None:
        event.stop()
        self._tell(event.value)

    @on(ValueInput.Asked)
    def _ask(self, event: ValueInput.Asked) -> None:
        event.stop()
        self.post_message(self.Asked(self, event.text))

    @on(ValueInput.Done)
    def _finish(self, event: ValueInput.Done) -> None:
        event.stop()
        if self._typing is not None:
            self._end(event.keep, event.move)

    def _end(self, keep: bool, move: int) -> None:
        if not keep:
            self.post_message(self.Changed(self, self._one(self._before)))
        self._typing = None
        self.remove_children()
        self.post_message(self.Left(self, move))
        self.refresh()

    def _tell(self, text: str) -> None:
        if text == self._first_text() and self._value == self._before:
            return
        parameter = self.field.parameter
        if not text or (text == parameter.default and not self._keeps):
            self.post_message(self.Changed(self, None))
        else:
            self.post_message(self.Changed(self, "" if text == EMPTY else text))

    def _first_text(self) -> str:
        """What stands in the line at first: what is given, or the default to be changed."""
        if self._before is not None:
            return str(self._before) or EMPTY
        default = self.field.parameter.default
        return default if isinstance(default, str) and not self._keeps else ""

    @staticmethod
    def _one(value: Value | None) -> str | bool | None:
        assert not isinstance(value, tuple)
        return value
