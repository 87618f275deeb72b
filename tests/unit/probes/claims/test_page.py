"""The page of claims says what the results say, and asks nothing of any network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from probes.claims import Findings
from probes.claims.findings import KIND
from probes.report.claims_page import GENERATOR, Experiment, write_claims_report
from probes.results.result import Result
from stores.errors import StoreError
from tests.unit.probes.claims.planting import findings

TOLD = {
    "kind": KIND,
    "command": "cosinterp experiment trial --set 'a=<b>'",
    "asked": {"settings": {"count": 12, "seeds": "0-2"}, "rests_on": ["scores-maze"]},
    "versions": {"python": "3.11"},
}


def page(folder: Path, shown: bool = False) -> tuple[str, list[str]]:
    found = findings()
    kept = Findings(**{**vars(found), "shown": found.shown if shown else ()})
    Result(kept.to_dataset(), TOLD).save(folder / "store", "experiment-trial")
    made = write_claims_report(
        folder / "report.html",
        [Experiment(kept, TOLD, folder / "store")],
        heading="A trial <of> claims",
        lead="Planted.",
        command="cosinterp reproduce",
    )
    return made.path.read_text(), made.failures


def test_the_page_counts_verdicts_and_gives_each_claim_its_own(tmp_path: Path) -> None:
    text, failures = page(tmp_path)
    assert not failures
    for number, verdict in ((1, "reproduced"), (0, "not reproduced"), (1, "not testable here")):
        assert re.search(rf'<b>{number}</b><span class="verdict \w+">{verdict}</span>', text)
    assert "of 2 claims of the paper, beside 1 question of our own" in text
    assert "does not hold here" in text
    assert "0.20 to 0.70" in text
    assert "the model has no eyes" in text


def test_the_page_has_settings_and_the_command_that_repeats_it(tmp_path: Path) -> None:
    text, _ = page(tmp_path)
    assert "<dt>count</dt><dd>12</dd>" in text
    assert "cosinterp experiment trial --set &#39;a=&lt;b&gt;&#39;" in text
    assert "scores-maze" in text


def test_the_page_fetches_nothing_and_escapes_texts(tmp_path: Path) -> None:
    text, _ = page(tmp_path)
    assert "<of>" not in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert text.count("<img") == 3


def test_a_figure_that_cannot_be_drawn_is_said_to_be_missing(tmp_path: Path) -> None:
    text, failures = page(tmp_path, shown=True)
    assert len(failures) == 1
    assert "convergence" in failures[0]
    assert "Could not be shown" in text


def test_an_older_page_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    text, _ = page(tmp_path / "one")
    assert f'content="{GENERATOR}"' in text
    other = tmp_path / "other.html"
    other.write_text("mine")
    asked = {"heading": "h", "lead": "l", "command": "c"}
    with pytest.raises(StoreError):
        write_claims_report(other, [], **asked)
    assert other.read_text() == "mine"
    again = write_claims_report(tmp_path / "one" / "report.html", [], **asked)
    assert "of 0 claims" in again.path.read_text()
