"""The hub's cache: where models are kept, how much, and whether more can be fetched. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted
from stores.files import free_space
from stores.units import count_text, size_text

# Wan2.2-I2V-A14B: two experts of 28 GB, a text encoder of 11 GB, and what belongs to them, in bf16.
_LARGE_MODEL = 70 * 10**9
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def cache(_: Circumstances) -> Iterator[Finding]:
    """Where models from the hub go, and what is free there."""
    from huggingface_hub import constants

    folder, advice = (
        Path(constants.HF_HUB_CACHE),
        "Set HF_HOME (or HF_HUB_CACHE) to a folder of yours on a large disk.",
    )
    try:
        free = free_space(folder)[1]
    except OSError as error:
        value = f"{folder}: {error.strerror or error}"
        yield is_lacking("hub cache", value, "Models can be loaded from folders of their own only.", advice)
        return
    value = f"{folder}: {size_text(free)} free" + ("" if folder.is_dir() else " (it does not exist yet)")
    if free < _LARGE_MODEL:
        yield is_noted(
            "hub cache",
            value,
            f"A large model takes about {size_text(_LARGE_MODEL)}. The bundled ones are not kept there.",
            advice,
        )
    else:
        yield is_fine("hub cache", value, "Room for a large model.")


def cache_size(_: Circumstances) -> Iterator[Finding]:
    """What is in the cache, and what of it is damaged."""
    from huggingface_hub import constants, scan_cache_dir

    name, folder = "hub cache holds", Path(constants.HF_HUB_CACHE)
    if not folder.is_dir():
        yield is_fine(name, "nothing")
        return
    found = scan_cache_dir(folder)
    value = f"{count_text(len(found.repos), 'repo')}, "
    value += size_text(found.size_on_disk)
    damaged = len(found.warnings)
    if damaged:
        yield is_noted(
            name,
            f"{value}; {damaged} cannot be read",
            "What was fetched there is damaged, or was put there by something else.",
            "hf cache scan names them; remove their folders, and they are fetched anew.",
        )
    else:
        yield is_fine(name, value)


def access(circumstances: Circumstances) -> Iterator[Finding]:
    """Whether the hub may be asked, and whether a token is there. The token itself is not read out."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        yield is_noted(
            "hub",
            "offline (HF_HUB_OFFLINE)",
            "Only models that are in the cache, or in a folder, can be loaded.",
            "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE to fetch others.",
        )
    else:
        yield is_fine("hub", "may be asked (not tried)", "Models are fetched when they are named.")
    if any(circumstances.environ.get(name) for name in _TOKENS):
        yield is_fine("hub token", "present, in the environment", "Models with a licence can be fetched.")
    elif Path(constants.HF_TOKEN_PATH).is_file():
        yield is_fine("hub token", "present, in a file", "Models with a licence can be fetched.")
    else:
        yield is_noted(
            "hub token",
            "none",
            "Models that ask for a licence cannot be fetched; Wan2.2 asks for none.",
            "hf auth login",
        )
