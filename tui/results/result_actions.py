"""What can be done with a result that is open."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.screen import Screen

from probes.results.files import result_path
from tui.app import app_of
from tui.background import do
from tui.copying import copy
from tui.dialogs.ask import Line, Question
from tui.dialogs.chooser import Chooser
from tui.results import deeds
from tui.results.exporting import Export, path_of, wrong_with
from tui.results.messages import ResultRemoved
from tui.results.result_messages import Exported, FormFound, OthersFound
from tui.results.tabs import FigureTab, Opened, Tab


class ResultActions(Screen[None]):
    """A screen of one result: it can be exported, removed, made again, and held against another.

    Attributes:
        store, name: which result it is.
        opened: the result; None: it is not open, or cannot be.
        tab: what it is looked at by.
    """

    def __init__(self, store: Path, name: str) -> None:
        super().__init__()
        self.store = store
        self.result_name = name
        self.opened: Opened | None = None
        self.tab: Tab | None = None

    @property
    def file(self) -> Path:
        """The result's file."""
        return result_path(self.store, self.result_name)

    @property
    def _figure(self) -> str | None:
        return self.tab.figure if isinstance(self.tab, FigureTab) else None

    def action_copy(self) -> None:
        """Copy the command that makes it again."""
        if self.opened is not None and self.opened.command:
            copy(app_of(self), self.opened.command, "the command")
        elif self.opened is not None:
            self.notify("it does not say which command made it")

    def action_again(self) -> None:
        """Open the form of the command that made it, filled in."""
        command = self.opened.command if self.opened is not None else ""
        if command:
            do(lambda: deeds.find_form(command, self.store), self.post_message)
        elif self.opened is not None:
            self.notify("it does not say which command made it")

    def action_export(self) -> None:
        """Write it to a file whose name is asked for."""
        opened = self.opened
        if opened is None or not app_of(self).may_write("write files"):
            return
        figure = self._figure
        value = f"{self.result_name}-{figure}.png" if figure else f"{self.result_name}.csv"

        def take(text: str | None) -> None:
            if text is not None:
                export = Export(opened.result, path_of(text), figure)
                do(lambda: deeds.write(export), self.post_message)

        self.app.push_screen(
            Line("export to: .csv .json .nc .parquet .png .svg .pdf", value, wrong_with), take
        )

    def action_open_picture(self) -> None:
        """Open the figure with the system's own program; without a screen, write it and say where."""
        opened, figure = self.opened, self._figure
        if opened is None or not app_of(self).may_write("write files"):
            return
        do(lambda: deeds.open_picture(opened.result, figure, self.store.name), self.post_message)

    def action_remove(self) -> None:
        """Remove it, after a question."""
        if not app_of(self).may_write("remove results"):
            return
        question = f"Remove the result {self.result_name} of {self.store.name}? The runs stay."
        self.app.push_screen(
            Question(question, "Remove it", "Keep it"),
            lambda yes: do(lambda: deeds.remove(self.file), self.post_message) if yes else None,
        )

    def action_compare(self) -> None:
        """Hold it against another, which is chosen from a list."""
        kind = "" if self.opened is None else self.opened.result.kind
        root = app_of(self).path
        do(lambda: deeds.find_others(root, self.store, self.result_name, kind), self.post_message)

    @on(Exported)
    def _tell_exported(self, message: Exported) -> None:
        if message.is_there:
            self.app.push_screen(
                Question(f"{message.export.path} is there. Replace it?", "Replace it", "Leave it"),
                lambda yes: (
                    do(lambda: deeds.write(message.export.anyway()), self.post_message) if yes else None
                ),
            )
        elif message.error:
            self.notify(message.error, severity="error", markup=False)
        else:
            self.notify(message.said, markup=False)

    @on(ResultRemoved)
    def _leave_removed(self, message: ResultRemoved) -> None:
        if message.error:
            self.notify(message.error, severity="error", markup=False)
            return
        self.notify(f"removed {self.result_name}", markup=False)
        self.dismiss()

    @on(FormFound)
    async def _go_to_form(self, message: FormFound) -> None:
        if message.error:
            self.notify(message.error, severity="warning", markup=False)
        else:
            await app_of(self).fill_in(message.command, message.values)

    @on(OthersFound)
    def _choose_other(self, message: OthersFound) -> None:
        rows = message.rows
        if not rows:
            self.notify("there is no other result here that can be read")
            return
        several = len({row.store for row in rows} | {self.store}) > 1
        names = [f"{f'{row.store_name}/' if several else ''}{row.name}   {row.kind}" for row in rows]

        def take(place: int | None) -> None:
            if place is not None:
                from tui.results.compare_screen import CompareScreen

                other = rows[place]
                self.app.push_screen(CompareScreen((self.store, self.result_name), (other.store, other.name)))

        self.app.push_screen(Chooser(f"compare {self.result_name} with", names, 0), take)
