"""The lines at the bottom of a form: what belongs where one is, or what is wrong there."""

from __future__ import annotations

from textual.widgets import Static

from tui.launch.field_row import FieldRow
from tui.launch.form_row import FormRow
from tui.launch.forms import Form
from tui.launch.head_rows import SectionRow


class Foot(Static):
    """A flag and what the command says of it; an error in its place."""

    def __init__(self) -> None:
        super().__init__(id="launch-foot", markup=False)

    def say(self, text: str) -> None:
        """Say something."""
        self._say(text, wrong=False)

    def complain(self, error: str) -> None:
        """Say what is wrong."""
        self._say(f"! {error}", wrong=True)

    def tell_of(self, form: Form, row: FormRow | None) -> None:
        """Say what there is to say of a line."""
        if row is not None and row.wrong:
            self.complain(row.wrong)
        elif isinstance(row, FieldRow):
            self.say(f"{row.field.parameter.called}  {row.field.parameter.help}")
        elif isinstance(row, SectionRow):
            self.say(", ".join(field.label for field in row.section.fields))
        else:
            self.say(form.about)

    def _say(self, text: str, wrong: bool) -> None:
        self.set_class(wrong, "-wrong")
        if text != self.content:
            # Its height is fixed.
            self.update(text, layout=False)
