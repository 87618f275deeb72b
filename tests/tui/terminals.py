"""A terminal that shows pictures, as far as the app needs one: it answers, keeps cells and draws pixels."""

from __future__ import annotations

import base64
import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

KITTY = "\x1bP>|kitty(0.35.2)\x1b\\", "\x1b[?62;c"
FOOT = "\x1bP>|foot(1.16.2)\x1b\\", "\x1b[?62;4;22c"
XTERM_340 = "\x1bP>|XTerm(388)\x1b\\", "\x1b[?63;1;2;4;6;9;15;16;22;28c"
XTERM = "\x1bP>|XTerm(388)\x1b\\", "\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c"
CELL = 10, 20
"""Width and height in pixels."""
NOTHING = -1
_PLACEHOLDER = "\U0010eeee"
_TOKENS = re.compile(
    r"\x1b\[(?P<csi>[0-?]*[ -/]*[@-~])|\x1bP(?P<dcs>.*?)\x1b\\|\x1b_(?P<apc>.*?)\x1b\\"
    r"|\x1b\].*?(?:\x07|\x1b\\)|\x1b(?P<esc>[78=>])|(?P<control>[\n\r])|(?P<text>[^\x1b\n\r])",
    re.DOTALL,
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[P_\]](?:[^\x1b\x07]|\x1b(?!\\))*)?\Z", re.DOTALL)
_COLOUR = re.compile(r"(?:^|;)38;2;(\d+);(\d+);(\d+)")
_MARKS: list[str] = []


