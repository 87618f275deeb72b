"""What is around every place: the line of places, help, questions, copying, read-only, the end."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from cosinterp.jobs.state import State
from stores import layout
from tests.tui.driving import browser_of, screen_text, shown_text, until, until_read
from tests.tui.job_factory import Planted, plant_running
from tests.tui.pseudo_terminal import receive
from tests.tui.store_factory import make_store
from tui.app import CosinterpApp
from tui.copying import copy
from tui.dialogs.ask import Line, Question
from tui.dialogs.page import Page
from tui.keys import KEYS, SECTIONS
from tui.memory import Memory
from tui.options import Options
from tui.ways import PLACES

ROOT = Path(__file__).parents[2]
SIZES = [(40, 12), (80, 24), (200, 60)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0), ("maze-1", 1)])


def squeezed(text: str) -> str:
    return " ".join(text.replace("│", " ").replace("▏", " ").split())


async def test_the_places_are_at_the_top_at_any_size_and_lead_to_one_another(store: Path) -> None:
    memory = Memory()
    app = CosinterpApp(store, memory=memory)
    async with app.run_test(size=SIZES[0]) as pilot:
        await until_read(pilot)
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert " ".join(screen_text(pilot)[0].split()) == "1 Runs 2 Results 3 Launch 4 Jobs"
        for place, (key, name) in PLACES.items():
            await pilot.press(key)
            await until(pilot, lambda place=place: app.current_mode == place)
            assert f"{key} {name}" in screen_text(pilot)[0]
            assert memory.get("place", "") == place
        await pilot.click("#places", offset=(screen_text(pilot)[0].index("Runs"), 0))
        await until(pilot, lambda: app.screen is browser_of(pilot))


async def test_every_key_on_the_help_page_is_reached_by_keys(store: Path) -> None:
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_read(pilot)
        await pilot.press("question_mark")
        page = pilot.app.screen
        assert isinstance(page, Page)
        seen = ""
        scroll = pilot.app.focused
        assert scroll is not None
        while True:
            x, y, width, height = scroll.scrollable_content_region
            lines = screen_text(pilot)[y : y + height]
            seen += "".join("".join(line[x : x + width].split()) for line in lines)
            before = scroll.scroll_y
            await pilot.press("pagedown")
            await pilot.pause()
            if scroll.scroll_y == before:
                break
        missing = [key.help for key in KEYS if key.help.replace(" ", "")[-6:] not in seen]
        assert missing == []
        assert all(title.replace(" ", "") in seen for title in SECTIONS.values())
        await pilot.press("escape")
        assert pilot.app.screen is browser_of(pilot)


async def test_questions_are_answered_by_a_key_by_the_list_or_not_at_all(store: Path) -> None:
    answers: list[object] = []
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_read(pilot)
        for keys in (["y"], ["n"], ["escape"], ["enter"], ["up", "enter"]):
            pilot.app.push_screen(Question("Cancel kite?", "Cancel it", "Let it run"), answers.append)
            await pilot.pause()
            assert "Let it run" in shown_text(pilot)
            assert pilot.app.screen.query_one(OptionList).highlighted == 1
            await pilot.press(*keys)
        assert answers == [True, False, False, False, True]


async def test_a_line_is_taken_only_if_nothing_is_wrong_with_it(store: Path) -> None:
    def check(text: str) -> str:
        return "" if text.endswith(".png") else "a picture ends with .png"

    answers: list[object] = []
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_read(pilot)
        pilot.app.push_screen(Line("write it to", "a.png", check), answers.append)
        await pilot.pause()
        assert not pilot.app.screen.query_one(Input).cursor_blink
        await pilot.press("backspace", "enter")
        await pilot.pause()
        assert "a picture ends with .png" in shown_text(pilot)
        await pilot.press("g", "enter")
        pilot.app.push_screen(Line("write it to", "b.png", check), answers.append)
        await pilot.pause()
        await pilot.press("q", "escape")
        assert answers == ["a.png", None]


async def test_what_is_copied_goes_to_the_clipboard_and_to_a_file_of_the_user(
    store: Path, app_home: Path
) -> None:
    app = CosinterpApp(store)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_read(pilot)
        copy(app, "cosinterp jobs ls", "the command")
        file = app_home / "copied.txt"
        await until(pilot, lambda: "copied the command" in squeezed(shown_text(pilot)))
        assert app.clipboard == "cosinterp jobs ls"
        assert file.read_text() == "cosinterp jobs ls\n"
        assert file.stat().st_mode & 0o777 == 0o600


async def test_a_read_only_app_writes_nothing_says_so_and_has_no_such_keys_in_sight(
    tmp_path: Path, app_home: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    app = CosinterpApp(folder, Options(readonly=True))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "This app is read-only" in shown_text(pilot))
        assert "Make one" not in screen_text(pilot)[-1]
        assert "Copy" in screen_text(pilot)[-1]
        await pilot.press("enter")
        await until(pilot, lambda: "read-only: this app cannot start a job" in squeezed(shown_text(pilot)))
        await pilot.press("y")
        await until(pilot, lambda: "copied the command" in squeezed(shown_text(pilot)))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "make a first store" not in shown_text(pilot))
    assert list(app_home.iterdir()) == []
    assert list(folder.iterdir()) == []


async def test_a_folder_without_runs_offers_the_first_and_a_store_without_runs_does_not(
    tmp_path: Path,
) -> None:
    async with CosinterpApp(tmp_path).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "enter makes a first store" in shown_text(pilot))
        assert f"cosinterpdemo--out{tmp_path}" in squeezed(shown_text(pilot)).replace(" ", "")
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    (store / layout.run_file("maze-1", 0)).unlink()
    for line in (store / "catalog").iterdir():
        line.unlink()
    async with CosinterpApp(tmp_path).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "The stores here have no runs yet." in shown_text(pilot))
        await pilot.press("enter")
        assert "starting" not in shown_text(pilot)


async def test_the_job_of_a_first_store_is_followed_until_its_runs_are_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_home: Path
) -> None:
    from tui.launch import reading as starting

    started: list[Planted] = []

    def start(words: tuple[str, ...], name: str | None) -> str:
        assert words == ("demo", "--out", str(tmp_path / "cosinterp-demo"))
        started.append(plant_running(app_home, "demo-0314-1502-brook", words))
        return started[0].id

    monkeypatch.setattr(starting, "start", start)
    async with CosinterpApp(tmp_path).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "enter makes a first store" in shown_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: started and started[0].id in shown_text(pilot))
        make_store(tmp_path / "cosinterp-demo" / "store", [("maze-36", 0)])
        started[0].end(State.FINISHED)
        await until(pilot, lambda: "maze-36" in shown_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "maze-36, seed 0" in screen_text(pilot)[0])


def run_in_a_terminal(code: str, keys: bytes = b"") -> tuple[int, bytes]:
    """Run Python in a terminal of its own; its exit code, and what it sent."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    sent = receive(ours, 30, until=b"maze-1")
    os.write(ours, keys)
    sent += receive(ours, 30, until=b"\0never")
    os.close(ours)
    return process.wait(30), sent


def test_a_bug_ends_with_its_traceback_below_a_clean_terminal(store: Path) -> None:
    code = (
        "from pathlib import Path; import tui.browser.screen as browser; from tui.app import run\n"
        "def broken(self): raise RuntimeError('a bug of ours')\n"
        "browser.Browser.action_sort_next = broken\n"
        f"run(Path({str(store)!r}))"
    )
    exit_code, sent = run_in_a_terminal(code, b"s")
    assert exit_code == 1
    left, _, after = sent.rpartition(b"\x1b[?1049l")
    assert left
    assert b"a bug of ours" in after
    assert b"RuntimeError" in after


def test_the_end_says_how_many_jobs_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path
) -> None:
    from tui import app as shell
    from tui.opening import OpeningApp

    for living, said in ((0, ""), (1, "1 job goes on"), (2, "2 jobs go on")):
        monkeypatch.setattr(OpeningApp, "run", lambda app: None)
        monkeypatch.setattr(OpeningApp, "living_jobs", living)
        shell.run(store)
        assert capsys.readouterr().out == (f"{said}: cosinterp jobs ls\n" if said else "")
