"""Dataset folders in the layout of VBVR-Bench and its data generators.

A sample is a folder that holds a prompt::

    VBVR-Bench/In-Domain_50/G-45_key_door_matching_data-generator/00000/first_frame.png
                                                                        prompt.txt
                                                                        final_frame.png
                                                                        ground_truth.mp4
                                                                        metadata.json
    mazes/maze-7x7-red/00000/...
    questions/G-1_object_trajectory_data-generator/object_trajectory_task/object_trajectory_00000000/...

Only the prompt has to be there. Videos that a pipeline takes besides, such as ``pose_video.mp4``, lie beside
the image (`cosinterp.samples.videos`). The metadata, which some datasets call ``question_metadata.json``, may
hold "truth", "height", "width" and "num_frames". VBVR-Pro keeps the prompt, and the true video, one folder
further down, in ``video``. See https://github.com/Video-Reason/VBVR-EvalKit and
https://github.com/Video-Reason/VBVR-DataFactory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cosinterp.errors import SampleError
from cosinterp.samples.found import Found
from cosinterp.samples.images import ImageFile
from cosinterp.samples.place import KEY, Place
from cosinterp.samples.sample import Sample
from cosinterp.samples.values import json_object, read_prompt, sizes, truth_of
from cosinterp.samples.videos import VIDEO_NAMES, VideoFile

PROMPT_FILE = "prompt.txt"
IMAGE_FILE = "first_frame.png"
METADATA_FILE = "metadata.json"
_OTHER_METADATA_FILE = "question_metadata.json"
_TRUE_FILES = {"final_frame": "final_frame.png", "ground_truth": "ground_truth.mp4"}
_INNER = "video"
_DEPTH = 8


def find_in_folder(root: Path) -> Iterator[Found]:
    """The samples below ``root``, or in it, in the order of their paths."""
    for prompts in _prompt_folders(root, _DEPTH):
        inner = prompts.name == _INNER and (prompts.parent / IMAGE_FILE).is_file()
        folder = prompts.parent if inner else prompts
        place = Place.of(folder, root)
        yield Found(place.name, str(folder), partial(_read, folder, prompts, place))


def _prompt_folders(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / PROMPT_FILE).exists():
        yield folder
    elif depth > 0:
        # Links may lead in circles, which the depth ends; what is hidden is a downloader's.
        for below in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
            yield from _prompt_folders(below, depth - 1)


def _read(folder: Path, prompts: Path, place: Place) -> Sample:
    metadata_file = _metadata_file(folder)
    metadata = {} if metadata_file is None else _read_metadata(metadata_file)
    where = str(metadata_file)
    if KEY in metadata:
        raise SampleError(f'{where}: has an entry "{KEY}", which is where the place of the sample goes')
    image = folder / IMAGE_FILE
    videos = {name: folder / f"{name}.mp4" for name in VIDEO_NAMES}
    return Sample(
        name=place.name,
        prompt=read_prompt(prompts / PROMPT_FILE),
        image=ImageFile.check(image) if image.exists() else None,
        videos={name: VideoFile.check(path) for name, path in videos.items() if path.exists()},
        truth=truth_of(metadata.pop("truth", {}), where),
        metadata={**metadata, KEY: {**place.as_metadata(), **_true_files(folder, prompts)}},
        **sizes(metadata, where),
    )


def _metadata_file(folder: Path) -> Path | None:
    files = (folder / name for name in (METADATA_FILE, _OTHER_METADATA_FILE))
    return next((file for file in files if file.exists()), None)


def _read_metadata(path: Path) -> dict[str, Any]:
    try:
        return json_object(path.read_text(encoding="utf-8"), str(path))
    except IsADirectoryError as error:
        raise SampleError(f"{path}: is a folder; the metadata are a file") from error
    except UnicodeDecodeError as error:
        raise SampleError(f"{path}: is not valid JSON ({error})") from error


def _true_files(folder: Path, prompts: Path) -> dict[str, str]:
    """The paths of what the video ought to be, which is not read."""
    found: dict[str, str] = {}
    for name, file in _TRUE_FILES.items():
        for path in (folder / file, prompts / file):
            if path.is_file():
                found[name] = str(path.absolute())
    return found
