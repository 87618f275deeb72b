"""The wheel: what is in it, and that it works where there is no source tree."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import cosinterp

ROOT = Path(__file__).parents[2]
PACKAGES = ("cosinterp", "probes", "stores", "tui")
MODELS = [ROOT / "cosinterp" / "organism" / name for name in ("maze-wan", "scene-wan")]
MAX_WEIGHTS = 16 * 10**6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves its traces beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source / file)
    out = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with this wheel in it and, of the source tree, nothing."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    # The dependencies come from the running environment. A folder that a .pth file names does not have its
    # own .pth files read, so the editable install of the sources stays out.
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return place / "bin"


def run_elsewhere(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_holds_every_source_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for pattern in ("*.py", "*.tcss", "*.html", "*.css")
        for path in (ROOT / package).rglob(pattern)
    ]
    assert set(sources) - names == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_holds_the_weights(wheel: Path, model: Path) -> None:
    held = {info.filename: info.file_size for info in zipfile.ZipFile(wheel).infolist()}
    files = [path for path in model.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"model_index.json", "cosinterp.json"}
    for path in files:
        assert held[path.relative_to(ROOT).as_posix()] == path.stat().st_size
    weights = sum(path.stat().st_size for path in files if path.suffix == ".safetensors")
    assert 10**6 < weights <= MAX_WEIGHTS


def test_holds_the_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_command_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert (
        run_elsewhere(installed / "cosinterp", "--version", cwd=tmp_path)
        == f"cosinterp {cosinterp.__version__}\n"
    )
    assert "trace" in run_elsewhere(installed / "cosinterp", "--help", cwd=tmp_path)


def test_every_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "import cosinterp, probes, stores, tui\nfor m in (cosinterp, probes, stores, tui): print(m.__file__)"
    )
    files = run_elsewhere(installed / "python", "-c", code, cwd=tmp_path).split()
    assert len(files) == 4
    assert all(Path(file).is_relative_to(installed.parent) for file in files)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_bundled_model_is_found_from_another_folder(installed: Path, tmp_path: Path, model: Path) -> None:
    code = (
        "from importlib.resources import files\n"
        f"folder = files('cosinterp.organism') / '{model.name}'\n"
        "print('\\n'.join(sorted(entry.name for entry in folder.iterdir())))"
    )
    found = run_elsewhere(installed / "python", "-c", code, cwd=tmp_path).split()
    assert found == sorted(path.name for path in model.iterdir())
