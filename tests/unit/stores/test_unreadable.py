"""What the system refuses for now is not taken for damage, which would have good runs deleted."""

from __future__ import annotations

import errno
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stores import Run, Store, StoreError, verify
from stores.errors import NoRunError, UnreadableError
from tests.unit.stores.making import make_store

FILE = "runs/a/0.h5"
ERRNOS = (errno.EIO, errno.ESTALE, errno.EACCES, errno.ENFILE, errno.ENOMEM)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", [("a", 0), ("a", 1)])


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_many_open_files_are_no_damage(store: Store) -> None:
    with (
        pytest.raises(UnreadableError, match=r"a/0\.h5: cannot be read: Too many open files$"),
        no_descriptors_left(),
    ):
        Run(store.path / FILE)


@pytest.mark.parametrize("number", ERRNOS, ids=errno.errorcode.get)
def test_what_the_system_refuses_at_opening_is_no_damage(
    store: Store, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: str, *rest: int) -> int:
        if str(path).endswith("0.h5"):
            raise OSError(number, os.strerror(number), path)
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    reason = os.strerror(number)
    with pytest.raises(UnreadableError, match=rf"a/0\.h5: cannot be read: {re.escape(reason)}$"):
        store.run("a", 0)
    assert [(problem.file, problem.kind, problem.message) for problem in store.verify()] == [
        (FILE, "unreadable", f"cannot be read: {reason}")
    ]


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), MemoryError()], ids=repr)
def test_what_the_system_refuses_later_is_no_damage(
    store: Store, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "Input/output error" if isinstance(failure, OSError) else "not enough memory"
    (store.path / "runs/a/1.h5").unlink()
    store.reindex()
    check_run = verify.check_run

    def refuse(*_: object) -> int:
        raise failure

    def check_on_a_bad_disk(*given: object) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(os, "preadv", refuse)
            yield from check_run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(verify, "check_run", check_on_a_bad_disk)
    problems = store.verify()
    assert {(problem.file, problem.kind) for problem in problems} == {(FILE, "unreadable")}
    assert problems[0].message == (
        f"activations/resid: 12 of 12 slabs, first step 0, layer 0, cond ({reason})"
    )
    with store.run("a", 0) as run:
        monkeypatch.setattr(os, "preadv", refuse)
        with pytest.raises(UnreadableError, match=rf"a/0\.h5: cannot be read: {reason}$"):
            run.read("resid", 0, 0)


def test_a_place_that_no_file_has_is_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    with store.run("a", 0) as run:
        monkeypatch.setattr(os, "preadv", refuse)
        with pytest.raises(StoreError, match=r"a/0\.h5: damaged, ") as caught:
            run.read("resid", 0, 0)
        assert not isinstance(caught.value, UnreadableError)


def test_a_run_that_is_removed_while_a_store_is_verified_is_passed_over(store: Store) -> None:
    def remove(_: int, __: int, file: str) -> None:
        if file == FILE:
            (store.path / "runs/a/1.h5").unlink(missing_ok=True)
            (catalog,) = (store.path / "catalog").glob("*.jsonl")
            catalog.write_text(catalog.read_text().splitlines(keepends=True)[0])

    assert store.verify(remove) == []
    with pytest.raises(NoRunError, match=r"a/1\.h5: no such run"):
        Run(store.path / "runs/a/1.h5")
