"""What the catalog knows of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from stores import layout

Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A finished run, as the catalog knows it.

    Attributes:
        sample, seed, variant: what names the run.
        num_steps: denoising steps of the run.
        sites: the sites whose activations it holds.
        size: of the file, in bytes.
        finished: when, in UTC, as ``2026-01-31T12:00:00Z``.
        file: relative to the store, with forward slashes.
    """

    sample: str
    seed: int
    variant: str
    num_steps: int
    sites: tuple[str, ...]
    size: int
    finished: str
    file: str

    @property
    def key(self) -> Key:
        """What names the run."""
        return self.sample, self.seed, self.variant

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values, as `from_json` takes them."""
        return asdict(self) | {"sites": list(self.sites)}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> RunEntry:
        """Raises KeyError, TypeError or ValueError if ``line`` is no entry."""
        entry = cls(
            sample=str(line["sample"]),
            seed=int(line["seed"]),
            variant=str(line["variant"]),
            num_steps=int(line["num_steps"]),
            sites=tuple(line["sites"]),
            size=int(line["size"]),
            finished=str(line["finished"]),
            file=str(line["file"]),
        )
        if layout.parse_run_file(entry.file) != entry.key:
            raise ValueError(f"{entry.file} is not the file of {entry.key}")
        return entry
