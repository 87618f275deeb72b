"""A report is one page that needs nothing else, says what cannot be shown, and lets no text be markup."""

from __future__ import annotations

import base64
import re
import struct
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from probes.kinds import patches
from probes.report import Report, write_report
from probes.report import sections as of_sections
from probes.report.facts import value_text
from probes.report.page import is_report
from probes.report.pictures import LEAST, MOST, Picture, inlined, room_for, side_by_side, words_of
from probes.results.files import save_result
from probes.results.result import Result
from stores import Store, StoreError, create_store
from tests.unit.probes.patched import full_grid
from tests.unit.stores.making import make_store, settings

HOSTILE = """<script>alert("x")</script><img src=x onerror='alert(1)'> & "quoted" </style>"""
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """What a page holds, by the standard library's parser; a tag that is closed wrongly fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def text(self, *within: str) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if not within or tag in within).split())


def swept(pairs: int = 3) -> xr.Dataset:
    return full_grid("x0_along", lambda n, step, layer, way, control: layer + n / 10, pairs=pairs)


def save(store: Store, name: str, dataset: xr.Dataset | None = None, **told: Any) -> None:
    provenance = {
        "kind": "patch",
        "command": f"cosinterp patch mazes --name {name}",
        "asked": {"steps": "0-2"},
    }
    save_result(store.path, name, swept() if dataset is None else dataset, provenance | told, force=True)


def save_plain(store: Store, name: str) -> None:
    """A result without figures, which is quick to report."""
    save(store, name, xr.Dataset({"score": ("step", np.array([1.0]))}), kind="telepathy")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two results that are quick to report."""
    made = make_store(tmp_path / "mazes", [("maze-0", 0), ("maze-0", 1), ("maze-1", 0)])
    save_plain(made, "first")
    save_plain(made, "second")
    return made


def reported(store: Store, **asked: Any) -> tuple[Report, Page]:
    made = write_report(store, store.path.parent / "report.html", **asked)
    return made, Page(made.path)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Page]:
    """A report of two results with figures, made once."""
    runs = [("maze-0", 0), ("maze-0", 1), ("maze-1", 0)]
    store = make_store(tmp_path_factory.mktemp("report") / "mazes", runs)
    save(store, "first")
    save(store, "second", notes=["one run was left out"])
    return reported(store)


def test_the_page_has_one_heading_of_first_rank_and_none_leaves_a_rank_out(both: tuple[Report, Page]) -> None:
    _, page = both
    ranks = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert Counter(ranks)[1] == 1
    assert ranks[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(ranks))
    assert page.text("h1") == "mazes"
    assert page.text("title") == "mazes: 2 results"
    assert page.all("html")[0]["lang"] == "en"


def test_ids_are_unique_and_every_link_of_the_contents_leads_somewhere(both: tuple[Report, Page]) -> None:
    _, page = both
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [str(attrs["href"]) for attrs in page.all("a")]
    assert {"#store", "#result-first", "#result-second"} <= set(links)
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    named = [str(attrs["aria-labelledby"]) for _, attrs in page.tags if "aria-labelledby" in attrs]
    assert set(named) <= set(ids)


def test_nothing_is_fetched(both: tuple[Report, Page]) -> None:
    _, page = both
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            address = attrs.get(name)
            assert address is None or address.startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attrs)
    assert {"script", "iframe", "object", "embed"}.isdisjoint(tag for tag, _ in page.tags)
    styles = page.text("style")
    assert "url(" not in styles
    assert "@import" not in styles
    [policy] = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert "default-src 'none'" in str(policy)
    for image in page.all("img"):
        kind, content = re.fullmatch(r"data:image/([\w+]+);base64,(.*)", str(image["src"])).groups()
        assert kind == "svg+xml"
        drawing = ElementTree.fromstring(base64.b64decode(content))
        # Own parts are referred to by #id; the names of formats are no addresses that are fetched.
        references = [value for one in drawing.iter() for key, value in one.items() if key.endswith("href")]
        assert all(reference.startswith(("#", "data:")) for reference in references)


def test_every_picture_has_its_words_and_its_size(both: tuple[Report, Page]) -> None:
    made, page = both
    images = page.all("img")
    assert len(images) == sum(len(section.pictures) for section in made.sections) == 4
    for image in images:
        assert "X0_along" in str(image["alt"])
        assert "of 3 samples a cell" in str(image["alt"])
        content = base64.b64decode(str(image["src"]).partition(",")[2])
        width, height = re.findall(rb'(?:width|height)="([\d.]+)pt"', content)[:2]
        assert int(str(image["width"])) == round(float(width) * 96 / 72)
        assert int(str(image["height"])) == round(float(height) * 96 / 72)


