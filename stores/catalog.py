"""The catalog: which runs a store holds, known without opening them.

Each process that finishes runs appends one line of JSON a run to a file of its own, ``<writer>.jsonl``, so
writers never wait for one another, not even on several machines. The catalog is an index and nothing more:
it can be rebuilt from the run files, and a run whose line was lost (its process was killed in that moment)
is found again when the store is opened.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from stores import layout
from stores.entries import Key, RunEntry
from stores.errors import StoreError
from stores.reader import Run


class Catalog:
    """The catalog of the store in the folder ``store``: reads what others append, appends its own."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / layout.CATALOG
        self._offsets: dict[str, int] = {}
        self._entries: dict[Key, RunEntry] = {}
        self._damaged: list[str] = []
        self._unlisted: list[RunEntry] = []
        self._writer: tuple[int, str] | None = None

    @property
    def damaged(self) -> list[str]:
        """Lines that could not be read, as ``file: what is wrong``."""
        return self._damaged

    def refresh(self) -> bool:
        """Reads what was appended since the last time; whether that was anything.

        If a file vanished or shrank (`rewrite` did it, or a user), everything is read anew and reconciled.
        """
        sizes = {file.name: size for file, size in self._files()}
        if sizes == self._offsets:
            return False
        anew = any(sizes.get(name, -1) < offset for name, offset in self._offsets.items())
        if anew:
            self._offsets.clear()
            self._entries.clear()
            self._damaged.clear()
        changed = False
        for name in sorted(sizes):
            if sizes[name] > self._offsets.get(name, 0):
                changed |= self._read(name)
        if anew:
            self.reconcile()
        return changed or anew

    def reconcile(self) -> None:
        """Corrects what was read by the files that are there; nothing is written.

        Runs without a line are read from their files; damaged ones are left out, `Store.verify` names them.
        """
        files = set(run_files(self._store))
        self._unlisted.clear()
        listed = {entry.file: key for key, entry in self._entries.items()}
        for file in listed.keys() - files:
            del self._entries[listed[file]]
        for file in files - listed.keys():
            try:
                with open_run(self._store, file) as run:
                    entry = entry_of(run, file)
            except StoreError:
                continue
            self._entries[entry.key] = entry
            self._unlisted.append(entry)

    def entries(self) -> list[RunEntry]:
        """All entries read so far, one a run, by sample, seed and variant."""
        return [self._entries[key] for key in sorted(self._entries)]

    def append(self, entry: RunEntry) -> None:
        """Adds a line to this process's own file and waits until it is on the disk.

        The runs that `reconcile` found without a line get theirs as well.

        Raises:
            OSError: it cannot be written.
        """
        # Kept until its line is written, which the next one may achieve if this one does not.
        self._unlisted.append(entry)
        self._append(self._unlisted)

    def complete(self) -> None:
        """Adds the lines of the runs that `reconcile` found without one.

        Raises:
            OSError: they cannot be written.
        """
        if self._unlisted:
            self._append(self._unlisted)

    def rewrite(self, entries: Iterable[RunEntry]) -> None:
        """Replaces the whole catalog by one file with ``entries``.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(exist_ok=True)
        old = [file for file, _ in self._files()]
        self._writer = None
        path = self._folder / self._own_file()
        draft = path.with_suffix(".draft")
        with draft.open("x", encoding="utf-8") as file:
            for entry in entries:
                file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        for file in old:
            file.unlink(missing_ok=True)

    def _append(self, entries: Iterable[RunEntry]) -> None:
        self._folder.mkdir(exist_ok=True)
        lines = "".join(map(_line, entries)).encode()
        path = self._folder / self._own_file()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _write_all(fd, lines)
            self._unlisted.clear()
            os.fsync(fd)
        finally:
            os.close(fd)

    def _files(self) -> list[tuple[Path, int]]:
        try:
            with os.scandir(self._folder) as found:
                return [(Path(f.path), f.stat().st_size) for f in found if f.name.endswith(".jsonl")]
        except FileNotFoundError:
            return []

    def _read(self, name: str) -> bool:
        start = self._offsets.get(name, 0)
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(start)
                text = file.read()
        except FileNotFoundError:
            return True
        # A last line without its end is still being written, or its writer was killed.
        whole = text[: text.rfind(b"\n") + 1]
        self._offsets[name] = start + len(whole)
        for line in whole.splitlines():
            try:
                entry = RunEntry.from_json(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                self._damaged.append(f"{layout.CATALOG}/{name}: a line is damaged ({error!r})")
            else:
                # A run that was deleted and made anew has lines in several files, which come in any order.
                known = self._entries.get(entry.key)
                if known is None or known.finished <= entry.finished:
                    self._entries[entry.key] = entry
        return bool(whole)

    def _own_file(self) -> str:
        # A forked child is another writer.
        if self._writer is None or self._writer[0] != os.getpid():
            host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:64]
            self._writer = (os.getpid(), f"{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl")
        return self._writer[1]


def run_files(store: Path) -> Iterator[str]:
    """The finished run files of a store, relative to it, in no particular order; no file is opened."""
    for folder in _folders(store / layout.RUNS):
        with os.scandir(store / layout.RUNS / folder) as found:
            for item in found:
                file = f"{layout.RUNS}/{folder}/{item.name}"
                if layout.parse_run_file(file) is not None:
                    yield file


def open_run(store: Path, file: str) -> Run:
    """Opens a run by its file, relative to the store.

    Raises:
        StoreError: the file cannot be read as a run, or is another run's.
    """
    path = store / file
    run = Run(path)
    if (run.sample, run.seed, run.variant) != layout.parse_run_file(file):
        run.close()
        raise StoreError(
            f"{path}: it is the run of sample {run.sample}, seed {run.seed}, variant {run.variant}; "
            "rename it back"
        )
    return run


def entry_of(run: Run, file: str) -> RunEntry:
    """The entry of an open run."""
    return RunEntry(
        sample=run.sample,
        seed=run.seed,
        variant=run.variant,
        num_steps=run.num_steps,
        sites=tuple(run.sites),
        size=run.size,
        finished=str(run.attrs.get("finished", "")),
        file=file,
    )


def _write_all(fd: int, lines: bytes) -> None:
    """Writes all or nothing: half a line on a full disk would spoil the next one."""
    before = os.fstat(fd).st_size
    done = 0
    try:
        while done < len(lines):
            done += os.write(fd, lines[done:])
    except OSError:
        os.ftruncate(fd, before)
        raise


def _line(entry: RunEntry) -> str:
    return json.dumps(entry.to_json(), separators=(",", ":")) + "\n"


def _folders(runs: Path) -> list[str]:
    try:
        with os.scandir(runs) as found:
            return [item.name for item in found if item.is_dir()]
    except FileNotFoundError:
        return []
