"""First images: broken ones are refused at once, whole ones are read late and not kept."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import ExifTags, Image

from cosinterp.errors import SampleError
from cosinterp.samples import ImageFile, Sample, load_dataset, read_image, sample_from_flags
from tests.unit.samples.making import write_lines


def noise(path: Path, seed: int = 0, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_an_image_that_is_cut_off_is_refused_before_it_is_needed(tmp_path: Path, suffix: str) -> None:
    path = noise(tmp_path / f"first.{suffix}")
    assert ImageFile.check(path).size == (48, 64)
    content = path.read_bytes()
    for left in (len(content) - 200, len(content) // 2, 20, 0):
        path.write_bytes(content[:left])
        with pytest.raises(SampleError, match=rf"first\.{suffix}: cannot be read as an image"):
            ImageFile.check(path)
        with pytest.raises(SampleError, match="cannot be read as an image"):
            sample_from_flags("go", image=path)


def test_a_flipped_bit_in_a_png_is_refused(tmp_path: Path) -> None:
    path = noise(tmp_path / "first.png")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SampleError, match="cannot be read as an image"):
        ImageFile.check(path)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"none\.png: no such image"):
        ImageFile.check(tmp_path / "none.png")
    with pytest.raises(SampleError, match="is a folder; name an image"):
        ImageFile.check(tmp_path)


def test_an_image_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for read in (read_image, ImageFile.check):
        with pytest.raises(SampleError, match="cannot be read as an image"):
            read(tmp_path / "huge.png")


def test_the_images_of_a_dataset_are_never_in_memory_together(tmp_path: Path) -> None:
    for number in range(6):
        noise(tmp_path / f"{number}.png", number)
    table = write_lines(
        tmp_path / "many.jsonl", *({"prompt": "go", "image": f"{number}.png"} for number in range(6))
    )
    samples = load_dataset(table)
    seen = []
    for number, sample in enumerate(samples):
        image = sample.image
        assert (np.asarray(image) == np.asarray(Image.open(tmp_path / f"{number}.png"))).all()
        assert sample.image is image
        seen.append(weakref.ref(image))
        del image
    gc.collect()
    assert sum(image() is not None for image in seen) <= 2


def test_its_size_is_known_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_lines(tmp_path / "one.jsonl", {"prompt": "go", "image": "0.png"}, {"prompt": "go"})
    noise(tmp_path / "0.png")
    monkeypatch.setattr(Image.Image, "convert", None)
    monkeypatch.setattr(Image.Image, "load", None)
    with_image, without = load_dataset(table)
    assert (with_image.has_image, with_image.image_size) == (True, (48, 64))
    assert (without.has_image, without.image_size, without.image) == (False, None, None)
    assert "image of 48x64 px" in repr(with_image)


def test_an_image_that_was_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = noise(tmp_path / "first.png", 0)
    checked = ImageFile.check(path)
    before = checked.read()
    noise(path, 1)
    os.utime(path, ns=(0, checked.stamp[1] + 1))
    with pytest.raises(SampleError, match=r"first\.png: has changed since the dataset was read"):
        checked.read()
    assert ImageFile.check(path).read() != before
    path.unlink()
    with pytest.raises(SampleError, match=r"first\.png: no such image"):
        checked.read()


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK"])
def test_images_of_every_kind_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = noise(tmp_path / ("first.tif" if mode == "CMYK" else "first.png"), mode=mode)
    image = ImageFile.check(path).read()
    assert image.mode == "RGB"
    assert image == read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize(("orientation", "size"), [(3, (48, 64)), (6, (64, 48)), (8, (64, 48))])
def test_an_image_is_turned_as_its_orientation_says(
    tmp_path: Path, suffix: str, orientation: int, size: tuple[int, int]
) -> None:
    path = tmp_path / f"first.{suffix}"
    stored = Image.new("RGB", (48, 64))
    stored.paste((255, 255, 255), (0, 0, 48, 32))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(path, exif=exif)
    checked = ImageFile.check(path)
    image = checked.read()
    assert checked.size == image.size == size
    # The upper half of the pixels is at the bottom, right or left.
    bright = {3: (24, 56), 6: (56, 24), 8: (8, 24)}[orientation]
    assert image.getpixel(bright) == (255, 255, 255)
    assert np.asarray(image).mean() == pytest.approx(127.5, abs=1)


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    path = noise(tmp_path / "first.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + content
    chunk = len(content).to_bytes(4, "big") + chunk + crc32(chunk).to_bytes(4, "big")
    whole = path.read_bytes()
    path.write_bytes(whole[:-12] + chunk + whole[-12:])
    checked = ImageFile.check(path)
    assert checked.size == checked.read().size == (64, 48)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_of_16_bits_keeps_its_brightness(tmp_path: Path, suffix: str) -> None:
    levels = np.array([[0, 257, 128 * 257, 200 * 257 + 100, 65535]], np.uint16)
    path = tmp_path / f"first.{suffix}"
    Image.fromarray(levels).save(path)
    image = ImageFile.check(path).read()
    assert image.mode == "RGB"
    assert np.asarray(image)[0].tolist() == [[level] * 3 for level in (0, 1, 128, 200, 255)]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_no_known_range_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.ones((4, 6), dtype)).save(tmp_path / "first.tif")
    for read in (read_image, ImageFile.check):
        with pytest.raises(SampleError, match=r"first\.tif: has pixels of 32 bits; save it with 8 or 16"):
            read(tmp_path / "first.tif")


def test_a_sample_takes_an_image_that_is_in_memory() -> None:
    image = Image.new("RGB", (6, 4))
    sample = Sample("maze-3", "go", image)
    assert sample.image is image
    assert (sample.has_image, sample.image_size) == (True, (6, 4))
    assert Sample("maze-3", "go").image is None
    assert Sample("maze-3", "go", image=image) == sample
    with pytest.raises(AttributeError):
        sample.image = None
