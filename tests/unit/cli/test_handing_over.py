"""What `cosinterp tui` is asked for is the same with and without the command line's machinery."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tui.app
from cosinterp import handing_over
from cosinterp.cli import app
from stores.errors import StoreError
from tui.options import Options

Asked = tuple[Path | None, Options]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Asked]]:
    """What the app is asked for, in place of running it; garbage is collected as before."""
    seen: list[Asked] = []

    def record(path: Path | None, options: Options, theme: str | None = None) -> None:
        assert theme is None
        seen.append((path, options))

    monkeypatch.setattr(tui.app, "run", record)
    monkeypatch.setattr(handing_over, "STARTING", 0.0)
    thresholds = gc.get_threshold()
    yield seen
    gc.set_threshold(*thresholds)
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize("folder", [[], ["runs/mazes"], ["~/runs"], ["/"]])
@pytest.mark.parametrize(
    "switches", [[], ["--readonly"], ["--low-bandwidth"], ["--readonly", "--low-bandwidth"]]
)
def test_asks_the_app_for_what_the_command_line_would(
    asked: list[Asked], folder: list[str], switches: list[str]
) -> None:
    assert handing_over.hand_over(["tui", *switches, *folder])
    assert CliRunner().invoke(app, ["tui", *folder, *switches]).exit_code == 0
    plainly, by_the_command_line = asked
    assert plainly == by_the_command_line


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["store", "ls"],
        ["tui", "--help"],
        ["tui", "a", "b"],
        ["tui", "--reading"],
        ["tui", "--", "a"],
        ["tui", "--theme", "light"],
        ["-h"],
    ],
    ids=" ".join,
)
def test_leaves_what_is_not_plain_to_the_command_line(asked: list[Asked], words: list[str]) -> None:
    assert not handing_over.hand_over(words)
    assert asked == []


def test_tells_the_user_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, options: Options) -> None:
        raise StoreError(f"{path}: no such folder")

    monkeypatch.setattr(tui.app, "run", refuse)
    with pytest.raises(SystemExit) as end:
        handing_over.hand_over(["tui", "nowhere"])
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: nowhere: no such folder\n"
