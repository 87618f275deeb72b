"""The pictures of one run: one step, or steps as a film strip."""

from __future__ import annotations

import numpy as np
from rich.style import Style
from textual.events import Resize

from tui.film import EnergyMap, Film, Shot, latent_frame
from tui.heatmaps.heatmap import number_text
from tui.heatmaps.scale import SEQUENTIAL, UNKNOWN, Scale
from tui.pictures import Frame, best_columns, fitted, half_cells
from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of

FINAL = "end"
_CHOSEN = Style(reverse=True, bold=True)
_GAP = 1
LEAST_THUMB = 9, 5
"""Columns and lines of a step in the film strip, with its number and the gap; smaller ones tell nothing."""


class FilmView(Canvas):
    """A line that says what is seen, and below it the picture; texts in the place of what is not there.

    Attributes:
        film: what there is of the run; None while that is being read.
        at: the place that is shown, an index of `places`.
        frame: which of the video's frames is shown, from 0 (first) to 1 (last).
        is_strip: steps side by side.
        energy_layer: the layer whose energy is shown beside the picture; None: no energy.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.film: Film | None = None
        self.at = 0
        self.frame = 1.0
        self.is_strip = False
        self.energy_layer: int | None = None
        self._title = name
        self._shots: dict[int | None, Shot] = {}
        self._energy: EnergyMap | None = None
        self._is_read = False
        self._errors: list[str] = []

    # What it is told

    def begin(self, film: Film) -> None:
        """Show the pictures of a run, of which none is read so far."""
        self.film, self._shots, self._errors = film, {}, []
        self._energy, self._is_read = None, not film.files and not film.has_final
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

    def show_energy(self, energy: EnergyMap) -> None:
        """The energy of the tokens has been read."""
        self._energy = energy
        self.repaint()

    # What it says

    @property
    def is_missing(self) -> bool:
        """Whether no clean estimate is decoded, as is known by now."""
        return self.film is not None and not self.film.files

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
            lines = self._words(self._errors[0] if self._errors else "reading...", width)
        elif self.is_strip:
            lines = self._strip(self.film, width, height)
        else:
            lines = self._picture(self.film, width, height)
        self.paint(lines)

    def on_resize(self, event: Resize) -> None:
        """Fit the picture in anew."""
        self.repaint()

    # How it is painted

    def _picture(self, film: Film, width: int, height: int) -> list[Line]:
        shot = self._shots.get(self.step)
        lines = [cells_of(self._label(film, shot)[:width])]
        room = (width - 2 * _GAP) // 2 if self.energy_layer is not None else width
        if shot is None:
            words = self._words(self._why(film), room)[1:]
            picture = words[: height - 1]
        else:
            under = 1 if self.energy_layer is None else 2
            picture = self._half_cells(self._frame_of(shot), room, height - under)
        if self.energy_layer is None:
            return lines + picture
        # Beside the line that says what the colours are.
        picture = [[], *picture]
        beside = self._energy_lines(film, room, height - 1)
        wide = max((len(line) for line in picture), default=0) + 2 * _GAP
        for row in range(max(len(picture), len(beside))):
            left = picture[row] if row < len(picture) else []
            right = beside[row] if row < len(beside) else []
            lines.append([*left, *[(" ", PLAIN)] * (wide - len(left)), *right])
        return lines

    def _strip(self, film: Film, width: int, height: int) -> list[Line]:
        """Steps side by side, in as many rows as makes them largest; where not all fit, those around this."""
        lines = [cells_of(self._label(film, self._shots.get(self.step))[:width])]
        if self.is_missing and not film.has_final:
            return lines + self._words(self._why(film), width)[1:]
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
        places = range(first, first + count)
        for start in range(0, count, columns):
            lines += self._thumbs(film, places[start : start + columns], wide, tall)
        return lines

    def _thumbs(self, film: Film, places: range, wide: int, tall: int) -> list[Line]:
        """A row of steps, each under its number."""
        rows: list[Line] = [[] for _ in range(tall)]
        for place in places:
            step = place if place < film.num_steps else None
            label = FINAL if step is None else str(step)
            head = [*cells_of(label, _CHOSEN if place == self.at else PLAIN)]
            shot = self._shots.get(step)
            frame = None if shot is None else self._frame_of(shot)
            picture = [cells_of(".")] if frame is None else self._half_cells(frame, wide - _GAP, tall - 1)
            for y, row in enumerate(rows):
                cells = head if y == 0 else picture[y - 1] if y <= len(picture) else []
                row += [*cells, *[(" ", PLAIN)] * (wide - len(cells))]
        return rows

    def _label(self, film: Film, shot: Shot | None) -> str:
        step = self.step
        parts = [self._title]
        if step is None:
            parts.append("final video")
        else:
            parts.append(f"step {step} of {film.num_steps - 1}, σ {film.sigmas[step]:.3f}")
        if shot is not None:
            parts.append(f"frame {shot.frames[self._index(shot)]} of {shot.num_frames - 1}")
        if not self._is_read:
            parts.append(f"read {len(self._shots)} of {len(film.files) + film.has_final}")
        elif self._errors:
            parts.append(f"{len(self._errors)} not read: {self._errors[0]}")
        return "   ".join(parts)

    def _why(self, film: Film) -> str:
        """Why there is no picture, and what makes one."""
        if self.step in film.files and not self._is_read:
            return "reading..."
        if self.step in film.files:
            return next((f"error: {one}" for one in self._errors), "error: cannot be read")
        if film.files:
            return f"This step is not decoded. To decode all (y copies this), then r:\n{film.command}"
        told = "No clean estimates of this run are decoded. To decode them (y copies this), then r:"
        end = "The final video is stored; the key end shows it." if film.has_final else ""
        return f"{told}\n{film.command}\n{end}".strip()

    def _words(self, text: str, width: int) -> list[Line]:
        """The title and a text, in lines that fit; a command is not cut but folded."""
        lines = [self._title]
        for paragraph in text.split("\n"):
            line = ""
            for word in paragraph.split(" "):
                if line and len(line) + 1 + len(word) > width:
                    lines.append(line)
                    line = word
                else:
                    line = f"{line} {word}" if line else word
                while len(line) > width:
                    lines.append(line[:width])
                    line = line[width:]
            lines.append(line)
        return [cells_of(line) for line in lines]

    def _index(self, shot: Shot) -> int:
        return round(self.frame * (len(shot.frames) - 1))

    def _frame_of(self, shot: Shot) -> Frame:
        return shot.video[self._index(shot)]

    def _half_cells(self, frame: Frame, width: int, height: int) -> list[Line]:
        if width < 1 or height < 1:
            return []
        return half_cells(fitted(frame, width, height), not self.app.no_color)

    def _energy_lines(self, film: Film, width: int, height: int) -> list[Line]:
        """The energy of each token of a latent frame, in colours, under a line that says which."""
        energy, step = self._energy, self.step
        if film.energy_site is None:
            return self._words("No site holds every token, so there is no energy by token.", width)[1:]
        if step is None or step not in film.steps or self.energy_layer not in film.layers:
            return self._words(f"Nothing is recorded at layer {self.energy_layer} here.", width)[1:]
        if energy is None or (energy.step, energy.layer) != (step, self.energy_layer):
            return [cells_of("reading...")]
        shot = self._shots.get(step)
        frames = len(energy.values)
        shown = round(self.frame * (frames - 1))
        if shot is not None:
            shown = latent_frame(shot.frames[self._index(shot)], shot.num_frames, frames)
        values = energy.values[shown].astype(np.float64)
        # One scale for all frames of the step, so that they compare.
        scale = Scale.of(energy.values.astype(np.float64))
        told = f"energy, {film.energy_site}, layer {self.energy_layer}, latent frame {shown}"
        if scale is None:
            return [cells_of(f"{told}: not known"[:width])]
        low, high = number_text(scale.low), number_text(scale.high)
        palette = np.array([*SEQUENTIAL, (128, 128, 128)], np.uint8)
        levels = scale.levels(values)
        picture = palette[np.where(levels == UNKNOWN, len(SEQUENTIAL), levels)]
        head = [cells_of(f"{told}, {low} to {high}"[:width])]
        return head + self._half_cells(picture, width, height - 1)
