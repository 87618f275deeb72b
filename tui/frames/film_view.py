"""The pictures of one run: one step, or steps as a film strip."""

from __future__ import annotations

from rich.style import Style
from textual.events import Resize

from tui.frames.film import Film, Shot, latent_frame
from tui.frames.overlays import Kind, Overlay
from tui.frames.words import folded
from tui.pictures import Frame, PictureCanvas, Sheet, best_columns
from tui.widgets.canvas import PLAIN, cells_of

FINAL = "end"
_CHOSEN = Style(reverse=True, bold=True)
_GAP = 1
_MOST_WORDS = 3
LEAST_THUMB = 9, 5
"""Columns and lines of a step in the film strip, with its number and the gap; smaller ones tell nothing."""


class FilmView(PictureCanvas):
    """A line that says what is seen, and below it the picture; texts in the place of what is not there.

    Attributes:
        film: what there is of the run; None while that is being read.
        at: the place that is shown, an index of `places`.
        frame: which of the video's frames is shown, from 0 (first) to 1 (last).
        is_strip: steps side by side.
        beside: what is shown beside the picture, and of which layer; None: nothing.
        doing: what is being done to decode the run, or why that failed; "": nothing.
        can_decode: whether a key does.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.film: Film | None = None
        self.at = 0
        self.frame = 1.0
        self.is_strip = False
        self.beside: tuple[Kind, int] | None = None
        self.doing = ""
        self.can_decode = True
        self._title = name
        self._shots: dict[int | None, Shot] = {}
        self._overlay: Overlay | None = None
        self._is_read = False
        self._errors: list[str] = []
        self._overlay_error = ""

    # What it is told

    def begin(self, film: Film, known: frozenset[int | None] = frozenset()) -> None:
        """Show the pictures of a run, of which those ``known`` are read already, and no others."""
        self.film, self._errors = film, []
        self._shots = {step: shot for step, shot in self._shots.items() if step in known}
        self._overlay = None
        self._is_read = len(self._shots) == self._num_pictures
        self.repaint()

    def add(self, shot: Shot) -> None:
        """A step has been read."""
        self._shots[shot.step] = shot
        self.repaint()

    def fail(self, error: str) -> None:
        """Something could not be read."""
        self._errors.append(error)
        self.repaint()

    def finish(self) -> None:
        """Everything has been read."""
        self._is_read = True
        self.repaint()

    def show_overlay(self, overlay: Overlay | None, error: str = "") -> None:
        """What is shown beside the picture has been read, or cannot be."""
        self._overlay, self._overlay_error = overlay, error
        self.repaint()

    # What it says

    @property
    def is_missing(self) -> bool:
        """Whether no clean estimate is decoded, as is known by now."""
        return self.film is not None and not self.film.files

    @property
    def is_partly_missing(self) -> bool:
        """Whether some step is not decoded, as is known by now."""
        return self.film is not None and len(self.film.files) < self.film.num_steps

    @property
    def is_read(self) -> bool:
        """Whether everything that is decoded has been read."""
        return self._is_read

    @property
    def known(self) -> frozenset[int | None]:
        """The steps that have been read; None: the final video."""
        return frozenset(self._shots)

    @property
    def step(self) -> int | None:
        """The step that is shown; None: the final video."""
        count = self.film.num_steps if self.film else 0
        return self.at if self.at < count else None

    @property
    def num_places(self) -> int:
        """The steps, and the end if the final video is stored."""
        return self.film.num_steps + self.film.has_final if self.film else 0

    @property
    def num_frames(self) -> int:
        """How many frames of a video can be seen."""
        return max((len(shot.frames) for shot in self._shots.values()), default=0)

    def repaint(self) -> None:
        """Paint what is to be seen now."""
        width, height = self.size
        if not width or not height:
            return
        if self.film is None:
            why = self._errors[0] if self._errors else "reading..."
            self.show_sheet(Sheet(folded(self._title, width) + folded(why, width)))
        elif self.is_strip:
            self.show_sheet(self._strip(self.film, width, height))
        else:
            self.show_sheet(self._picture(self.film, width, height))

    def on_resize(self, event: Resize) -> None:
        """Fit the picture in anew."""
        self.repaint()

    # How it is painted

    def _picture(self, film: Film, width: int, height: int) -> Sheet:
        shot = self._shots.get(self.step)
        sheet = Sheet([cells_of(self._label(film, shot, width))])
        room, beside = width, None
        if self.beside is not None:
            words, beside = self._what_is_beside(film, shot, *self.beside)
            sheet.put(0, 1, folded(words, width)[:_MOST_WORDS])
            room = (width - 2 * _GAP) // 2
        top = len(sheet.lines)
        if shot is None:
            picture = Sheet(folded(self._why(film), room)[: max(0, height - top)])
        else:
            picture = Sheet.of_picture(self._frame_of(shot), room, height - top)
        sheet.put(0, top, picture)
        if beside is not None:
            sheet.put(picture.width + 2 * _GAP, top, Sheet.of_picture(beside, room, height - top))
        return sheet

    def _strip(self, film: Film, width: int, height: int) -> Sheet:
        """Steps side by side, in as many rows as makes them largest; where not all fit, those around this."""
        sheet = Sheet([cells_of(self._label(film, self._shots.get(self.step), width))])
        if self.is_missing and not film.has_final:
            sheet.put(0, 1, folded(self._why(film), width))
            return sheet
        height -= 1
        count = self.num_places
        columns = best_columns(count, width, height)
        wide, tall = width // columns, height // -(-count // columns)
        if wide < LEAST_THUMB[0] or tall < LEAST_THUMB[1]:
            columns = max(1, width // LEAST_THUMB[0])
            wide, tall = width // columns, min(height, LEAST_THUMB[1])
            count = min(count, columns * max(1, height // tall))
        if shots := list(self._shots.values()):
            rows_of, cols_of = shots[0].video.shape[1:3]
            wide = max(LEAST_THUMB[0], min(wide, 2 * (tall - 1) * cols_of // rows_of + 2 * _GAP))
        first = max(0, min(self.at - count // 2, self.num_places - count))
        for number, place in enumerate(range(first, first + count)):
            row, column = divmod(number, columns)
            sheet.put(column * wide, 1 + row * tall, self._thumb(film, place, wide, tall))
        return sheet

    def _thumb(self, film: Film, place: int, wide: int, tall: int) -> Sheet:
        """A step under its number."""
        step = place if place < film.num_steps else None
        label = FINAL if step is None else str(step)
        thumb = Sheet([cells_of(label, _CHOSEN if place == self.at else PLAIN)])
        shot = self._shots.get(step)
        if shot is None:
            thumb.put(0, 1, [cells_of(".")])
        else:
            thumb.put(0, 1, Sheet.of_picture(self._frame_of(shot), wide - _GAP, tall - 1))
        return thumb

    def _label(self, film: Film, shot: Shot | None, width: int) -> str:
        """What is shown, in a line that leaves a gap before what stands beside it."""
        room = width - _GAP
        parts = self._long_label(film, shot)
        if len("   ".join(parts)) > room:
            parts = self._short_label(film, shot)
        return "   ".join([*parts, *self._told(shot)])[:room]

    def _long_label(self, film: Film, shot: Shot | None) -> list[str]:
        step = self.step
        parts = [self._title]
        if step is None:
            parts.append("final video")
        else:
            parts.append(f"step {step} of {film.num_steps - 1}, σ {film.sigmas[step]:.3f}")
        if shot is not None:
            parts.append(f"frame {shot.frames[self._index(shot)]} of {shot.num_frames - 1}")
        return parts

    def _short_label(self, film: Film, shot: Shot | None) -> list[str]:
        parts = [self._title, "final" if self.step is None else f"step {self.step}/{film.num_steps - 1}"]
        if shot is not None:
            parts.append(f"frame {shot.frames[self._index(shot)]}/{shot.num_frames - 1}")
        return parts

    def _told(self, shot: Shot | None) -> list[str]:
        """What else there is to say: how far it is read, what cannot be, and what a job does."""
        parts = []
        if not self._is_read:
            parts.append(f"read {len(self._shots)} of {self._num_pictures}")
        elif self._errors:
            parts.append(f"{len(self._errors)} not read: {self._errors[0]}")
        if self.doing and shot is not None:
            parts.append(self.doing.partition("\n")[0])
        return parts

    @property
    def _num_pictures(self) -> int:
        """Steps that are decoded, and the final video if it is stored."""
        return len(self.film.files) + self.film.has_final if self.film else 0

    def _why(self, film: Film) -> str:
        """Why there is no picture, and what makes one."""
        if self.step in film.files and not self._is_read:
            return "reading..."
        if self.step in film.files:
            return next((f"error: {one}" for one in self._errors), "error: cannot be read")
        if self.doing:
            return self.doing
        told = "This step is not decoded." if film.files else "No clean estimates of this run are decoded."
        key = "D decodes them by a job, and y copies" if self.can_decode else "y copies"
        how = f"{key} the command that decodes them:\n{film.command}"
        is_hidden = film.has_final and not film.files
        end = "\nThe final video is stored; the key end shows it." if is_hidden else ""
        return f"{told} {how}{end}"

    def _index(self, shot: Shot) -> int:
        return round(self.frame * (len(shot.frames) - 1))

    def _frame_of(self, shot: Shot) -> Frame:
        return shot.video[self._index(shot)]

    def _what_is_beside(
        self, film: Film, shot: Shot | None, kind: Kind, layer: int
    ) -> tuple[str, Frame | None]:
        """What is shown beside the picture, in words, and the picture of it; None while there is none."""
        recorded, step, overlay = film.recorded.get(kind), self.step, self._overlay
        if recorded is None:
            holds = "every token" if kind is Kind.ENERGY else "the channels of every token"
            return f"No site holds {holds}, so there is no {kind.value} by token.", None
        told = f"{kind.value}, {recorded.site}, layer {layer}"
        if not recorded.has(step, layer):
            return f"{told}: nothing is recorded here.", None
        if self._overlay_error:
            return f"{told}: {self._overlay_error}", None
        if overlay is None or (overlay.wanted.kind, overlay.wanted.layer, overlay.wanted.step) != (
            *(kind, layer),
            step,
        ):
            return f"{told}: reading...", None
        frames = len(overlay.pictures)
        shown = round(self.frame * (frames - 1))
        if shot is not None:
            shown = latent_frame(shot.frames[self._index(shot)], shot.num_frames, frames)
        return f"{told}, latent frame {shown}, {overlay.words}", overlay.picture(shown)
