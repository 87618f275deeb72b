"""A form: the fields of a command, those that are rarely needed folded away under their headings."""

from __future__ import annotations

from collections.abc import Mapping

from textual import on
from textual.containers import VerticalScroll
from textual.message import Message

from tui.launch.field_row import FieldRow
from tui.launch.form_row import FormRow
from tui.launch.forms import Field, Form, Section
from tui.launch.head_rows import CommandRow, SectionRow, StartRow
from tui.launch.parameters import Value, Values

_PRESET = "preset"


class FormView(VerticalScroll, can_focus=False):
    """Lines that one moves through; holds what is filled in.

    Neither the form nor its lines have the focus, which is nowhere unless something is typed: so a move
    paints two lines and nothing else. The values are those of `tui.launch.parameters.Values`: what is not
    given is not among them.
    """

    class Changed(Message):
        """Something else is filled in."""

    class Moved(Message):
        """The user is at another line."""

    def __init__(self) -> None:
        super().__init__(id="launch-form")
        self.form: Form | None = None
        self.wrong: Mapping[str, str] = {}
        """What is wrong, by the names of parameters."""
        self._values: dict[str, Value] = {}
        self._open: set[str] = set()
        self._here: FormRow | None = None

    @property
    def values(self) -> Values:
        """What is filled in."""
        return dict(self._values)

    @property
    def current(self) -> FormRow | None:
        """The line that one is at."""
        return self._here

    @property
    def rows(self) -> list[FormRow]:
        """All lines that are not folded away."""
        return [child for child in self.children if isinstance(child, FormRow)]

    async def show(self, form: Form, values: Values) -> None:
        """Show a form, filled in so."""
        again = self.form is not None and self.form.command == form.command
        self.form, self._values, self.wrong = form, dict(values), {}
        self._open = self._open if again else set()
        await self.remove_children()
        await self.mount_all(self._all_rows(form))
        self._show_values()
        self.screen.set_focus(None)
        self._go(self.rows[0])
        self.post_message(self.Changed())

    async def fill(self, values: Values) -> None:
        """Fill it in anew."""
        if self.form is not None:
            await self.show(self.form, values)

    def mark(self, wrong: Mapping[str, str]) -> None:
        """Say what is wrong, by the names of parameters."""
        self.wrong = wrong
        for row in self.rows:
            if isinstance(row, FieldRow):
                row.mark_wrong(wrong.get(row.field.parameter.name, ""))
            elif isinstance(row, SectionRow):
                inside = [wrong[name] for name in _names(row.section) if name in wrong]
                row.mark_wrong(inside[0] if inside and not row.is_open else "")

    async def go_to(self, name: str) -> None:
        """Go to the field of a parameter, out of its fold."""
        for head in self.rows:
            if isinstance(head, SectionRow) and not head.is_open and name in _names(head.section):
                await self._fold(head)
        row = next((row for row in self._fields() if row.field.parameter.name == name), None)
        if row is not None:
            self._go(row)

    def take_typed(self) -> None:
        """End what is being typed, and keep it."""
        for row in self._fields():
            row.take()

    # What the user does

    def move(self, by: int) -> None:
        """Move so many lines on; not while something is typed."""
        rows = self.rows
        if self._here in rows and self.screen.focused is None:
            place = rows.index(self._here) + by
            self._go(rows[max(0, min(len(rows) - 1, place))])

    def enter(self) -> None:
        """Fill in the line; turn a flag round; fold out, or away."""
        if self._here is not None:
            self._here.action()

    def clear_line(self) -> None:
        """Take back what is filled in there."""
        if isinstance(self._here, FieldRow):
            self._here.clear()

    @on(FormRow.Clicked)
    def _click(self, event: FormRow.Clicked) -> None:
        """Go to a line; where one is already, do what enter does."""
        event.stop()
        if event.row is self._here:
            event.row.action()
        else:
            self.take_typed()
            self._go(event.row)

    # What happens in the lines

    @on(FieldRow.Changed)
    async def _change(self, event: FieldRow.Changed) -> None:
        event.stop()
        parameter, value = event.row.field.parameter, event.value
        if parameter.repeated:
            many = list(self._many(parameter.name))
            many[event.row.place : event.row.place + 1] = [] if value in (None, "") else [str(value)]
            self._set(parameter.name, tuple(many) or None)
        else:
            self._set(parameter.name, value)
        event.row.show(value, self._keeps)
        if not event.row.is_editing:
            await self._follow_values(event.row)
        self.post_message(self.Changed())

    @on(FieldRow.Left)
    async def _leave(self, event: FieldRow.Left) -> None:
        event.stop()
        self.screen.set_focus(None)
        await self._follow_values(event.row)
        if event.move:
            self.move(event.move)

    @on(SectionRow.Toggled)
    async def _toggle(self, event: SectionRow.Toggled) -> None:
        event.stop()
        await self._fold(event.row)

    # Showing

    def _go(self, row: FormRow) -> None:
        if self._here is not None:
            self._here.point(False)
        self._here = row
        row.point(True)
        self.call_after_refresh(self.scroll_to_widget, row, animate=False)
        self.post_message(self.Moved())

    def _set(self, name: str, value: Value | None) -> None:
        if value is None:
            self._values.pop(name, None)
        else:
            self._values[name] = value

    def _fields(self) -> list[FieldRow]:
        return [row for row in self.rows if isinstance(row, FieldRow)]

    def _all_rows(self, form: Form) -> list[FormRow]:
        top, *folded = form.sections
        rows: list[FormRow] = [CommandRow(form.command), *self._rows_of(top), StartRow()]
        for section in folded:
            rows += [SectionRow(section), *(self._rows_of(section) if section.title in self._open else ())]
        return rows

    def _rows_of(self, section: Section) -> list[FieldRow]:
        """The lines of fields: of one that takes several values a line each, and one for another."""
        return [FieldRow(field, place) for field in section.fields for place in range(self._count(field))]

    def _count(self, field: Field) -> int:
        return len(self._many(field.parameter.name)) + 1 if field.parameter.repeated else 1

    async def _follow_values(self, row: FieldRow) -> None:
        """Have as many lines of a repeated field as it has values, and one for another."""
        if row.field.parameter.repeated:
            rows = [one for one in self._fields() if one.field is row.field]
            count = self._count(row.field)
            if self._here in rows[count:]:
                self._go(rows[count - 1])
            more = [FieldRow(row.field, place) for place in range(len(rows), count)]
            await self.mount_all(more, after=rows[-1])
            await self.remove_children(rows[count:])
        self._show_values()

    async def _fold(self, head: SectionRow) -> None:
        title = head.section.title
        if title in self._open:
            self._open.discard(title)
            await self.remove_children([row for row in self._fields() if row.field in head.section.fields])
        else:
            self._open.add(title)
            await self.mount_all(self._rows_of(head.section), after=head)
        self._show_values()
        self.mark(self.wrong)

    def _show_values(self) -> None:
        for row in self.rows:
            if isinstance(row, FieldRow):
                name = row.field.parameter.name
                if row.field.parameter.repeated:
                    many = self._many(name)
                    row.show(many[row.place] if row.place < len(many) else None, self._keeps)
                else:
                    row.show(self._values.get(name), self._keeps)
            elif isinstance(row, SectionRow):
                given = sum(name in self._values for name in _names(row.section))
                row.show(given, row.section.title in self._open)

    def _many(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name, ())
        assert isinstance(value, tuple)
        return value

    @property
    def _keeps(self) -> bool:
        """Whether what is typed counts as given, even if it says the default: see `words_of`."""
        return _PRESET in self._values


def _names(section: Section) -> set[str]:
    return {field.parameter.name for field in section.fields}
