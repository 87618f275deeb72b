"""Pictures as pixels: what the terminal is asked, what it is sent, and what it then shows."""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.color import ColorSystem
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from tests.tui.pseudo_terminal import Terminal as PseudoTerminal
from tests.tui.pseudo_terminal import app_in_a_terminal
from tests.tui.store_factory import make_store
from tests.tui.terminals import CELL, FOOT, KITTY, NOTHING, XTERM, XTERM_340, StandIn
from tui.memory import Memory
from tui.pictures.half_cells import in_pixels, scaled
from tui.pictures.sixel import rows
from tui.terminal import encoding, kitty
from tui.terminal.asking import QUESTIONS, AnswerParser, Terminal, Way, may_ask
from tui.terminal.encoding import Encoder, Order, PixelsChanged, digest_of, encoded
from tui.terminal.pixels import Pixels

COLUMNS, LINES = 80, 24
# 256 colours that differ in every direction, so that a pixel in a wrong place is a wrong one.
PICTURE = np.stack(
    [*np.meshgrid(np.arange(0, 256, 16), np.arange(0, 256, 16)), np.full((16, 16), 90)], -1
).astype(np.uint8)


@pytest.mark.parametrize(
    ("answers", "way"),
    [
        (KITTY, Way.KITTY),
        (("\x1bP>|kitty(0.26.5)\x1b\\", "\x1b[?62;c"), Way.HALF_CELLS),
        (("\x1bP>|ghostty 1.1.0\x1b\\", "\x1b[?62;22c"), Way.KITTY),
        (FOOT, Way.SIXEL),
        (XTERM_340, Way.SIXEL),
        (XTERM, Way.HALF_CELLS),
        (("\x1bP>|WezTerm 20240203-110809-5046fc22\x1b\\", "\x1b[?65;4;6;18;22c"), Way.SIXEL),
        (("\x1bP>|tmux 3.4\x1b\\", "\x1b[?1;2;4c"), Way.HALF_CELLS),
        (("", "\x1b[?6c"), Way.HALF_CELLS),
    ],
)
def test_what_a_terminal_says_decides_the_way(answers: tuple[str, str], way: Way) -> None:
    told = [answer for answer in (*answers, "\x1b[6;20;10t") if answer]
    assert Terminal.of_answers(told).way is way


def test_without_the_size_of_a_cell_there_are_half_cells() -> None:
    assert Terminal.of_answers(FOOT).way is Way.HALF_CELLS
    assert Terminal.of_answers([*FOOT, "\x1b[6;0;0t"]).way is Way.HALF_CELLS


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-256color", "TMUX": "/tmp/tmux-1000/default,1,0"},
        {"TERM": "tmux-256color"},
        {"TERM": "screen"},
        {"TERM": "linux"},
        {"TERM": "dumb"},
        {},
        {"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"},
    ],
)
def test_who_is_not_asked(environment: dict[str, str]) -> None:
    sent: list[str] = []
    Pixels(sent.append, environment, Memory()).ask(Size(80, 24))
    assert not may_ask(environment)
    assert sent == []


def keys_of(parser: AnswerParser, *parts: str) -> list[str]:
    found = []
    for part in parts:
        found += [message.key for message in parser.feed(part) if isinstance(message, events.Key)]
    return found


def test_answers_are_taken_out_of_the_keys_wherever_they_are_divided() -> None:
    typed = f"a\x1b[C{KITTY[0]}b\x1b[6;20;10t\x1b[6~{KITTY[1]}4"
    for place in range(1, len(typed)):
        answers: list[str] = []
        parser = AnswerParser(answers.append, lambda: True)
        keys = keys_of(parser, typed[:place], typed[place:])
        assert keys == ["a", "right", "b", "pagedown", "4"], place
        assert answers == [KITTY[0], "\x1b[6;20;10t", KITTY[1]], place


def test_escape_is_a_key_when_nothing_follows_it() -> None:
    parser = AnswerParser(lambda answer: None, lambda: True)
    assert keys_of(parser, "\x1b") == []
    time.sleep(0.11)
    list(parser.tick())
    time.sleep(0.11)
    assert [message.key for message in parser.tick() if isinstance(message, events.Key)] == ["escape"]


