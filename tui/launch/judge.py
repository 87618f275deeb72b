"""What the command line says of a form, asked anew whenever something else is filled in."""

from __future__ import annotations

from collections.abc import Mapping

from textual.screen import Screen
from textual.timer import Timer

from tui.launch.desk import Desk, Words
from tui.launch.forms import Form
from tui.launch.messages import Checked, NotStarted, Rehearsed
from tui.launch.parameters import Values
from tui.launch.plan_text import Outlook, Stage

QUIET = 0.35
"""Seconds without a key after which the command line is asked what it would do."""
_READING = Outlook(Stage.NOTHING, "reading...")
_ASKING = Outlook(Stage.ASKED, "asking the command line what it would do...")
_NO_PLAN = Outlook(
    Stage.PLANNED, "the words are right; what this command would do it does not say beforehand"
)


class Judge:
    """Has words parsed at once, and rehearsed a moment after the last change; keeps what is known of them.

    The screen hands over the messages that answer; those about other words than the present ones are
    passed over.
    """

    def __init__(self, screen: Screen[None], desk: Desk) -> None:
        self._screen = screen
        self._desk = desk
        self._form: Form | None = None
        self._timer: Timer | None = None
        self.words: Words = ()
        self.outlook = _READING
        self.wrong: Mapping[str, str] = {}
        """Errors by the names of the parameters that they are about."""

    def ask(self, form: Form, values: Values) -> None:
        """Find out about a form that is filled in so."""
        self._form, self.words, self.wrong = form, form.words(values), {}
        if self._timer is not None:
            self._timer.stop()
        missing = form.missing(values)
        if missing is None:
            self.outlook = _ASKING
            self._desk.check(self.words)
        else:
            self._desk.give_up()
            self.outlook = Outlook(Stage.NOTHING, f"{form.label_of(missing)} is needed")

    def miss(self, form: Form, values: Values) -> str | None:
        """The parameter that is needed and not given, now as an error; None: there is none."""
        missing = form.missing(values)
        if missing is None:
            return None
        self.wrong = {missing.name: f"{missing.called} is needed: {missing.help}"}
        return missing.name

    def hear_check(self, message: Checked) -> None:
        """Take the parser's word; if it is a good one, ask the command's a moment later."""
        if message.words != self.words or self._form is None:
            return
        answer = message.answer
        if not answer.ok:
            self._refuse(Outlook(Stage.REFUSED, answer.message, answer), answer.flag)
        elif self._form.rehearses:
            self._timer = self._screen.set_timer(QUIET, lambda: self._desk.rehearse(message.words))
        else:
            self.outlook = _NO_PLAN

    def hear_rehearsal(self, message: Rehearsed) -> bool:
        """Take the command's word; whether it is about the present words."""
        if message.words != self.words:
            return False
        answer = message.answer
        if answer.ok:
            self.outlook = Outlook(Stage.PLANNED, "checked", answer)
        else:
            self._refuse(Outlook(Stage.REFUSED, answer.message or "refused", answer), answer.flag)
        return True

    def hear_failure(self, message: NotStarted) -> None:
        """Take what kept a job from starting."""
        self._refuse(Outlook(Stage.REFUSED, message.error), message.flag)

    def _refuse(self, outlook: Outlook, flag: str | None) -> None:
        field = None if flag is None or self._form is None else self._form.field_of(flag)
        self.outlook = outlook
        self.wrong = {} if field is None else {field.parameter.name: outlook.said}
