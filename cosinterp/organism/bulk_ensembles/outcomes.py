"""What was drawn by each scheme, in one file: every picture once, and which picture each video ended with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.bulk_ensembles.schemes import Scheme, scheme_of
from cosinterp.organism.bulk_ensembles.tasks import Tasks


@dataclass(frozen=True)
class Settings:
    """Of a measurement.

    Attributes:
        first, count: held-out mazes ``first`` and on, of 7x7 rooms.
        num_steps, guidance: of all schemes that have none of their own.
        recorded: steps whose clean estimates are read too, where seeds go by themselves.
        computed: how, in words.
    """

    first: int
    count: int
    num_steps: int
    guidance: float
    recorded: tuple[int, ...]
    computed: str


@dataclass(frozen=True, eq=False)
class Drawn:
    """What some videos drew.

    Attributes:
        cells: bool (video, row, col): the last frame's path cells.
        blur: float32 (video,): how far the last frame is from the nearest cleanly drawn one, the mean over
            pixels and colours of the difference, 0 to 255. Known without the answer.
    """

    cells: np.ndarray
    blur: np.ndarray


@dataclass(frozen=True, eq=False)
class Answers:
    """What one scheme drew. A picture is a number, the same for the same path cells in all schemes of a file.

    Attributes:
        scheme: which.
        final: int (maze, answer): the picture of each video's last frame.
        blur: float16 (maze, answer), as `Drawn`.
        early: int (recorded step, maze, answer): of clean estimates, or None.
        early_blur: float16, likewise.
        seconds: that it took, decoding included.
    """

    scheme: Scheme
    final: np.ndarray
    blur: np.ndarray
    early: np.ndarray | None
    early_blur: np.ndarray | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Measured:
    """A file of outcomes.

    Attributes:
        settings: of the measurement.
        named, other: int (maze,): the picture of the path to the goal that the prompt names; to the other.
        path_length: int (maze,), as `tasks.Tasks`.
        pictures: bool (picture, row, col).
        answers: by the scheme's name, in the order measured.
    """

    settings: Settings
    named: np.ndarray
    other: np.ndarray
    path_length: np.ndarray
    pictures: np.ndarray
    answers: Mapping[str, Answers]

    def solved(self, pictures: np.ndarray) -> np.ndarray:
        """Which of these, int (..., maze, answer), are the true path; bool."""
        return pictures == self.named[:, None]

    def evaluations(self, name: str) -> int:
        """What a scheme costs a maze, in denoiser evaluations."""
        return self.answers[name].scheme.evaluations(self.settings.num_steps, self.settings.guidance)


@dataclass
class Book:
    """Outcomes as they come.

    Attributes:
        settings: of the measurement.
        tasks: the mazes.
    """

    settings: Settings
    tasks: Tasks
    _numbers: dict[bytes, int] = field(default_factory=dict)
    _answers: list[Answers] = field(default_factory=list)
    _paths: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Number the true paths first."""
        self._paths = self._number(self.tasks.paths)

    def add(self, scheme: Scheme, final: Drawn, early: Sequence[Drawn], seconds: float) -> Answers:
        """Note what a scheme drew: videos maze by maze, ``early`` those of each recorded step or nothing."""
        shape = len(self.tasks), scheme.answers
        made = Answers(
            scheme,
            self._number(final.cells).reshape(shape),
            final.blur.astype(np.float16).reshape(shape),
            np.stack([self._number(drawn.cells) for drawn in early]).reshape(-1, *shape) if early else None,
            np.stack([drawn.blur for drawn in early]).astype(np.float16).reshape(-1, *shape)
            if early
            else None,
            seconds,
        )
        self._answers.append(made)
        return made

    def solved(self, answers: Answers) -> np.ndarray:
        """Which answers are the true path: bool (maze, answer)."""
        return answers.final == self._paths[:, :1]

    def write(self, path: Path) -> None:
        """Write everything so far; a reader never sees half a file."""
        arrays: dict[str, np.ndarray] = {
            "settings": np.array(json.dumps(asdict(self.settings))),
            "schemes": np.array(
                json.dumps([[a.scheme.to_dict(), round(a.seconds, 2)] for a in self._answers])
            ),
            "paths": self._paths,
            "path_length": self.tasks.path_length,
            "side": np.array(self.tasks.cells.shape[-1]),
            "pictures": np.frombuffer(b"".join(self._numbers), np.uint8).reshape(len(self._numbers), -1),
        }
        for number, answers in enumerate(self._answers):
            arrays[f"{number}/final"] = answers.final
            arrays[f"{number}/blur"] = answers.blur
            if answers.early is not None and answers.early_blur is not None:
                arrays[f"{number}/early"] = answers.early
                arrays[f"{number}/early_blur"] = answers.early_blur
        partial = path.with_name(f"{path.stem}.partial.npz")
        np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]
        partial.replace(path)

    def _number(self, cells: np.ndarray) -> np.ndarray:
        """The number of each picture, int32 (...), of path cells (..., row, col)."""
        packed = np.packbits(cells.reshape(-1, cells.shape[-2] * cells.shape[-1]), axis=-1)
        numbers = [self._numbers.setdefault(row.tobytes(), len(self._numbers)) for row in packed]
        return np.array(numbers, dtype=np.int32).reshape(cells.shape[:-2])


def read_outcomes(path: Path) -> Measured:
    """The outcomes in a file of `Book.write`.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        with np.load(path) as arrays:
            values = json.loads(str(arrays["settings"]))
            side = int(arrays["side"])
            pictures = np.unpackbits(arrays["pictures"], axis=-1)[:, : side * side]
            schemes = json.loads(str(arrays["schemes"]))
            found = [
                Answers(
                    scheme_of(scheme),
                    arrays[f"{number}/final"],
                    arrays[f"{number}/blur"],
                    arrays.get(f"{number}/early"),
                    arrays.get(f"{number}/early_blur"),
                    seconds,
                )
                for number, (scheme, seconds) in enumerate(schemes)
            ]
            return Measured(
                Settings(**{**values, "recorded": tuple(values["recorded"])}),
                arrays["paths"][:, 0],
                arrays["paths"][:, 1],
                arrays["path_length"],
                pictures.reshape(-1, side, side).astype(bool),
                {answers.scheme.name: answers for answers in found},
            )
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no outcomes of cosinterp.organism.bulk_ensembles: {error}") from error