def test_the_terminal_is_asked_once_and_a_late_answer_counts() -> None:
    sent: list[str] = []
    pixels = Pixels(sent.append, {"TERM": "xterm"}, Memory())
    assert not pixels.awaits
    pixels.ask(Size(80, 24))
    pixels.ask(Size(80, 24))
    pixels.ask(Size(90, 24))
    assert sent == [QUESTIONS]
    assert pixels.awaits
    for answer in (*FOOT, "\x1b[6;20;10t"):
        pixels.hear(answer)
    assert (pixels.way, pixels.awaits) == (Way.SIXEL, False)
    pixels.ask(Size(100, 30))
    assert sent[1:] == ["\x1b[16t"]


def test_a_cell_that_is_not_told_is_as_large_as_the_line_says() -> None:
    pixels = Pixels(lambda text: None, {"TERM": "xterm"}, Memory(), lambda: (9, 18))
    for answer in FOOT:
        pixels.hear(answer)
    assert (pixels.way, pixels.terminal.cell) == (Way.SIXEL, (9, 18))
    pixels.hear("\x1b[6;20;10t")
    assert pixels.terminal.cell == (10, 20)


def test_half_cells_are_remembered() -> None:
    memory = Memory()
    pixels = Pixels(lambda text: None, {"TERM": "xterm"}, memory)
    for answer in (*FOOT, "\x1b[6;20;10t"):
        pixels.hear(answer)
    pixels.switch(False)
    assert pixels.way is Way.HALF_CELLS
    assert not Pixels(lambda text: None, {"TERM": "xterm"}, memory).is_wanted


def kitty_of(sent: list[str]) -> StandIn:
    terminal = StandIn(COLUMNS, LINES, KITTY)
    list(terminal.take("".join(sent).encode()))
    return terminal


def order_of(shade: int) -> Order:
    frame = np.full((4, 2, 3), shade, np.uint8)
    return Order(frame, digest_of(frame), 1, 1, (10, 20), (0, 0, 0), Way.KITTY)


def test_the_terminal_keeps_a_picture_and_forgets_the_oldest() -> None:
    sent: list[str] = []
    pixels = Pixels(sent.append, {"TERM": "xterm"}, Memory())

    def show(shade: int) -> None:
        order = order_of(shade)
        pixels.placeholders(order, encoded(order)[0], ColorSystem.TRUECOLOR)

    for shade in range(65):
        show(shade)
    terminal = kitty_of(sent)
    assert (terminal.transmissions, len(terminal.pictures)) == (65, 64)
    show(1)
    show(65)
    terminal = kitty_of(sent)
    kept = sorted(int(picture[0, 0, 0]) for picture, _, _ in terminal.pictures.values())
    assert terminal.transmissions == 66
    assert kept == [1, *range(3, 66)]
    pixels.take_back()
    assert kitty_of(sent).pictures == {}


def test_a_widget_is_told_when_all_that_it_wants_is_ready_and_nothing_is_made_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def note(order: Order) -> tuple[str, ...]:
        made.append(int(order.frame[0, 0, 0]))
        return encoded(order)

    monkeypatch.setattr(encoding, "encoded", note)
    told = Told()
    encoder = Encoder()
    assert encoder.want(told, [order_of(1), order_of(2)]) == [None, None]
    assert told.told.wait(20)
    assert sorted(made) == [1, 2]
    ready = encoder.want(told, [order_of(2), order_of(1)])
    assert ready == [encoded(order_of(2)), encoded(order_of(1))]
    assert len(made) == 2