@dataclass
class StandIn:
    """What a terminal of so many cells has on its screen.

    Attributes:
        answers: its name (XTVERSION) and attributes (DA1); empty: it is asked in vain.
        pixels: of sixels, (row, col, rgb), `NOTHING` where there are none.
        pictures: of Kitty's protocol, by number: (row, col, rgb) and the columns and lines that it takes.
        sent: bytes so far.
    """

    columns: int
    lines: int
    answers: tuple[str, str] | tuple[()] = ()
    pictures: dict[int, tuple[np.ndarray, int, int]] = field(default_factory=dict)
    transmissions: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self.pixels = np.full((self.lines * CELL[1], self.columns * CELL[0], 3), NOTHING)
        self.text = [[" "] * self.columns for _ in range(self.lines)]
        self.colours = np.zeros((self.lines, self.columns), int)
        self._at, self._kept, self._colour = (0, 0), (0, 0), 0
        self._rest, self._chunks = "", {}
        self._sending = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def take(self, sent: bytes) -> Iterator[str]:
        """Take what the app sends; gives what the terminal answers."""
        self.sent += len(sent)
        data = self._rest + self._decoder.decode(sent)
        unfinished = _UNFINISHED.search(data)
        self._rest = unfinished[0] if unfinished else ""
        for token in _TOKENS.finditer(data[: len(data) - len(self._rest)]):
            if (code := token["csi"]) is not None:
                yield from self._control(code)
            elif token["dcs"] is not None:
                self._draw(token["dcs"])
            elif token["apc"] is not None:
                self._graphics(token["apc"])
            elif token["esc"] == "7":
                self._kept = self._at
            elif token["esc"] == "8":
                self._at = self._kept
            elif token["control"] == "\r":
                self._at = self._at[0], 0
            elif token["control"] == "\n":
                self._at = min(self._at[0] + 1, self.lines - 1), self._at[1]
            elif token["text"] is not None:
                self._write(token["text"])

    def screen(self) -> list[str]:
        """Its lines of text."""
        return ["".join(cell[0] for cell in line) for line in self.text]

    def shown(self) -> np.ndarray:
        """All pixels that are shown, of either way, (row, col, rgb)."""
        shown = self.pixels.copy()
        wide, tall = CELL
        for y, line in enumerate(self.text):
            for x, cell in enumerate(line):
                number = int(self.colours[y, x])
                # The marks of the last cell that was read may be on their way.
                if cell[0] != _PLACEHOLDER or len(cell) < 3 or number not in self.pictures:
                    continue
                picture, columns, lines = self.pictures[number]
                assert picture.shape[:2] == (lines * tall, columns * wide)
                row, column = _MARKS.index(cell[1]), _MARKS.index(cell[2])
                shown[y * tall : (y + 1) * tall, x * wide : (x + 1) * wide] = picture[
                    row * tall : (row + 1) * tall, column * wide : (column + 1) * wide
                ]
        return shown

    def _control(self, code: str) -> Iterator[str]:
        numbers = [int(part) if part.isdigit() else 0 for part in code[:-1].split(";")]
        if code[-1] == "H":
            row, column = (*numbers, 1, 1)[:2] if numbers != [0] else (1, 1)
            self._at = max(0, row - 1), max(0, column - 1)
        elif code[-1] == "G":
            self._at = self._at[0], max(0, numbers[0] - 1)
        elif code[-1] == "m":
            found = _COLOUR.search(code[:-1])
            if found:
                red, green, blue = (int(part) for part in found.groups())
                self._colour = red << 16 | green << 8 | blue
            elif code in ("m", "0m"):
                self._colour = 0
        elif self.answers and code == ">q":
            yield self.answers[0]
        elif self.answers and code == "16t":
            yield f"\x1b[6;{CELL[1]};{CELL[0]}t"
        elif self.answers and code == "c":
            yield self.answers[1]

    def _write(self, character: str) -> None:
        y, x = self._at
        if unicodedata.combining(character) or unicodedata.category(character) == "Mn":
            if x > 0:
                self.text[y][x - 1] += character
            return
        if x < self.columns and y < self.lines:
            self.text[y][x], self.colours[y, x] = character, self._colour
            wide, tall = CELL
            self.pixels[y * tall : (y + 1) * tall, x * wide : (x + 1) * wide] = NOTHING
        self._at = y, x + 1

    def _graphics(self, message: str) -> None:
        keys_text, _, data = message.removeprefix("G").partition(";")
        keys = dict(part.split("=") for part in keys_text.split(","))
        if keys.get("a") == "p":
            picture, _, _ = self.pictures[int(keys["i"])]
            assert keys["U"] == "1"
            self.pictures[int(keys["i"])] = picture, int(keys["c"]), int(keys["r"])
        elif keys.get("a") == "d":
            del self.pictures[int(keys["i"])]
        else:
            self._sending = int(keys.get("i", self._sending))
            self._chunks[self._sending] = self._chunks.get(self._sending, "") + data
            if keys["m"] == "0":
                file = io.BytesIO(base64.b64decode(self._chunks.pop(self._sending)))
                self.pictures[self._sending] = np.asarray(Image.open(file).convert("RGB")), 0, 0
                self.transmissions += 1

    def _draw(self, sixels: str) -> None:
        head, _, body = sixels.partition("q")
        if head and not set(head) <= set("0123456789;"):
            return
        y, x = self._at[0] * CELL[1], self._at[1] * CELL[0]
        palette: dict[int, tuple[int, ...]] = {}
        colour, column, band = 0, 0, 0
        self.transmissions += 1
        for token in re.finditer(r'"[\d;]*|#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|[$-]|[?-~]', body):
            part = token[0]
            if part[0] == "#":
                colour = int(token[1])
                if token[2]:
                    palette[colour] = tuple(round(int(one) * 255 / 100) for one in token.groups()[1:4])
            elif part == "$":
                column = 0
            elif part == "-":
                column, band = 0, band + 6
            elif part[0] != '"':
                count, bits = (int(token[5]), ord(token[6])) if part[0] == "!" else (1, ord(part))
                for bit in range(6):
                    if (bits - 63) >> bit & 1:
                        left = x + column
                        self.pixels[y + band + bit, left : left + count] = palette[colour]
                column += count


def _learn_marks() -> None:
    from tui.terminal import kitty

    _MARKS.extend(kitty._MARKS)


_learn_marks()
