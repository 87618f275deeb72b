"""Groups of tokens: the small language that says which tokens of the grid (frame, row, col) are meant.

=====================  ==========================================================================
``all``                every token
``frames:0-2``         some frames of the latent video, as layers and steps are selected
``box:2-5,3-8``        rows 2 to 5 and columns 3 to 8 of all frames
``mask:FILE``          what an image or a ``.npy`` array marks
``truth:NAME``         where a truth of the sample is not zero
``path``, ...          places of a maze: path, walls, floor, start, goals, red_goal, blue_goal
``donor:path``         the same of the donor's sample; without it, or with ``recipient:``, the recipient's
``~ a``                all but a
``a & b``              what is in both
``a + b``              what is in either
=====================  ==========================================================================

``~`` binds before ``&``, ``&`` before ``+``; brackets do as usual. Names of files and truths that have spaces
or one of these signs in them stand in double quotes: ``mask:"left half.png"``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from cosinterp.errors import SelectionError
from cosinterp.interventions.token_places import (
    MAZE_PLACES,
    Box,
    Everything,
    Frames,
    Grid,
    Mask,
    MaskFile,
    MazePlace,
    Owner,
    Place,
    Scene,
    TruthPlace,
)

_TOKEN = re.compile(r'\s*(?:([()&+|~])|((?:[^\s()&+|~"]|"[^"]*")(?:[^\s()&+|"]|"[^"]*")*)|(\S))')
_ITEM = r"-?[0-9]{1,18}(?:--?[0-9]{1,18})?|all"
_ITEMS = re.compile(rf"(?:{_ITEM})(?:,(?:{_ITEM}))*")
_BOX = re.compile(rf"({_ITEM}),({_ITEM})")
_KINDS = ("frames:0-2", "box:2-5,3-8", "mask:FILE", "truth:NAME")


@dataclass(frozen=True)
class Not:
    """All tokens but those of ``part``."""

    part: Expression

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col)."""
        return ~self.part.mask(scene)

    def __str__(self) -> str:
        return f"~{_bracketed(self.part, (Both, Either))}"


