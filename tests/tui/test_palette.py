"""All commands by name: what is offered, what fits, and what is done."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import submit
from cosinterp.jobs.spec import JobSpec
from tests.tui.driving import browser_of, rows_of, shown_text, until, until_mapped, until_read
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp
from tui.palette import reading
from tui.palette.entry import Entry, fitting
from tui.palette.reading import Found, find
from tui.palette.screen import Palette


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-2", 0), ("maze-1", 1)])


def offered(pilot: Pilot[None]) -> list[str]:
    """What the list has, hint and name of each."""
    screen = pilot.app.screen
    assert isinstance(screen, Palette)
    return [f"{entry.hint} {entry.name}" for entry in screen._shown]


async def until_offered(pilot: Pilot[None], *names: str) -> None:
    await until(pilot, lambda: all(any(name in one for one in offered(pilot)) for name in names))


def entry(hint: str, name: str) -> Entry:
    return Entry(hint, name, lambda: None)


def test_every_word_has_to_occur_and_what_begins_with_the_first_comes_first() -> None:
    entries = [
        entry("f", "show a store"),
        entry("form", "store verify"),
        entry("store", "mazes"),
        entry("q", "x"),
    ]
    assert [one.name for one in fitting(entries, "store")] == ["mazes", "store verify", "show a store"]
    assert [one.name for one in fitting(entries, "Store VER")] == ["store verify"]
    assert fitting(entries, "zebra") == []
    assert fitting(entries, "  ") == entries


def test_forms_stores_and_results_are_found(tmp_path: Path) -> None:
    make_store(tmp_path / "a", [("maze-1", 0)])
    other = make_store(tmp_path / "deep" / "b", [("maze-1", 0)])
    (other / "results").mkdir(exist_ok=True)
    (other / "results" / "probe-path.nc").write_bytes(b"broken, and told by its name all the same")
    forms, *stores = find(tmp_path)
    assert {"trace", "ensemble", "patch", "noise", "probe", "experiment"} <= {form.name for form in forms}
    assert stores == [
        [Found("store", "a", "", tmp_path / "a")],
        [Found("store", "deep/b", "", other), Found("result", "probe-path", "deep/b", other)],
    ]


async def test_offers_what_the_keys_do_here_and_does_it(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        assert [row[0] for row in rows_of(pilot)] == ["maze-1", "maze-2"]
        await pilot.press("ctrl+p")
        await until_offered(pilot, "S turn the order round", "theme dark", "form trace", "store mazes")
        assert not any("keep the filter" in one for one in offered(pilot))
        await pilot.press(*"turn", "enter")
        await until(pilot, lambda: [row[0] for row in rows_of(pilot)] == ["maze-2", "maze-1"])
        await pilot.press("ctrl+p", *"go", "down", "up", "escape")
        assert pilot.app.screen is browser_of(pilot)
        await until_mapped(pilot)
        await pilot.press("ctrl+p")
        await until_offered(pilot, "d digits in place of colours", "esc back to the runs")
        assert not any("turn the order" in one for one in offered(pilot))


async def test_a_form_is_opened_by_the_name_of_its_command(store: Path) -> None:
    app = CosinterpApp(store)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("ctrl+p", *"patch:")
        await until_offered(pilot, "form patch")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "launch" and "donor" in shown_text(pilot))


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = submit(JobSpec.of("mazes", count=1, rooms=5, out=str(tmp_path / "made")), watched=0)
    yield made
    made.wait(30)


async def test_a_job_is_gone_to_by_its_id(store: Path, job: Job) -> None:
    app = CosinterpApp(store)
    async with app.run_test(size=(132, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: app.jobs_watch.latest is not None and app.jobs_watch.latest.jobs)
        await pilot.press("ctrl+p", *"job", "enter")
        await until(pilot, lambda: app.current_mode == "jobs" and job.id in shown_text(pilot))


async def test_a_disk_that_hangs_leaves_the_keys_and_what_is_known_without_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_ever = threading.Event()

    def hang(root: Path) -> Iterator[list[Found]]:
        for_ever.wait()
        yield []

    monkeypatch.setattr(reading, "find", hang)
    try:
        async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
            await until_read(pilot)
            await pilot.press("ctrl+p")
            await until_offered(pilot, "theme dark")
            assert "reading..." in shown_text(pilot)
            await pilot.press(*"light", "enter")
            await until(pilot, lambda: pilot.app.theme == "light")
    finally:
        for_ever.set()


async def test_more_than_fits_is_counted_and_the_mark_stays_while_more_comes(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = threading.Event()

    def many(root: Path) -> Iterator[list[Found]]:
        yield [Found("result", f"r-{number}", "mazes", root) for number in range(150)]
        more.wait(30)
        yield [Found("result", f"s-{number}", "mazes", root) for number in range(150)]

    monkeypatch.setattr(reading, "find", many)
    async with CosinterpApp(store).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("ctrl+p", *"result", "down", "down")
        await until_offered(pilot, "r-149")
        names = pilot.app.screen.query_one(OptionList)
        await pilot.press("pagedown")
        marked = names.highlighted
        assert marked
        more.set()
        await until(pilot, lambda: "more; type what they are called" in shown_text(pilot))
        assert names.highlighted == marked
