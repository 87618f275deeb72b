"""What stands beside a form, or below it: the command line that it makes, and what that would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from tui.app import app_of
from tui.launch.forms import Form
from tui.launch.parameters import Values
from tui.launch.plan_text import Outlook, command_text, page

if TYPE_CHECKING:
    from tui.jobs.watch import JobsSeen


class Side(Vertical):
    """The command line and the plan."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"launch--refused", "launch--quiet"}

    def __init__(self) -> None:
        super().__init__(id="launch-side")
        self._command = ""
        self._outlook: Outlook | None = None
        self._jobs: JobsSeen | None = None

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="launch-command", markup=False)
        with VerticalScroll(id="launch-plan", can_focus=False):
            yield Static(id="launch-plan-text")

    def show(self, form: Form, values: Values, outlook: Outlook) -> None:
        """Show what is known of a form that is filled in so."""
        command, jobs = f"$ {command_text(form.typed(values))}", app_of(self).jobs_watch.latest
        # The same is not sent again with each key.
        if command != self._command:
            self._command = command
            self.query_one("#launch-command", Static).update(command)
        if (outlook, jobs) != (self._outlook, self._jobs):
            self._outlook, self._jobs = outlook, jobs
            self.query_one("#launch-plan-text", Static).update(self._plan())

    def page(self) -> RenderableType:
        """All of it, to read."""
        return Group(Text(f"{self._command}\n", "bold"), self._plan())

    def _plan(self) -> RenderableType:
        if self._outlook is None:
            return Text()
        wrong, quiet = (
            self.get_component_rich_style(f"launch--{name}", partial=True) for name in ("refused", "quiet")
        )
        return page(self._outlook, self._jobs, wrong, quiet)
