"""The catalog: which runs a store holds, known without opening them.

Each process that finishes runs appends one line of JSON a run to a file of its own, ``<writer>.jsonl``, so
writers never wait for one another, not even on several machines. The catalog is an index and nothing more:
it can be rebuilt from the run files, and a run whose line was lost (its process was killed in that moment)
is found again when the store is opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stores import layout
from stores.entries import Key, RunEntry
from stores.errors import NoRunError, StoreError
from stores.reader import Run

# A file's name and inode: whatever else gets its name is another file.
_File = tuple[str, int]


class Catalog:
    """The catalog of the store in the folder ``store``: reads what others append, appends its own."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / layout.CATALOG
        self._offsets: dict[_File, int] = {}
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
        sizes = self._files()
        if sizes == self._offsets:
            return False
        anew = any(sizes.get(file, -1) < offset for file, offset in self._offsets.items())
        if anew:
            self._offsets.clear()
            self._entries.clear()
            self._damaged.clear()
            self._unlisted.clear()
        changed = False
        for file in sorted(sizes):
            if sizes[file] > self._offsets.get(file, 0):
                changed |= self._read(file)
        if anew:
            self.reconcile()
        return changed or anew

    def reconcile(self) -> None:
        """Corrects what was read by the files that are there; nothing is written.

        Runs without a line are read from their files; damaged ones are left out, `Store.verify` names them.
        """
        files = set(run_files(self._store))
        self._unlisted = [entry for entry in self._unlisted if entry.file in files]
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
        """Replaces the whole catalog by one file with ``entries``, if their runs are still there.

        Runs that other processes finish in the meantime keep their lines.

        Raises:
            OSError: it cannot be written.
        """
        self._folder.mkdir(exist_ok=True)
        old = [name for name, _ in self._files()]
        there = set(run_files(self._store))
        name = _new_name()
        path = self._folder / name
        draft = path.with_suffix(".draft")
        with draft.open("x", encoding="utf-8") as file:
            for entry in entries:
                if entry.file in there:
                    file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        self._writer = (os.getpid(), name)
        for name in old:
            (self._folder / name).unlink(missing_ok=True)
        # The lines of those that were finished since were perhaps in the files that are gone.
        self.refresh()
        self.reconcile()
        self.complete()

    def _append(self, entries: Iterable[RunEntry]) -> None:
        self._folder.mkdir(exist_ok=True)
        lines = "".join(map(_line, entries)).encode()
        is_there = False
        while not is_there:
            fd = self._open_own_file()
            try:
                _write_all(fd, lines)
                os.fsync(fd)
                # `rewrite` of another process may have removed it just now.
                is_there = os.fstat(fd).st_nlink > 0
            finally:
                os.close(fd)
        self._unlisted.clear()

    def _files(self) -> dict[_File, int]:
        """The size of every file."""
        sizes: dict[_File, int] = {}
        try:
            with os.scandir(self._folder) as found:
                for item in found:
                    if item.name.endswith(".jsonl"):
                        # It may have been removed since it was listed.
                        with contextlib.suppress(FileNotFoundError):
                            status = item.stat()
                            sizes[item.name, status.st_ino] = status.st_size
        except FileNotFoundError:
            pass
        return sizes

    def _read(self, known: _File) -> bool:
        name, inode = known
        start = self._offsets.get(known, 0)
        try:
            with (self._folder / name).open("rb") as file:
                if os.fstat(file.fileno()).st_ino != inode:
                    # Another file by now, which the next `refresh` finds.
                    return True
                file.seek(start)
                text = file.read()
        except FileNotFoundError:
            return True
        # A last line without its end is still being written, or its writer was killed.
        whole = text[: text.rfind(b"\n") + 1]
        self._offsets[known] = start + len(whole)
        for line in whole.splitlines():
            try:
                entry = RunEntry.from_json(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                self._damaged.append(f"{layout.CATALOG}/{name}: a line is damaged ({error!r})")
            else:
                # A run that was deleted and made anew has lines in several files, which come in any order.
                other = self._entries.get(entry.key)
                if other is None or other.finished <= entry.finished:
                    self._entries[entry.key] = entry
        return bool(whole)

    def _open_own_file(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        # A forked child is another writer.
        if self._writer is not None and self._writer[0] == os.getpid():
            # Once `rewrite` has removed it, its name is not used again: who has read the old file would go on
            # in the new one from where the old one ended.
            with contextlib.suppress(FileNotFoundError):
                return os.open(self._folder / self._writer[1], flags)
        name = _new_name()
        fd = os.open(self._folder / name, flags | os.O_CREAT | os.O_EXCL, 0o666)
        self._writer = (os.getpid(), name)
        return fd


def index_anew(store: Path, progress: Callable[[int, int, str], None] | None = None) -> list[StoreError]:
    """As `Store.reindex`, but for what it raises.

    Raises:
        OSError: the catalog cannot be written.
    """
    files = sorted(run_files(store))
    entries, failures = [], []
    for done, file in enumerate(files):
        if progress is not None:
            progress(done, len(files), file)
        try:
            with open_run(store, file) as run:
                entries.append(entry_of(run, file))
        except NoRunError:
            # It was removed since we listed it.
            continue
        except StoreError as error:
            failures.append(error)
    Catalog(store).rewrite(entries)
    return failures


def rewrite_catalog(store: Path) -> None:
    """Replaces the catalog by one of the runs whose files are there; only those without a line are opened.

    Raises:
        OSError: it cannot be written.
    """
    catalog = Catalog(store)
    catalog.refresh()
    catalog.reconcile()
    catalog.rewrite(catalog.entries())


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


def _new_name() -> str:
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:64]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"


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
