"""A form is filled in by keys, and says what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import AppBlur, AppFocus

from tests.tui.driving import screen_text, shown_text, until
from tests.tui.launching import (
    GIVEN,
    fill,
    launch,
    offered,
    row_of,
    screen_of,
    scripted,
    stage,
    text_of,
    type_into,
    view_of,
)
from tests.tui.store_factory import make_store
from tui.dialogs.page import Page
from tui.launch.field_row import FieldRow
from tui.launch.head_rows import SectionRow
from tui.launch.plan_text import Stage
from tui.launch.value_input import Completions, ValueInput


async def test_a_form_is_filled_in_by_keys_and_says_what_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = scripted(monkeypatch)
    monkeypatch.chdir(tmp_path)
    make_store(tmp_path / "lot" / "kept", [("maze-0", 0)])
    async with launch(tmp_path) as pilot:
        view = view_of(pilot)
        assert text_of(pilot, "#status") == "trace   model is needed"
        assert "model         needed" in shown_text(pilot)
        # The list of what is known: its second entry.
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen.query_one(Completions).found)
        await pilot.press("down", "down", "enter")
        assert view.values == {"model": "scene-wan"}
        # On to the next field: a path is completed as a shell does.
        assert view.current is row_of(pilot, "dataset")
        await pilot.press("enter", "l")
        await until(pilot, lambda: offered(pilot) == ["lot/"])
        await pilot.press("tab")
        await until(pilot, lambda: offered(pilot) == ["lot/kept/"])
        await pilot.press("tab")
        assert view.values["dataset"] == "lot/kept/"
        # Escape puts the list away, then leaves the field as it was.
        await until(pilot, lambda: offered(pilot) and offered(pilot) != ["lot/kept/"])
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert view.values == {"model": "scene-wan"}
        assert view.current is row_of(pilot, "dataset")
        # The default stands there to be changed, and is given only if it is.
        await type_into(pilot, "seeds", "0")
        assert "seeds" not in view.values
        await type_into(pilot, "seeds", "0-7")
        await type_into(pilot, "store", "runs/a b")
        await stage(pilot, Stage.PLANNED)
        line = "$ cosinterp trace --model scene-wan --store 'runs/a b' --seeds 0-7 --detach"
        assert text_of(pilot, "#launch-command") == line
        assert rehearsal.asked[-1] == (
            "trace",
            "--model",
            "scene-wan",
            "--store",
            "runs/a b",
            "--seeds",
            "0-7",
        )
        assert text_of(pilot, "#status") == "trace   8 runs, 1.0 MB, about 60 s"
        assert "layers  0-8" in shown_text(pilot)
        # What is taken back is the default again.
        view._go(row_of(pilot, "seeds"))
        await pilot.press("backspace")
        await pilot.pause()
        assert "seeds" not in view.values
        await pilot.press("i")
        assert isinstance(pilot.app.screen, Page)
        assert "Generate videos and record" in shown_text(pilot)
        await pilot.press("escape", "r")
        await until(pilot, lambda: view.values == {})


async def test_values_of_several_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    store = make_store(tmp_path / "a", [("maze-0", 0), ("maze-1", 4), ("maze-1", 5)])
    async with launch(tmp_path) as pilot:
        view = view_of(pilot)
        await fill(pilot, "patch", {"store": str(store)})
        # Of the store: samples, seeds, layers.
        for name, offered in (
            ("recipient", ["maze-0", "maze-1"]),
            ("seeds", ["0,4-5", "0", "4", "5"]),
            ("layers", ["all", "0-2", "0", "1", "2"]),
        ):
            view._go(row_of(pilot, name))
            await pilot.press("enter")
            completions = row_of(pilot, name).query_one(Completions)
            await until(pilot, lambda c=completions: c.found)
            assert [one.text for one in completions.found if one.text != view.values.get(name)] == offered
            await pilot.press("escape", "escape")
        # A choice.
        view._go(row_of(pilot, "direction"))
        await pilot.press("enter")
        completions = row_of(pilot, "direction").query_one(Completions)
        await until(pilot, lambda: len(completions.found) == 3)
        await pilot.press(*"suff", "tab", "enter")
        assert view.values["direction"] == "sufficiency"
        # Several values: a line each, and one for another.
        await type_into(pilot, "tokens", "path")
        await type_into(pilot, "tokens", "~goals", 1)
        assert view.values["tokens"] == ("path", "~goals")
        view._go(row_of(pilot, "tokens", 0))
        await pilot.press("backspace")
        await pilot.pause()
        assert view.values["tokens"] == ("~goals",)
        assert len([row for row in view.query(FieldRow) if row.field.label == "tokens"]) == 2
        # A flag, out of its fold, says so in the heading.
        await view.go_to("videos")
        assert view.current is row_of(pilot, "videos")
        await pilot.press("space")
        await pilot.pause()
        assert view.values["videos"] is False
        assert "--no-videos" in text_of(pilot, "#launch-command")
        [head] = [row for row in view.query(SectionRow) if row.section.title == "What is measured"]
        view._go(head)
        await pilot.press("enter")
        await pilot.pause()
        assert "1 of 4 given" in shown_text(pilot)
        assert not [row for row in view.query(FieldRow) if row.field.parameter.name == "videos"]
        # An empty text, where it is meant, is not "nothing".
        await type_into(pilot, "donor", "''")
        assert view.values["donor"] == ""
        # Going to another line by the mouse keeps what is typed; going to another window ends nothing.
        view._go(row_of(pilot, "recipient"))
        await pilot.press("enter", "m")
        pilot.app.post_message(AppBlur())
        await pilot.pause()
        pilot.app.post_message(AppFocus())
        await until(pilot, lambda: isinstance(pilot.app.screen.focused, ValueInput))
        await pilot.press("z")
        await pilot.click(row_of(pilot, "donor"))
        await until(pilot, lambda: not view.query(ValueInput))
        assert view.values["recipient"] == "mz"
        assert view.current is row_of(pilot, "donor")
        # The GPUs of this machine would stand there; the CPU always does.
        view._go(row_of(pilot, "device"))
        await pilot.press("enter")
        completions = row_of(pilot, "device").query_one(Completions)
        await until(pilot, lambda: "cpu" in [one.text for one in completions.found])


async def test_forms_are_filled_in_from_command_lines_and_keep_what_they_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch)
    async with launch(tmp_path) as pilot:
        view = view_of(pilot)
        await fill(pilot, "trace", GIVEN)
        line = (
            "cosinterp noise --model maze-wan --store b --matched --set a=1 --set b=2 --dataset mazes --json"
        )
        screen_of(pilot).fill_in_words(line.split(), tmp_path)
        await until(pilot, lambda: view.form is not None and view.form.command == "noise")
        assert view.values == {
            "model": "maze-wan",
            "store": str(tmp_path / "b"),
            "matched": True,
            "more": ("a=1", "b=2"),
            "dataset": str(tmp_path / "mazes"),
        }
        # Another command from the list, and back: the form is as it was left.
        await pilot.press("c")
        await pilot.press("home", "enter")
        await until(pilot, lambda: view.form is not None and view.form.command == "trace")
        assert view.values == GIVEN
        await pilot.press("1", "3")
        await pilot.pause()
        memory = pilot.app.memory  # type: ignore[attr-defined]
        assert memory.get("launch.command", "") == "trace"
        assert memory.get("launch.values", {})["noise"]["matched"] is True


async def test_every_line_of_the_longest_form_is_reached_on_a_small_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch)
    async with launch(tmp_path, (40, 12)) as pilot:
        view = view_of(pilot)
        await fill(pilot, "ensemble", GIVEN)
        for head in [row for row in view.rows if isinstance(row, SectionRow)]:
            head.action()
        await pilot.press("home")
        seen: list[str] = []
        rows = view.rows
        for row in rows:
            assert view.current is row
            if isinstance(row, FieldRow):
                seen.append(row.field.parameter.name)
                await until(pilot, lambda here=row: view.content_region.contains_region(here.region))
                assert row.field.label[:7] in screen_text(pilot)[row.region.y]
            view.move(1)
            await pilot.pause()
        assert view.form is not None
        assert sorted(set(seen)) == sorted(parameter.name for parameter in view.form.parameters)
        await pilot.press("end", "up", "pageup")
        assert view.current is rows[-10]
