"""The place Launch: a form for each command, which is started as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.app import app_of
from tui.copying import copy
from tui.dialogs.ask import Question
from tui.dialogs.chooser import Chooser
from tui.dialogs.page import Page
from tui.keys import bindings
from tui.launch import examples
from tui.launch.desk import Desk
from tui.launch.field_row import FieldRow
from tui.launch.foot import Foot
from tui.launch.form_view import FormView
from tui.launch.forms import FIRST
from tui.launch.head_rows import CommandRow, StartRow
from tui.launch.judge import Judge
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
from tui.launch.parameters import JOB_NAME
from tui.launch.plan_text import Outlook, Stage, command_text
from tui.launch.reading import Wanted
from tui.launch.side import Side
from tui.launch.words import kept_values
from tui.widgets.key_footer import KeyFooter
from tui.widgets.places_bar import PlacesBar

_LAST, _COMMAND = "launch.values", "launch.command"
"""Names by which the app remembers what is filled in, by command, and which form was open."""


class Launch(Screen[None]):
    """A form, the command line that it makes, and what that would do."""

    CSS_PATH = "launch.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("launch"), *bindings("form")]
    PLACES = ("launch", "form", "value", "app")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-short"), (18, "-middle"), (30, "-high")]

    # Textual's own repaints the whole screen whenever the focus moves: 25 KB at 200x60 to fill in a line.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._desk = Desk(self)
        self._judge = Judge(self, self._desk)
        self._view = FormView()
        self._side = Side()
        self._foot = Foot()
        self._commands: Sequence[tuple[str, str]] = ()
        self._last: dict[str, Any] = {}
        self._starts_when_told = False
        self._is_starting = False

    def compose(self) -> ComposeResult:  # noqa: D102
        yield PlacesBar()
        yield Static(id="status", markup=False)
        with Container(id="launch-body"):
            yield self._view
            yield self._side
        yield self._foot
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self._side.display = False
        self.app.mode_change_signal.subscribe(self, self._come_back)
        memory = app_of(self).memory
        self._last = dict(memory.get(_LAST, {}))
        self._desk.open(Wanted(command=memory.get(_COMMAND, FIRST[0])))
        self._show()

    def on_screen_suspend(self) -> None:  # noqa: D102
        self._remember()

    def on_unmount(self) -> None:  # noqa: D102
        self._remember()
        self._desk.close()

    # From other places

    def fill_in(self, command: str, values: Mapping[str, Any]) -> None:
        """Open the form of a command ("trace", "store verify") with values of its flags.

        Args:
            command: as it is typed.
            values: by the names of parameters or flags ("num_steps", "--num-steps"): texts, numbers, paths,
                lists, or whether a flag is on; None is not given.
        """
        self._desk.open(Wanted(command=command, given=dict(values)))

    def fill_in_words(self, words: Sequence[str], cwd: Path | None = None) -> None:
        """Open the form of a command line, with all that it says.

        Args:
            words: with or without ``cosinterp`` before them.
            cwd: the folder that they were typed in; None: the one that the app is in.
        """
        self._desk.open(Wanted(words=tuple(words), cwd=cwd))

    def _come_back(self, place: str) -> None:
        # There may be runs, results and room that there were not.
        if place == "launch":
            self._follow()

    # Actions

    async def action_start(self) -> None:
        """Start what is filled in as a job; say what is wrong instead, if anything is."""
        form, view = self._view.form, self._view
        if (
            form is None
            or self._is_starting
            or not app_of(self).may_write("start a job; y copies the command")
        ):
            return
        view.take_typed()
        outlook, missing = self._judge.outlook, self._judge.miss(form, view.values)
        if missing is not None or (outlook.stage is Stage.REFUSED and not outlook.is_unknown):
            await self._go_to_error()
        elif outlook.is_unknown or outlook.warning:
            self._ask_first(outlook)
        elif outlook.stage is Stage.ASKED:
            self._starts_when_told = True
            self._show()
        else:
            self._begin()

    def action_choose(self) -> None:
        """Choose another command."""
        if not self._commands:
            return
        widest = max(len(name) for name, _ in self._commands)
        lines = [f"{name.ljust(widest)}  {about}" for name, about in self._commands]
        known = [name for name, _ in self._commands]
        here = 0 if self._view.form is None else known.index(self._view.form.command)

        def take(place: int | None) -> None:
            if place is not None and place != here:
                self._desk.open(Wanted(command=known[place]))

        self.app.push_screen(Chooser("commands", lines, here), take)

    def action_copy(self) -> None:
        """Copy the command line."""
        if self._view.form is not None:
            copy(app_of(self), command_text(self._view.form.typed(self._view.values)), "the command")

    def action_about(self) -> None:
        """Show the command line and the plan as a page."""
        if self._view.form is not None:
            form = self._view.form
            self.app.push_screen(Page(form.command, Group(Text(f"{form.about}\n"), self._side.page())))

    def action_move(self, by: int) -> None:
        """Move so many lines on."""
        self._view.move(by)

    def action_first(self) -> None:
        """Move to the first line."""
        self._view.move(-len(self._view.rows))

    def action_last(self) -> None:
        """Move to the last line."""
        self._view.move(len(self._view.rows))

    def action_enter(self) -> None:
        """Do what is to be done in the line: fill it in, turn it round, fold it out."""
        self._view.enter()

    def action_clear(self) -> None:
        """Take back what is filled in there."""
        self._view.clear_line()

    async def action_reset(self) -> None:
        """Take back everything that is filled in."""
        await self._view.fill({})

    def action_example(self) -> None:
        """Write a few mazes, and fill in a trace of them."""
        if app_of(self).may_write("write mazes"):
            self._foot.say("writing mazes...")
            self._desk.write_mazes(Path(examples.FOLDER))

    # What the user does

    @on(CommandRow.Asked)
    def _choose(self) -> None:
        self.action_choose()

    @on(StartRow.Pressed)
    async def _press(self) -> None:
        await self.action_start()

    @on(FormView.Moved)
    def _point(self) -> None:
        self._show_foot()

    @on(FieldRow.Asked)
    def _ask_completions(self, event: FieldRow.Asked) -> None:
        if self._view.form is not None:
            self._desk.complete(self._view.form, event.row.field.parameter, self._view.values, event.text)

    @on(FormView.Changed)
    def _follow(self) -> None:
        form, values = self._view.form, self._view.values
        if form is not None:
            self._last[form.command] = values
            self._starts_when_told = False
            self._judge.ask(form, values)
            self._show()

    # What the threads tell

    @on(FormLoaded)
    async def _open(self, message: FormLoaded) -> None:
        self._commands = message.commands
        self._side.display = True
        values = message.values
        if values is None:
            values = kept_values(message.form.parameters, self._last.get(message.form.command))
        await self._view.show(message.form, values)

    @on(FormRefused)
    def _refuse_form(self, message: FormRefused) -> None:
        if self._view.form is None:
            # What was remembered may be of another version.
            self._desk.open(Wanted(command=FIRST[0]))
        self._foot.complain(message.error)

    @on(Checked)
    def _take_check(self, message: Checked) -> None:
        self._judge.hear_check(message)
        self._show()

    @on(Rehearsed)
    async def _take_rehearsal(self, message: Rehearsed) -> None:
        if self._judge.hear_rehearsal(message):
            goes_on, self._starts_when_told = self._starts_when_told, False
            self._show()
            if goes_on:
                await self.action_start()

    @on(Completed)
    def _offer(self, message: Completed) -> None:
        for row in self.query(FieldRow):
            if row.field.parameter.name == message.name and row.is_editing:
                row.offer(message.text, message.found)

    @on(Started)
    async def _go_to_job(self, message: Started) -> None:
        self._is_starting = False
        self._show()
        await app_of(self).show_job(message.job)

    @on(NotStarted)
    def _say_why_not(self, message: NotStarted) -> None:
        self._is_starting = False
        self._judge.hear_failure(message)
        self._show()
        self._foot.complain(message.error)

    @on(MazesWritten)
    def _fill_in_example(self, message: MazesWritten) -> None:
        if message.error:
            self._foot.complain(message.error)
        else:
            self.fill_in("trace", examples.TRACE)

    # Starting

    def _ask_first(self, outlook: Outlook) -> None:
        text = outlook.warning or f"What this would do could not be found out: {outlook.said}"
        question = Question(f"{text}\n\nStart it?", "Start the job", "Not yet")
        self.app.push_screen(question, lambda yes: self._begin() if yes else None)

    def _begin(self) -> None:
        name = self._view.values.get(JOB_NAME)
        self._is_starting = True
        self._desk.start(self._judge.words, str(name) if name else None)
        self._show()

    async def _go_to_error(self) -> None:
        self._view.mark(self._judge.wrong)
        for name in self._judge.wrong:
            await self._view.go_to(name)
        if not self._judge.wrong:
            self._foot.complain(self._judge.outlook.said)

    def _remember(self) -> None:
        if self._view.form is not None:
            app_of(self).memory.put(_COMMAND, self._view.form.command)
            app_of(self).memory.put(_LAST, dict(self._last))

    # Showing

    def _show(self) -> None:
        form = self._view.form
        said = self._judge.outlook.short
        self._view.mark(self._judge.wrong)
        if self._is_starting:
            said = "starting..."
        elif self._starts_when_told:
            said = "it starts as soon as it is checked..."
        named = "launch" if form is None else form.command
        status = self.query_one("#status", Static)
        if status.content != (text := f"{named}   {said}"):
            status.update(text, layout=False)
        if form is not None:
            self._side.show(form, self._view.values, self._judge.outlook)
            self._show_foot()

    def _show_foot(self) -> None:
        if self._view.form is not None:
            self._foot.tell_of(self._view.form, self._view.current)