@dataclass(frozen=True)
class Both:
    """The tokens that are in ``first`` and in ``second``."""

    first: Expression
    second: Expression

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col)."""
        return self.first.mask(scene) & self.second.mask(scene)

    def __str__(self) -> str:
        return f"{_bracketed(self.first, (Either,))} & {_bracketed(self.second, (Both, Either))}"


@dataclass(frozen=True)
class Either:
    """The tokens that are in ``first`` or in ``second``."""

    first: Expression
    second: Expression

    def mask(self, scene: Scene) -> Mask:
        """Bool (frame, row, col)."""
        return self.first.mask(scene) | self.second.mask(scene)

    def __str__(self) -> str:
        return f"{self.first} + {_bracketed(self.second, (Either,))}"


Expression: TypeAlias = Place | Not | Both | Either


@dataclass(frozen=True)
class TokenGroup:
    """Some tokens of any token grid; its text is one that `parse` reads back as the same group.

    >>> str(TokenGroup.parse("path&~(goals+start)"))
    'path & ~(goals + start)'
    """

    expression: Expression

    @classmethod
    def parse(cls, text: str) -> TokenGroup:
        """The group that ``text`` names; files and truths are looked up by `mask`.

        Raises:
            SelectionError: ``text`` cannot be read; says at which part of it, and what is possible.
        """
        return cls(_Parser(text).group())

    def mask(
        self,
        grid: Grid,
        truth: Mapping[str, Any] | None = None,
        donor_truth: Mapping[str, Any] | None = None,
    ) -> Mask:
        """Which tokens of ``grid`` these are, bool (frame, row, col); at least one.

        Args:
            grid: how many frames, rows and columns there are.
            truth: what is known of the recipient's sample.
            donor_truth: what is known of the donor's.

        Raises:
            SelectionError: no token is in the group, or it names frames, rows, columns, files or truths that
                are not there or do not fit the grid.
            SampleError: a mask is no image.
        """
        scene = Scene(grid, {"recipient": truth or {}, "donor": donor_truth or {}})
        found = self.expression.mask(scene)
        if not found.any():
            shape = "x".join(map(str, grid))
            raise SelectionError(f'tokens "{self}": no token of the {shape} grid is in this group')
        return found.copy()

    def __str__(self) -> str:
        return str(self.expression)


class _Parser:
    """Reads a text from left to right; each method takes what it is named after."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def group(self) -> Expression:
        if not self._tokens:
            raise SelectionError(f"tokens: nothing is named; {_POSSIBLE}")
        found = self._either()
        rest = self._peek()
        if rest == ")":
            raise self._wrong('a ")" closes no "("')
        if rest in ("|", "~"):
            hint = "write a + b for what is in either" if rest == "|" else "write a & ~b for a without b"
            raise self._wrong(f'"{rest}" cannot stand between two places; {hint}')
        if rest is not None:
            raise self._wrong(f'"&" or "+" is missing before "{rest}"')
        return found

    def _either(self) -> Expression:
        found = self._both()
        while self._take("+"):
            found = Either(found, self._both())
        return found

    def _both(self) -> Expression:
        found = self._factor()
        while self._take("&"):
            found = Both(found, self._factor())
        return found

    def _factor(self) -> Expression:
        if self._take("~"):
            return Not(self._factor())
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                rest = self._peek()
                raise self._wrong('a "(" is not closed' + (f' before "{rest}"' if rest else ""))
            return found
        return self._place()

    def _place(self) -> Place:
        word = self._peek()
        if word is None or word in "()&+|":
            after = f'after "{self._tokens[self._next - 1]}"' if self._next else "at the beginning"
            raise self._wrong(f"a place is missing {after}")
        self._next += 1
        owner: Owner = "recipient"
        name = word
        for known in ("recipient", "donor"):
            if word.startswith(f"{known}:"):
                owner, name = known, word.removeprefix(f"{known}:")
        kind, colon, value = name.partition(":")
        if name in MAZE_PLACES:
            return MazePlace(name, owner)
        if kind == "truth" and colon:
            return TruthPlace(self._name(word, value, "truth:NAME"), owner)
        if name != word:
            raise self._wrong(
                f'cannot read "{word}"; of a {owner} there are {", ".join(MAZE_PLACES)} and truth:NAME'
            )
        if word == "all":
            return Everything()
        if kind == "frames" and colon:
            if not _ITEMS.fullmatch(value):
                raise self._wrong(f'cannot read "{word}"; write frames such as frames:0-2 or frames:0,3')
            return Frames(value)
        if kind == "box" and colon:
            match = _BOX.fullmatch(value)
            if match is None:
                raise self._wrong(f'cannot read "{word}"; write rows and columns, such as box:2-5,3-8')
            return Box(match[1], match[2])
        if kind == "mask" and colon:
            return MaskFile(self._name(word, value, "mask:FILE"))
        raise self._wrong(f'cannot read "{word}"; {self._hint(word)}')

    def _name(self, word: str, value: str, form: str) -> str:
        whole = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if not whole or '"' in whole:
            raise self._wrong(f'cannot read "{word}"; write {form}, all of the name in quotes or none of it')
        return whole

    def _hint(self, word: str) -> str:
        if any(token.startswith("mask:") for token in self._tokens):
            return "a file name that has a space or one of ( ) & + | in it stands in double quotes"
        forms = [*MAZE_PLACES, "all", "frames", "box", "mask", "truth", "donor", "recipient"]
        near = difflib.get_close_matches(word.partition(":")[0], forms, n=1)
        return f"did you mean {near[0]}? {_POSSIBLE}" if near else _POSSIBLE

    def _peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, sign: str) -> bool:
        taken = self._peek() == sign
        self._next += taken
        return taken

    def _wrong(self, what: str) -> SelectionError:
        return SelectionError(f'tokens "{self._text}": {what}')


_POSSIBLE = f"there are all, {', '.join(_KINDS)} and of mazes {', '.join(MAZE_PLACES)}"


def _tokens(text: str) -> list[str]:
    found, end = [], 0
    while match := _TOKEN.match(text, end):
        sign, word, wrong = match.groups()
        if wrong is not None:
            raise SelectionError(f"tokens {text!r}: {wrong!r} opens a name that no second one closes")
        found.append(sign or word)
        end = match.end()
    return found


def _bracketed(part: Expression, looser: tuple[type, ...]) -> str:
    return f"({part})" if isinstance(part, looser) else str(part)
