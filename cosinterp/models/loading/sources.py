"""Finding what the name of a model means: a bundled model, a local folder, or a hub id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cosinterp.errors import ModelError
from cosinterp.models.loading.quiet import first_line, no_warnings_of
from cosinterp.models.reading import UNREACHED

BUNDLED = ("maze-wan", "scene-wan")
INDEX = "model_index.json"
MODEL_FILE = "cosinterp.json"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# What describes a pipeline without its weights; vocabularies are left out, for they can be large.
_CONFIGS = ("*.json",)
_VOCABULARIES = ("*tokenizer.json", "*vocab.json")


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    ``name`` is what a store calls it, ``location`` its folder or hub id; ``commit`` that of a hub model: the
    commit and not a branch, which may be another one tomorrow, since a run has to say what made it.
    """

    name: str
    location: str
    commit: str | None = None
    local_files_only: bool = False

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, which is read without any network access."""
        return self.commit is None

    def configs(self) -> Path:
        """A folder with what describes the pipeline; of a hub model no weights are fetched.

        Raises:
            ModelError: the hub cannot be read.
        """
        return self._snapshot(*_CONFIGS)

    def component(self, name: str) -> Path:
        """A folder with what describes the pipeline, and one component with its weights.

        Raises:
            ModelError: the hub cannot be read.
        """
        return self._snapshot(*_CONFIGS, f"{name}/*")

    def weights(self) -> Path:
        """A folder with the whole pipeline; a hub model is fetched as far as the cache does not have it.

        Raises:
            ModelError: the hub cannot be read.
        """
        if self.is_local:
            return Path(self.location)
        from diffusers.pipelines.pipeline_utils import DiffusionPipeline

        with self._errors():
            folder = DiffusionPipeline.download(
                self.location, revision=self.commit, local_files_only=self.local_files_only
            )
        return Path(folder)

    def _errors(self) -> AbstractContextManager[None]:
        uncached = f"{self.name}: not all of it is in the local cache"
        return _hub_errors(self.location, self.commit, uncached, self.local_files_only)

    def _snapshot(self, *patterns: str) -> Path:
        if self.is_local:
            return Path(self.location)
        from huggingface_hub import snapshot_download

        with self._errors():
            folder = snapshot_download(
                self.location,
                revision=self.commit,
                allow_patterns=list(patterns),
                ignore_patterns=list(_VOCABULARIES),
                local_files_only=self.local_files_only,
            )
        return Path(folder)


def find(name: str, revision: str | None = None, *, local_files_only: bool = False) -> Source:
    """What ``name`` means.

    Raises:
        ModelError: nothing is called so, or it is no diffusers pipeline.
    """
    if not name.strip():
        raise ModelError("the model's name is empty")
    folder = bundled_folder(name) if name in BUNDLED else expanded(name)
    if name in BUNDLED and not (folder / INDEX).is_file():
        raise ModelError(f"{name}: its weights are not in this installation ({folder} is missing)")
    if folder.is_dir():
        if not (folder / INDEX).is_file():
            raise ModelError(f"{name}: not a diffusers pipeline folder (no {INDEX} in it)")
        # The whole path: a store names its model by it, and has to find it again.
        place = str(folder.resolve())
        shown = name if name in BUNDLED else place
        if revision is not None:
            raise ModelError(
                f"{shown}: only a model of the hub has revisions; leave out the revision {revision}"
            )
        return Source(shown, place)
    if folder.exists():
        raise ModelError(f"{name}: is a file; give the pipeline's folder")
    if not _HUB_ID.fullmatch(name) or Path(name).is_absolute():
        raise ModelError(f"{_unknown(name)}, nor a hub id")
    return Source(name, name, _hub_commit(name, revision, local_files_only), local_files_only)


def expanded(path: str | Path) -> Path:
    """A path with its ``~`` written out.

    Raises:
        ModelError: it begins with the home of a user whom this machine does not have.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ModelError(f"{path}: this machine has no user {Path(path).parts[0][1:]}") from error


def bundled_folder(name: str) -> Path:
    """The folder of a bundled model inside the package."""
    import cosinterp

    return Path(cosinterp.__file__).resolve().parent / "organism" / name


def _hub_commit(name: str, revision: str | None, local_files_only: bool) -> str:
    """The commit that a hub pipeline's revision is.

    Fetches the pipeline's index, the smallest file of it: that says most clearly why it cannot be had.
    """
    from huggingface_hub import hf_hub_download

    with _hub_errors(name, revision, f"{_unknown(name)}, nor in the local cache", local_files_only):
        index = hf_hub_download(name, INDEX, revision=revision, local_files_only=local_files_only)
    # .../snapshots/COMMIT/model_index.json
    return Path(index).parent.name


@contextmanager
def _hub_errors(name: str, revision: str | None, uncached: str, local_files_only: bool) -> Iterator[None]:
    """Say what an error of the hub means; ``uncached``: what, if the cache alone is asked."""
    from huggingface_hub import errors

    try:
        with no_warnings_of("huggingface_hub"):
            yield
    except errors.GatedRepoError as error:
        raise ModelError(f"{name}: only for users whom its owner accepted; try `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"{_unknown(name)}, nor on the hub (if it is private: `hf auth login`)") from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{name}: has no revision {revision}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        reason = "" if local_files_only else f", {UNREACHED}"
        raise ModelError(f"{uncached}{reason}") from error
    except errors.EntryNotFoundError as error:
        raise ModelError(f"{name}: not a diffusers pipeline (no {INDEX} in it)") from error
    except OSError as error:
        raise ModelError(f"{name}: the hub cannot be read: {first_line(error)}") from error


def _unknown(name: str) -> str:
    return f"unknown model {name}: neither bundled ({', '.join(BUNDLED)}), nor a folder"