class Told(Widget):
    """Notes that it is told that pictures are ready."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def post_message(self, message: Message) -> bool:
        if isinstance(message, PixelsChanged):
            self.told.set()
        return True


def test_where_there_are_256_colours_a_number_is_one_of_them() -> None:
    numbers = kitty.numbers(ColorSystem.EIGHT_BIT)
    found = [next(numbers) for _ in range(100)]
    assert all(colour.downgrade(ColorSystem.EIGHT_BIT).number == number for number, colour in found)
    assert len({number for number, _ in found}) == 100


def test_pixels_keep_the_shape_and_the_rest_is_background() -> None:
    made = in_pixels(PICTURE, 6, 4, (9, 19), (1, 2, 3))
    assert made.shape == (76, 54, 3)
    assert np.array_equal(made[:54], scaled(PICTURE, 54, 54))
    assert (made[54:] == (1, 2, 3)).all()


def test_sixels_of_a_photograph_are_close_to_it() -> None:
    generator = np.random.default_rng(0)
    smooth = scaled(generator.integers(0, 256, (6, 8, 3)).astype(np.uint8), 80, 60)
    noise = np.clip(smooth.astype(int) + generator.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)
    terminal = StandIn(8, 3, FOOT)
    for line, data in enumerate(rows(noise, 20)):
        list(terminal.take(f"\x1b[{line + 1};1H{data}".encode()))
    assert np.abs(terminal.shown() - noise).max() < 24
    assert np.abs(terminal.shown() - noise).mean() < 4


class Screen:
    """An app, and the terminal that it is shown on."""

    def __init__(self, app: PseudoTerminal, terminal: StandIn) -> None:
        self.app = app
        self.terminal = terminal
        self.has_ended = False

    def read(self, seconds: float) -> int:
        """Take what is sent within ``seconds``, and answer; the bytes that were sent."""
        before, end = self.terminal.sent, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.app.fd], [], [], left)[0]:
                try:
                    sent = os.read(self.app.fd, 1 << 16)
                except OSError:
                    self.has_ended = True
                    break
                for answer in self.terminal.take(sent):
                    self.app.press(answer.encode())
        return self.terminal.sent - before

    def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, "\n".join(self.terminal.screen())
            self.read(0.05)

    def says(self, text: str) -> bool:
        return any(text in line for line in self.terminal.screen())

    @property
    def picture(self) -> np.ndarray:
        """What is shown in pixels, cut out."""
        shown = self.terminal.shown()
        known = (shown != NOTHING).all(axis=-1)
        if not known.any():
            return shown[:0, :0]
        ys, xs = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
        return shown[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]

    def shows(self, wanted: np.ndarray) -> bool:
        picture = self.picture
        if picture.size == 0 or (picture == NOTHING).any():
            return False
        side = min(picture.shape[:2])
        return bool(np.abs(picture[:side, :side] - scaled(wanted, side, side)).max() <= 2)


@pytest.fixture(params=[KITTY, XTERM_340], ids=["kitty", "xterm -ti 340"])
def screen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Screen]:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)], video=PICTURE[None])
    env = {"COSINTERP_HOME": str(tmp_path / "home"), "TMUX": "", "TERM_PROGRAM": ""}
    with app_in_a_terminal(store, COLUMNS, LINES, env=env) as app:
        yield Screen(app, StandIn(COLUMNS, LINES, request.param))


def test_the_picture_on_the_screen_is_that_of_the_store_and_leaves_nothing_behind(screen: Screen) -> None:
    terminal = screen.terminal
    screen.until(lambda: screen.says("fp32"))
    assert terminal.transmissions == 0
    screen.app.press(b"f")
    screen.until(lambda: screen.says("final video"))
    # More is typed while the answers are on their way, and is not lost.
    screen.app.press(b"\x1b[F")
    screen.read(0.01)
    screen.app.press(b"\x1b[D\x1b[F")
    screen.until(lambda: screen.shows(PICTURE))
    assert screen.says("final video")
    assert min(screen.picture.shape[:2]) > 15 * CELL[1]
    screen.read(0.5)
    sent, pictures = terminal.transmissions, len(terminal.pictures)
    assert screen.read(1.5) == 0

    screen.app.press(b"?")
    screen.until(lambda: screen.says("keys") and screen.picture.size == 0)
    screen.app.press(b"\x1b")
    screen.until(lambda: screen.shows(PICTURE))
    if terminal.answers == KITTY:
        assert terminal.transmissions == sent == pictures == 1

    screen.app.press(b"P")
    screen.until(lambda: screen.picture.size == 0 and screen.says("▀"))
    screen.app.press(b"P")
    screen.until(lambda: screen.shows(PICTURE))
    screen.app.press(b"\x1b")
    screen.until(lambda: screen.says("sample") and screen.picture.size == 0)
    screen.app.press(b"q")
    screen.until(lambda: screen.has_ended)
    assert screen.app.end() == 0
    assert terminal.pictures == {}
