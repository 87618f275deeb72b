"""What the app remembers: kept name by name, for the user alone, whatever stands in the file."""

import json
import multiprocessing
from pathlib import Path

import pytest

from tests.tui.driving import heads_of, rows_of, until_read
from tests.tui.store_factory import make_store
from tui import app as shell
from tui.app import CosinterpApp
from tui.memory import Memory, is_folder
from tui.opening import OpeningApp
from tui.options import Options
from tui.themes import DEFAULT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made" / "tui.json"


def kept(file: Path) -> dict[str, object]:
    return json.loads(file.read_bytes())


def test_remembers_from_one_start_to_the_next_for_the_user_alone(file: Path) -> None:
    memory = Memory(file)
    memory.put("place", "jobs")
    memory.put("runs.sort", ["seed", True])
    memory.close()
    again = Memory(file)
    assert again.get("place", "runs") == "jobs"
    assert again.get("runs.sort", []) == ["seed", True]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert {one.name for one in file.parent.iterdir()} == {"tui.json", "tui.lock"}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff", '{"place": 3, "path": null}'])
def test_a_damaged_file_is_as_none(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_bytes(text.encode(errors="surrogateescape"))
    memory = Memory(file)
    assert memory.get("place", "runs") == "runs"
    assert memory.get("path", "") == ""
    memory.put("place", "jobs")
    memory.close()
    assert kept(file)["place"] == "jobs"


def test_nothing_is_written_that_must_not_be(file: Path) -> None:
    memory = Memory(file, writes=False)
    memory.put("place", "jobs")
    memory.close()
    assert memory.get("place", "runs") == "jobs"
    assert not file.parent.exists()


def test_what_another_app_remembered_meanwhile_stays(file: Path) -> None:
    first, second = Memory(file), Memory(file)
    first.put("place", "jobs")
    first.close()
    second.put("theme", "light")
    second.close()
    assert kept(file) == {"place": "jobs", "theme": "light"}


def _put_many(file: Path, name: str) -> None:
    memory = Memory(file)
    for number in range(20):
        memory.put(f"{name}-{number}", number)
        memory._save()


def test_several_apps_at_once_lose_nothing(file: Path) -> None:
    context = multiprocessing.get_context("fork")
    apps = [context.Process(target=_put_many, args=(file, name)) for name in ("a", "b", "c")]
    for one in apps:
        one.start()
    for one in apps:
        one.join()
    assert len(kept(file)) == 60


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    problems: list[str] = []
    memory = Memory(tmp_path / "home" / "tui.json")
    memory.on_problem = problems.append
    memory.put("place", "jobs")
    memory._save()
    memory.put("place", "runs")
    memory.close()
    assert problems == [memory.problem] == [f"{tmp_path / 'home' / 'tui.json'}: Not a directory"]
    assert memory.get("place", "") == "runs"


def test_what_cannot_be_remembered_at_the_end_is_said_below_the_app(
    started: list[OpeningApp],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(OpeningApp, "run", lambda app: app.memory.put("place", "jobs"))
    shell.run(tmp_path)
    assert capsys.readouterr().err == f"nothing was remembered: {tmp_path}/home/tui.json: Not a directory\n"


def test_a_folder_is_one_and_a_file_or_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_folder(tmp_path)
    assert not is_folder(tmp_path / "file")
    assert not is_folder(tmp_path / "nothing")


async def test_the_browser_comes_back_in_its_order_and_with_its_filter(tmp_path: Path, file: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0), ("maze-1", 1), ("maze-2", 0)])
    async with CosinterpApp(store, memory=Memory(file)).run_test() as pilot:
        await until_read(pilot)
        await pilot.press("s", "S", "slash", *"maze-1", "enter")
        await until_read(pilot)
        pilot.app.memory.close()  # type: ignore[attr-defined]
    async with CosinterpApp(store, memory=Memory(file)).run_test() as pilot:
        await until_read(pilot)
        assert heads_of(pilot)[1] == "seed v"
        assert [row[:2] for row in rows_of(pilot)] == [["maze-1", "1"], ["maze-1", "0"]]
        await pilot.press("slash", "escape")
        await until_read(pilot)
        assert len(rows_of(pilot)) == 3


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[OpeningApp]:
    """The apps that would have run."""
    apps: list[OpeningApp] = []
    monkeypatch.setattr(OpeningApp, "run", lambda app: apps.append(app))
    return apps


def test_without_a_folder_the_last_one_is_opened_where_it_was_left(
    started: list[OpeningApp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_home: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run(None)
    last = tmp_path / "last"
    last.mkdir()
    memory = Memory(app_home / "tui.json")
    memory.put("path", str(last))
    memory.put("place", "jobs")
    memory.put("theme", "light")
    memory.close()
    shell.run(None)
    shell.run(tmp_path, theme="dark")
    last.rmdir()
    shell.run(None, Options(readonly=True))
    told = [(app.path, app._first_place, app.theme) for app in started]
    assert told == [
        (tmp_path, "runs", DEFAULT),
        (last, "jobs", "light"),
        (tmp_path, "runs", "dark"),
        (tmp_path, "runs", "light"),
    ]