def test_tables_have_heads_and_captions(both: tuple[Report, Page]) -> None:
    _, page = both
    assert len(page.all("table")) == len(page.all("caption")) > 2
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert "value" in page.text("th").split()
    assert re.search(r"0\.\d+ \[[-0-9.]+, [-0-9.]+\]", page.text("td"))


def test_it_says_what_each_result_says_and_how_to_repeat_it(both: tuple[Report, Page]) -> None:
    made, page = both
    text = page.text()
    for section in made.sections:
        assert section.summary
        for line in section.summary:
            assert line in text
        assert f"cosinterp patch mazes --name {section.name}" in page.text("code")
    assert "one run was left out" in text
    assert "The same in all rows: effect x0_along" in text
    assert "3 runs of tiny: 2 samples, 2 seeds, 3 denoising steps." in text
    assert "Go to the red goal." in text


@pytest.mark.parametrize("where", ["asked", "command", "notes", "version", "table", "title of a figure"])
def test_a_text_is_never_markup(store: Store, where: str) -> None:
    dataset = swept(pairs=1).isel(patch=slice(0, 8))
    told: dict[str, Any] = {}
    if where == "asked":
        told = {"asked": {"prompt": HOSTILE}}
    elif where == "command":
        told = {"command": HOSTILE}
    elif where == "notes":
        told = {"notes": [HOSTILE]}
    elif where == "version":
        told = {"versions": {HOSTILE: HOSTILE}}
    elif where == "table":
        count = dataset.sizes["patch"]
        dataset["tokens"] = ("patch", np.array([HOSTILE, "path"] * (count // 2)))
    else:
        dataset["x0_along"].attrs["long_name"] = HOSTILE
    save(store, "hostile", dataset, **told)
    made, page = reported(store, names=["hostile"])
    assert made.failures == []
    assert {"script", "b"} & {tag for tag, _ in page.tags} <= {"b"}
    assert all(str(attrs["src"]).startswith("data:") for attrs in page.all("img"))
    # Once a text that is data, and nowhere anything else.
    shown = " ".join([page.text(), *(str(attrs.get("alt")) for attrs in page.all("img"))])
    assert 'alert("x")' in shown


def test_a_prompt_is_never_markup(tmp_path: Path) -> None:
    store = create_store(tmp_path / "mazes", settings())
    with store.writer("maze-0", 0) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule(np.array([1000.0]), np.array([1.0, 0.0]), [0])
        writer.set_condition(HOSTILE, None)
        writer.write_noisy(0, np.zeros((2, 1, 2, 2), np.float32))
        writer.write_noisy(1, np.zeros((2, 1, 2, 2), np.float32))
        writer.write_prediction(0, np.zeros((2, 1, 2, 2), np.float32))
        writer.finish()
    save(store, "first")
    _, page = reported(store)
    assert HOSTILE in page.text("td")
    assert page.all("script") == []


def test_what_cannot_be_shown_is_a_section_that_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.path / "results" / "cut.nc").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    save(store, "map")
    draw = patches._dots

    def fail(dataset: xr.Dataset, *asked: Any) -> Figure:
        if dataset.sizes["patch"] == 1 * 48:
            raise ZeroDivisionError("a <b>bug</b>")
        return draw(dataset, *asked)

    save(store, "bug", swept(pairs=1))
    monkeypatch.setattr(patches, "_dots", fail)
    made, page = reported(store)
    assert [section.name for section in made.sections] == ["bug", "cut", "first", "map", "second"]
    assert made.failures == [
        "bug: figure x0_along-strongest: ZeroDivisionError: a <b>bug</b>",
        f"cut: result: {store.path}/results/cut.nc: damaged, or no result; delete it and make it again",
    ]
    by_name = {section.name: section for section in made.sections}
    assert len(by_name["bug"].pictures) == 1
    assert "in fail" in str(by_name["bug"].failures[0].trace)
    assert len(by_name["map"].pictures) == 2
    assert by_name["first"].failures == []
    text = page.text()
    assert "ZeroDivisionError: a <b>bug</b>" in text
    assert "cut.nc: damaged, or no result" in text
    assert 'Results of the kind "telepathy" are not known' in text


def test_of_many_figures_the_first_are_drawn_and_the_others_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_sections, "MOST_FIGURES", 1)
    save(store, "many")
    [section] = write_report(store, store.path.parent / "many.html", ["many"]).sections
    assert [picture.name for picture in section.pictures] == ["x0_along"]
    assert section.more_figures == ["x0_along-strongest"]


def test_of_a_long_summary_the_first_sentences_are_shown_and_the_others_folded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"sentence {number}." for number in range(20)]
    monkeypatch.setattr(Result, "summary", lambda result: lines)
    made, page = reported(store, names=["first"])
    [section] = made.sections
    assert [*section.summary, *section.more_summary] == lines
    assert "12 more sentences" in page.text("summary")
    assert all(line in page.text("li") for line in lines)
    monkeypatch.setattr(of_sections, "MOST_LINES", 20)
    assert reported(store, names=["first"])[0].sections[0].more_summary == []


