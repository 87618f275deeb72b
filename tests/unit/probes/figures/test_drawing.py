"""Figures as files: texts as texts, nothing cut off, the same bytes again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from probes.figures.drawing import drawn, save_figure
from stores import StoreError


def figure() -> Figure:
    made = Figure(figsize=(3, 2))
    axes = made.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.plot([0, 1], [0, 1])
    # Outside of the figure, unless the page grows.
    axes.set_xlabel("denoising step")
    axes.set_ylabel("balanced accuracy")
    return made


def test_texts_of_svg_are_texts_in_fonts_with_others_to_take_their_place() -> None:
    svg = drawn(figure(), "svg").decode()
    assert ">denoising step</text>" in svg
    families = re.findall(r"font(?:-family)?: ([^;\"]*DejaVu Sans[^;\"]*)", svg)
    assert families
    assert all("sans-serif" in family for family in families)


def test_outlines_need_no_font() -> None:
    svg = drawn(figure(), "svg", outlines=True).decode()
    assert "<text" not in svg
    assert "font-family" not in svg


def test_fonts_of_pdf_are_truetype() -> None:
    pdf = drawn(figure(), "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Type3" not in pdf


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(format: str) -> None:
    assert drawn(figure(), format) == drawn(figure(), format)


def test_the_page_grows_with_what_is_on_it() -> None:
    svg = drawn(figure(), "svg").decode()
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]
    assert float(width) > 3 * 72
    assert float(height) > 2 * 72


def test_a_figure_is_saved_in_the_format_of_its_name_and_folders_are_made(tmp_path: Path) -> None:
    path = save_figure(figure(), tmp_path / "new" / "a.png")
    with Image.open(path) as picture:
        assert picture.width > 3 * 200
    for suffix, start in ((".svg", b"<?xml"), (".pdf", b"%PDF")):
        assert save_figure(figure(), tmp_path / f"a{suffix}").read_bytes().startswith(start)
    with pytest.raises(StoreError, match="a.gif: the name has to end in .png, .svg or .pdf"):
        save_figure(figure(), tmp_path / "a.gif")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(StoreError, match="taken.png: cannot be written: Is a directory"):
        save_figure(figure(), tmp_path / "taken.png")
