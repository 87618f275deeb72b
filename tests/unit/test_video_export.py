"""The videos of a store as files for VBVR-Bench."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest

from cosinterp import video_export
from cosinterp.errors import StoreError, UserError
from cosinterp.samples import Place
from cosinterp.video_export import ExportedVideo, export_videos, plan_videos
from cosinterp.video_records import RECORDS
from stores import Store
from stores.reader import Run
from tests.planted import CellDecoder, maze_estimate, plant

KEY_DOOR = "G-45_key_door_matching_data-generator"
PLACES = {
    place.name: {"vbvr": place.as_metadata()}
    for place in (
        Place("In-Domain_50", KEY_DOOR, "00000"),
        Place("In-Domain_50", KEY_DOOR, "00001"),
        Place(None, "maze-5x5", "00007"),
    )
}
FIRST, _, LAST = PLACES
FILES = [f"In-Domain_50/{KEY_DOOR}/00000.mp4", f"In-Domain_50/{KEY_DOOR}/00001.mp4", "maze-5x5/00007.mp4"]


class Decoder(CellDecoder):
    name = "planted"


def make(folder: Path, *, videos: bool = True, metadata: Any = None, samples: Any = PLACES) -> Store:
    """Each sample with seeds 0 and 3; a stored video is noise of its own, not what its latent decodes to."""
    keys = [(sample, seed) for sample in samples for seed in (0, 3)]
    noise = {
        key: np.random.default_rng(number).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
        for number, key in enumerate(keys)
    }
    return plant(
        folder,
        {key: maze_estimate(number)[None] for number, key in enumerate(keys)},
        videos=noise if videos else None,
        metadata=PLACES if metadata is None else metadata,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make(tmp_path / "store")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "videos"


def read(path: Path) -> np.ndarray:
    return np.stack(imageio.mimread(path))  # type: ignore[arg-type]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.mp4")}


def test_each_seed_is_a_folder_as_the_evaluators_want_it_of_a_model(
    store: Store, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_export, "model_of", None)
    videos = export_videos(store, out, crf=1, pixel_format="yuv444p")
    assert files(out) == sorted([RECORDS, *(f"seed-{seed}/{file}" for seed in (0, 3) for file in FILES)])
    assert [video.path for video in videos] == [
        out / f"seed-{seed}/{file}" for seed in (0, 3) for file in FILES
    ]
    for video in videos:
        assert (video.placed, video.present) == (True, False)
        with store.run(video.origin.sample, video.origin.seed) as run:
            assert np.abs(read(video.path).astype(int) - run.video).mean() < 4


def test_a_video_that_is_not_stored_is_decoded_from_the_final_latent(tmp_path: Path, out: Path) -> None:
    store = make(tmp_path / "store", videos=False)
    decoder = Decoder()
    [video] = export_videos(store, out, samples=FIRST, seeds=3, model=decoder, crf=1)
    assert (decoder.calls, video.origin.decoder) == (1, "planted")
    expected = decoder.decode(maze_estimate(1))
    assert np.abs(read(video.path).astype(int) - expected).mean() < 6


def test_a_model_is_loaded_only_if_one_is_needed(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def load(store: Store, name: str | None, **options: Any) -> Decoder:
        asked.append((name, options))
        return Decoder()

    monkeypatch.setattr(video_export, "model_of", load)
    store = make(tmp_path / "store", videos=False)
    export_videos(store, out, device="cpu")
    assert asked == [(None, {"device": "cpu"})]
    export_videos(store, out, device="cpu")
    assert len(asked) == 1
    with pytest.raises(UserError, match="is of another run, or was made otherwise"):
        export_videos(store, out, model="another")


def test_samples_of_no_dataset_folder_are_called_by_their_names(tmp_path: Path, out: Path) -> None:
    evil = {"split": "../..", "task": "etc", "index": "00000"}
    store = make(tmp_path / "store", samples=["go-red", "evil"], metadata={"evil": {"vbvr": evil}})
    videos = export_videos(store, out, seeds="0")
    assert files(out) == ["seed-0/evil.mp4", "seed-0/go-red.mp4", RECORDS]
    assert not any(video.placed for video in videos)


def test_runs_of_another_variant_have_folders_of_their_own(store: Store, out: Path) -> None:
    with store.writer(FIRST, 0, "patched") as writer:
        writer.set_attrs({"metadata": PLACES[FIRST]})
        writer.set_schedule([1.0], [1.0, 0.0])
        writer.set_video(np.zeros((5, 32, 32, 3), np.uint8))
        writer.finish()
    export_videos(store, out, samples=FIRST, seeds=0)
    assert files(out) == [f"seed-0.patched/{FILES[0]}", f"seed-0/{FILES[0]}", RECORDS]
    shutil.rmtree(out)
    export_videos(store, out, samples=FIRST, seeds=0, variant="base")
    assert files(out) == [f"seed-0/{FILES[0]}", RECORDS]


def test_what_is_there_already_is_left_alone(store: Store, out: Path) -> None:
    export_videos(store, out, seeds=0)
    before = times(out)
    [first, *others] = before
    first.unlink()
    told: list[ExportedVideo] = []
    videos = export_videos(str(store.path), str(out), progress=told.append)
    assert [video.path for video in videos if not video.present] == [video.path for video in told]
    assert first in {video.path for video in told}
    assert len(told) == 4
    assert {path: times(out)[path] for path in others} == {path: before[path] for path in others}


def test_an_interrupted_export_goes_on_where_it_was(store: Store, out: Path) -> None:
    def interrupt(video: ExportedVideo) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_videos(store, out, progress=interrupt)
    assert len(times(out)) == 1
    before = times(out)
    export_videos(store, out)
    assert len(times(out)) == 6
    assert before.items() <= times(out).items()
    assert not [path for path in files(out) if "partial" in path]


def test_what_a_kill_leaves_is_made_again(store: Store, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Killed between the record and the name, and in the middle of a record.
    def killed(path: Path, write: Any) -> None:
        write(path.with_name(f".{path.name}.partial"))
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(video_export, "replace", killed)
        with pytest.raises(SystemExit):
            export_videos(store, out)
    with (out / RECORDS).open("a") as records:
        records.write('{"file": "seed-0/a')
    assert len(export_videos(store, out)) == 6
    assert len(times(out)) == 6
    before = times(out)
    export_videos(store, out)
    assert times(out) == before
    assert not [path for path in files(out) if "partial" in path]


@pytest.mark.parametrize(
    "otherwise",
    [{"frame_rate": 8}, {"crf": 20}, {"pixel_format": "yuv444p"}],
    ids=lambda way: next(iter(way)),
)
def test_videos_that_were_made_otherwise_are_replaced_by_force_alone(
    store: Store, out: Path, otherwise: dict[str, Any]
) -> None:
    export_videos(store, out, seeds=0)
    before = times(out)
    with pytest.raises(UserError, match=r"00000\.mp4 \(and 2 more\): this is of another run.*--force"):
        export_videos(store, out, **otherwise)
    assert times(out) == before
    assert not (out / "seed-3").exists()
    export_videos(store, out, force=True, **otherwise)
    assert len(times(out)) == 6
    assert not before.items() & times(out).items()
    after = times(out)
    export_videos(store, out, **otherwise)
    assert times(out) == after


def test_a_video_of_another_run_or_of_nobody_is_replaced_by_force_alone(
    store: Store, out: Path, tmp_path: Path
) -> None:
    path = out / "seed-0" / FILES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match=r"00000\.mp4: this is of another run"):
        export_videos(store, out)
    assert files(out) == [f"seed-0/{FILES[0]}"]
    export_videos(store, out, force=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"00000\.mp4: this is of another run"):
        export_videos(store, out)
    export_videos(store, out, force=True)
    # The same run, made again.
    text = (out / RECORDS).read_text().replace('"finished": "', '"finished": "0')
    (out / RECORDS).write_text(text)
    with pytest.raises(UserError, match=r"and 5 more"):
        export_videos(store, out)


def test_two_samples_of_one_place_are_refused(tmp_path: Path, out: Path) -> None:
    place = {"vbvr": Place("In-Domain_50", KEY_DOOR, "00000").as_metadata()}
    store = make(tmp_path / "store", samples=["a", "b"], metadata={"a": place, "b": place})
    with pytest.raises(
        UserError, match=r"the samples a and b would both be .*seed-0/In-Domain_50/.*00000\.mp4"
    ):
        export_videos(store, out)
    assert not out.exists()
    assert len(export_videos(store, out, samples="b")) == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"frame_rate": 0}, "the frame rate has to be a number above 0, not 0"),
        ({"frame_rate": float("nan")}, "the frame rate has to be a number above 0, not nan"),
        ({"crf": 52}, r"\(crf\) is a whole number from 0 to 51, not 52"),
        ({"pixel_format": "rgb24"}, 'unknown pixel format "rgb24"; use yuv420p or yuv444p'),
        ({"seeds": 7}, "no run is selected"),
        ({"samples": "maze-9"}, "no run is selected"),
        ({"samples": ["maze-9", FIRST]}, "no run of the sample maze-9 is selected"),
        ({"samples": iter(["maze-9", FIRST])}, "no run of the sample maze-9 is selected"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    store: Store, out: Path, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        export_videos(store, out, **asked)
    assert not out.exists()


def test_a_file_is_no_folder_to_write_into(store: Store, out: Path) -> None:
    out.touch()
    with pytest.raises(UserError, match="videos: is a file; name a folder"):
        export_videos(store, out)


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_decoded(tmp_path: Path, out: Path) -> None:
    out.symlink_to(tmp_path / "none" / "deeper")
    decoder = Decoder()
    with pytest.raises(UserError, match=r"videos/seed-0/.*: cannot be made: .*; choose another folder"):
        export_videos(make(tmp_path / "store", videos=False), out, model=decoder)
    assert decoder.calls == 0


def test_a_folder_in_the_place_of_the_records_is_named(store: Store, out: Path) -> None:
    (out / RECORDS).mkdir(parents=True)
    with pytest.raises(UserError, match=r"videos\.jsonl: is a folder"):
        export_videos(store, out)


def test_a_record_behind_one_that_was_cut_off_is_kept(store: Store, out: Path) -> None:
    out.mkdir()
    (out / RECORDS).write_text('{"file": "seed-0/a')
    [video] = export_videos(store, out, samples=FIRST, seeds=0)
    before = times(out)
    [again] = export_videos(store, out, samples=FIRST, seeds=0)
    assert (video.present, again.present) == (False, True)
    assert times(out) == before
    cut, whole = (out / RECORDS).read_text().splitlines()
    assert cut == '{"file": "seed-0/a'
    assert json.loads(whole)["file"] == f"seed-0/{FILES[0]}"


def test_a_run_without_video_and_latents_is_said_before_anything_is_written(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(tmp_path / "store", videos=False)
    monkeypatch.setattr(Run, "has_latents", False)
    with pytest.raises(StoreError, match="this run was stored without its video and its latents"):
        export_videos(store, out, model=Decoder())
    assert not out.exists()


def test_a_plan_writes_nothing(store: Store, out: Path) -> None:
    plan = plan_videos(store, out)
    assert (len(plan.todo), plan.needs_model) == (6, False)
    assert not out.exists()


def test_the_records_say_what_each_video_is(store: Store, out: Path) -> None:
    export_videos(store, out, samples=LAST, seeds=3, frame_rate=24, crf=12)
    [record] = [json.loads(line) for line in (out / RECORDS).read_text().splitlines()]
    assert record == {
        "file": "seed-3/maze-5x5/00007.mp4",
        "bytes": (out / "seed-3/maze-5x5/00007.mp4").stat().st_size,
        "sample": "maze-5x5-00007",
        "seed": 3,
        "variant": "base",
        "finished": store.runs(sample="maze-5x5-00007", seed=3)[0].finished,
        "frame_rate": 24,
        "crf": 12,
        "pixel_format": "yuv420p",
        "decoder": None,
    }