def test_a_note_that_the_summary_says_is_not_said_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, "first", xr.Dataset(), kind="telepathy", notes=["one pair was left out", "by hand"])
    monkeypatch.setattr(Result, "summary", lambda result: ["note: one pair was left out"])
    assert reported(store, names=["first"])[0].sections[0].notes == ["by hand"]


def test_narrow_pictures_stand_beside_one_another_the_first_one_first() -> None:
    def named(widths: list[int]) -> list[int]:
        return [
            picture.width for picture in side_by_side([Picture("", "", "", width, 1) for width in widths])
        ]

    assert named([500, 900, 901, 501]) == [500, 501, 900, 901]
    assert named([900, 500, 901, 501, 502]) == [900, 500, 501, 901, 502]
    assert named([500, 900]) == [500, 900]


def test_results_are_chosen_by_name_in_the_order_asked(store: Store) -> None:
    told: list[str] = []
    made, _ = reported(store, names=["second", "first"], progress=told.append)
    assert [section.name for section in made.sections] == told == ["second", "first"]
    with pytest.raises(StoreError, match="mazes: no such result: third; there are first, second"):
        reported(store, names=["third"])
    with pytest.raises(StoreError, match="there are no results to report"):
        reported(make_store(store.path.parent / "empty"))


def test_a_report_replaces_an_older_one_and_nothing_else(store: Store) -> None:
    made, _ = reported(store)
    assert is_report(made.path)
    reported(store, names=["first"])
    assert "result-second" not in made.path.read_text()
    made.path.write_text("my own page")
    assert not is_report(made.path)
    with pytest.raises(StoreError, match="report.html: this exists; replace it with --force"):
        reported(store)
    assert made.path.read_text() == "my own page"
    reported(store, force=True)
    assert is_report(made.path)
    assert [path.name for path in made.path.parent.iterdir() if path.is_file()] == ["report.html"]


def heavy() -> Figure:
    made = Figure(figsize=(6, 4))
    random = np.random.default_rng(0)
    made.add_axes((0.1, 0.1, 0.8, 0.8), title="a cloud").scatter(*random.normal(size=(2, 4000)), s=4)
    return made


def test_a_figure_that_is_too_heavy_is_made_of_pixels_as_sharp_as_there_is_room() -> None:
    light = inlined("light", Figure(figsize=(3, 2)), LEAST)
    assert light.address.startswith("data:image/svg+xml;base64,")
    found = {room: inlined("cloud", heavy(), room) for room in (150_000, 60_000)}
    resolutions = []
    for room, picture in found.items():
        assert picture.address.startswith("data:image/png;base64,")
        assert len(picture.address) <= room + 40
        content = base64.b64decode(picture.address.partition(",")[2])
        across, down = struct.unpack(">II", content[16:24])
        resolutions.append(across / picture.width)
        assert picture.width / picture.height == pytest.approx(across / down, rel=0.01)
        assert picture.alt == "a cloud."
    assert resolutions[0] > resolutions[1] > 0.8


def test_all_pictures_of_a_page_have_room_together_however_many() -> None:
    assert room_for(1) == room_for(10) == MOST
    assert 200 * room_for(200) <= 30_000_000
    assert room_for(10_000) == LEAST


def test_the_words_of_a_figure_are_its_titles_and_caption_in_order() -> None:
    figure = Figure()
    figure.text(0, 1, "What was found")
    figure.text(0, 0.9, "resid, all tokens")
    figure.text(0, 0, "n = 8\nsamples.")
    figure.add_subplot(title="sufficiency")
    assert words_of(figure) == "What was found. resid, all tokens. sufficiency. n = 8 samples."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([0, 1, 2, 5], "0-2,5"),
        (True, "yes"),
        (0.5, "0.5"),
        ("a" * 64, "aaaaaaaaaaaaaaaa..."),
        (["a"] * 15, ", ".join(["a"] * 12) + ", and 3 more"),
        ([{"sample": "m", "seed": 0}], "(sample m, seed 0)"),
    ],
)
def test_settings_are_told_in_short(value: Any, text: str) -> None:
    assert value_text(value) == text
