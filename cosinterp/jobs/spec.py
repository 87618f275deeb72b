"""What a job is to do: a ``cosinterp`` command line, as words."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cosinterp import __version__
from cosinterp.errors import JobError


class JobSpec(BaseModel):
    """A command line, and where it was asked for.

    The words are handed to the command as they are: no shell reads them. The environment is no part of a
    spec, since it holds secrets: a job has that of the process that starts or resumes it.

    Attributes:
        words: after ``cosinterp``, such as ``("trace", "--model", "maze-wan", ...)``.
        cwd: the folder that the command runs in, which its relative paths are of.
        name: what the user calls the job; None: nothing.
        created: seconds since the epoch.
        python: the interpreter that the job was asked for with.
        version: of cosinterp.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    words: tuple[str, ...] = Field(min_length=1)
    cwd: str = Field(default_factory=lambda: str(Path.cwd()))
    name: str | None = None
    created: float = Field(default_factory=time.time)
    python: str = sys.executable
    version: str = __version__

    @field_validator("words")
    @classmethod
    def _check_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in word for word in words):
            raise ValueError("a word of a command has no NUL character")
        return words

    @classmethod
    def of(cls, command: str, *arguments: object, **flags: object) -> JobSpec:
        """The spec of a command, as one would call a function.

        Args:
            command: such as "trace".
            arguments: what comes without a flag, such as "verify" and a folder for "store".
            flags: ``num_steps=12`` is ``--num-steps 12``, True is the bare flag, False is ``--no-...``, None
                is nothing, and a list gives the flag once for each.

        Raises:
            JobError: a word that no command line can hold.
        """
        return cls.of_words([command, *map(str, arguments), *_flag_words(flags)])

    @classmethod
    def of_words(cls, words: Sequence[str], *, name: str | None = None) -> JobSpec:
        """The spec of the words after ``cosinterp``.

        Raises:
            JobError: there are none, or one that no command line can hold.
        """
        try:
            return cls(words=tuple(words), name=name)
        except ValidationError as error:
            raise JobError(f"this is no command line: {error.errors()[0]['msg']}") from None
        except FileNotFoundError:
            raise JobError("the folder that you are in is gone; go to another") from None

    @classmethod
    def read(cls, path: Path) -> JobSpec:
        """The spec in a file.

        Raises:
            JobError: there is none, or it cannot be read.
        """
        try:
            return cls.model_validate(json.loads(path.read_bytes()))
        except OSError as error:
            raise JobError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise JobError(f"{path}: this is no spec of a job") from None

    def as_json(self) -> bytes:
        """The text of ``spec.json``."""
        # In ASCII, because a word may be what is no text in any other: the name of a file in bytes.
        return json.dumps(self.model_dump(), indent=2).encode() + b"\n"


def _flag_words(flags: dict[str, object]) -> Iterator[str]:
    for name, value in flags.items():
        flag = name.strip("_").replace("_", "-")
        values = value if isinstance(value, (list, tuple)) else [value]
        for one in values:
            if one is True:
                yield f"--{flag}"
            elif one is False:
                yield f"--no-{flag}"
            elif one is not None:
                text = str(one)
                # What begins with a dash would be read as the next flag.
                yield from (f"--{flag}={text}",) if text.startswith("-") else (f"--{flag}", text)
