"""The hub's cache: small, damaged, offline, with a token whose value nobody sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from cosinterp.doctor import hub
from tests.unit.doctor.asked import asked

SECRET = "hf_verysecret"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty place for the cache, and no token."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


@pytest.mark.parametrize(("free", "state"), [(10**9, "note"), (10**12, "ok")])
def test_a_cache_without_room_is_noted(
    cache: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    monkeypatch.setattr(hub, "free_space", lambda path: (path, free))
    found = asked(hub.cache)["hub cache"]
    assert found.state == state
    assert found.value.endswith("(it does not exist yet)")
    assert not cache.exists()


def test_a_cache_that_cannot_be_looked_into_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(hub, "free_space", refuse)
    found = asked(hub.cache)["hub cache"]
    assert (found.state, found.is_lacking) == ("lack", False)
    assert "HF_HOME" in found.advice


def test_the_cache_tells_what_it_holds(cache: Path) -> None:
    assert asked(hub.cache_size)["hub cache holds"].value == "nothing"
    snapshot = cache / "models--owner--name" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_bytes(b" " * 2000)
    refs = cache / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    assert asked(hub.cache_size)["hub cache holds"].value == "1 repo, 2.0 kB"
    (cache / "models--broken--name").mkdir()
    found = asked(hub.cache_size)["hub cache holds"]
    assert (found.state, found.value) == ("note", "1 repo, 2.0 kB; 1 cannot be read")


def test_offline_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(hub.access)["hub"].state == "ok"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = asked(hub.access)["hub"]
    assert found.state == "note"
    assert found.value.startswith("offline")


def test_a_token_is_told_of_and_never_told(tmp_path: Path) -> None:
    assert asked(hub.access)["hub token"].value == "none"
    told = asked(hub.access, environ={"HF_TOKEN": SECRET})
    assert told["hub token"].value == "present, in the environment"
    assert SECRET not in str(told)
    (tmp_path / "token").write_text(SECRET)
    told = asked(hub.access)
    assert told["hub token"].value == "present, in a file"
    assert SECRET not in str(told)
