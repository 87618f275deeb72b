"""What the app has imported once it has been everywhere, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from cosinterp.jobs.state import State
from tests.tui.job_factory import plant_ended
from tests.tui.pseudo_terminal import ROOT
from tests.tui.store_factory import make_store
from tests.tui.test_traffic import make_noise
from tests.unit.test_import_hygiene import DATA, MODEL

EVERYWHERE = """
import asyncio, sys
from pathlib import Path
from tests.tui.driving import until_read
from tests.tui.test_sizes import WAYS
from tui.app import CosinterpApp

async def walk():
    app = CosinterpApp(Path(sys.argv[1]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        for keys in WAYS.values():
            await pilot.press(*keys)
            await pilot.pause(0.2)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
            await pilot.press("escape", "1")

asyncio.run(walk())
"""
FIRST_LINE = """
import asyncio, os, sys
from pathlib import Path
from tui.opening import Opening, OpeningApp

class Started(OpeningApp):
    CSS_PATH = Path("tui/cosinterp.tcss").absolute()

    async def on_ready(self):
        assert isinstance(self.screen, Opening)
        names = sorted({name.partition(".")[0] for name in sys.modules})
        print(" ".join(names), file=sys.__stdout__, flush=True)
        os._exit(0)

async def start():
    async with Started(Path(sys.argv[1])).run_test():
        pass

asyncio.run(start())
"""
REPORT = "\nprint(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded_by(code: str, store: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(store)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[0].split())


def test_no_model_library_is_loaded_once_the_app_has_been_everywhere(tmp_path: Path, app_home: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", seed) for seed in range(3)])
    make_noise(store)
    plant_ended(app_home, "trace-1123-0900-fox", State.FINISHED)
    loaded = loaded_by(EVERYWHERE + REPORT, store)
    assert {"h5py", "xarray"} <= loaded
    assert not MODEL & loaded


def test_the_first_line_is_painted_before_any_library_that_reads_is_loaded(tmp_path: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    loaded = loaded_by(FIRST_LINE, store)
    assert "textual" in loaded
    assert not (DATA | MODEL | {"typer", "pydantic"}) & loaded
