"""Python and the packages: which versions are there, and which are known to work."""

from __future__ import annotations

import platform
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp import __version__
from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_PROJECT = "cosinterp"
_OLDEST_PYTHON = (3, 11)
# Told of each by itself: what a figure depends on, and what a report of a bug is about.
_NAMED = ("torch", "diffusers", "transformers", "nnsight", "huggingface_hub", "numpy", "h5py", "textual")
_EXTRAS = {
    "quantize": "models in fewer bits (--quantize)",
    "ray": "several machines (--executor ray)",
    "zarr": "stores exported as zarr",
}


def python(_: Circumstances) -> Iterator[Finding]:
    """The Python that runs, and cosinterp's own version."""
    value = f"{platform.python_version()} ({platform.machine()}, {platform.system()} {platform.release()})"
    if sys.version_info >= _OLDEST_PYTHON:
        yield is_fine("Python", value, "cosinterp runs on it.", needed=True)
    else:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        yield is_lacking(
            "Python",
            value,
            f"cosinterp needs {oldest} or newer.",
            f"Make an environment with Python {oldest} or newer.",
            needed=True,
        )
    yield is_fine("cosinterp", __version__, needed=True)


def packages(_: Circumstances) -> Iterator[Finding]:
    """The packages that cosinterp needs, and those of its extras."""
    requirements = [parsed for parsed in _requirements() if _applies(parsed, "")]
    others = 0
    for requirement in sorted(requirements, key=_place):
        finding = _finding(requirement)
        if finding.state == "ok" and not _is_named(requirement):
            others += 1
        else:
            yield finding
    if others:
        yield is_fine("other packages", f"{others}, all in versions that are known to work", needed=True)
    for extra, purpose in _EXTRAS.items():
        of_extra = [parsed for parsed in _requirements() if _applies(parsed, extra)]
        if of_extra:
            yield _extra(extra, purpose, of_extra)


def hdf5(_: Circumstances) -> Iterator[Finding]:
    """The HDF5 library that h5py brings."""
    import h5py

    yield is_fine(
        "HDF5", h5py.version.hdf5_version, "The library that h5py brings; stores are its files.", needed=True
    )


def _requirements() -> list[Requirement]:
    """What cosinterp asks for: as it stands beside the source, else as it was installed."""
    from packaging.requirements import Requirement

    # In a checkout what was installed once may be older than the source that runs.
    beside = Path(__file__).parents[2] / "pyproject.toml"
    texts = _declared(beside) if beside.is_file() else metadata.requires(_PROJECT)
    return [Requirement(text) for text in texts or ()]


def _declared(file: Path) -> list[str]:
    project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = {extra: project["optional-dependencies"].get(extra, []) for extra in _EXTRAS}
    return [
        *project["dependencies"],
        *(f'{text}; extra == "{extra}"' for extra, texts in extras.items() for text in texts),
    ]


def _applies(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement is one of ``extra``, or with ``""`` one of cosinterp itself."""
    marker = requirement.marker
    if marker is None:
        return extra == ""
    return marker.evaluate({"extra": extra}) and not (extra and marker.evaluate({"extra": ""}))


def _is_named(requirement: Requirement) -> bool:
    return requirement.name in _NAMED


def _place(requirement: Requirement) -> tuple[int, str]:
    return (_NAMED.index(requirement.name) if _is_named(requirement) else len(_NAMED), requirement.name)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _finding(requirement: Requirement) -> Finding:
    name, wanted = requirement.name, str(requirement.specifier)
    found = _installed(name)
    if found is None:
        return is_lacking(
            name,
            "not installed",
            f"cosinterp needs {name}{wanted}.",
            f'pip install "{name}{wanted}", or install cosinterp again.',
            needed=True,
        )
    if not requirement.specifier.contains(found, prereleases=True):
        return is_lacking(
            name,
            found,
            f"cosinterp is known to work with {name}{wanted} only.",
            f'pip install "{name}{wanted}".',
            needed=True,
        )
    return is_fine(name, found, f"Within {wanted}.", needed=True)


def _extra(extra: str, purpose: str, requirements: list[Requirement]) -> Finding:
    found = {requirement.name: _installed(requirement.name) for requirement in requirements}
    value = ", ".join(f"{name} {version or '(not installed)'}" for name, version in found.items())
    advice = f'pip install "cosinterp[{extra}]".'
    outside = [
        requirement
        for requirement in requirements
        if (version := found[requirement.name]) is not None
        and not requirement.specifier.contains(version, prereleases=True)
    ]
    name = f"extra {extra}"
    if outside:
        wanted = ", ".join(f"{requirement.name}{requirement.specifier}" for requirement in outside)
        return is_lacking(name, value, f"For {purpose}, known to work with {wanted}.", advice)
    if None in found.values():
        return is_noted(name, value, f"Only for {purpose}.", f"If you want that: {advice}")
    return is_fine(name, value, f"For {purpose}.")
