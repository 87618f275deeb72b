"""Findings are saved and read again without a loss, and shown as any result is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.claims import Claim, Curve, Findings, Measured, Panel, Verdict, judge
from probes.claims.findings import KIND
from probes.results.result import Result
from stores.errors import StoreError
from tests.unit.probes.claims.planting import estimate, findings


def test_findings_come_back_as_they_were() -> None:
    assert Findings.from_dataset(findings().to_dataset()) == findings()


def test_findings_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    saved = Result(findings().to_dataset(), {"kind": KIND}).save(tmp_path, "trial")
    assert Findings.from_dataset(saved.dataset) == findings()


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_verdicts_are_those_of_the_numbers_that_were_saved(values: list[float]) -> None:
    made = tuple(
        Measured(Claim(f"c{row}", "s", "w", "q", "u"), estimate(value)) for row, value in enumerate(values)
    )
    back = Findings.from_dataset(Findings("t", "T", "A.", (), made).to_dataset())
    assert [judge(one) for one in back.claims] == [judge(one) for one in made]


def test_no_verdict_is_saved() -> None:
    dataset = findings().to_dataset()
    texts = [str(variable.values.tolist()) for variable in dataset.variables.values()]
    assert not any(verdict.value in text for verdict in Verdict for text in [*texts, str(dataset.attrs)])


def test_something_else_is_no_findings() -> None:
    with pytest.raises(StoreError, match="no findings"):
        Findings.from_dataset(findings().to_dataset().drop_vars("says"))


def test_the_summary_names_verdict_number_n_interval_and_seed() -> None:
    text = "\n".join(Result(findings().to_dataset(), {"kind": KIND}).summary())
    assert "Reproduced: the whole interval is on the claimed side" in text
    assert "0.40 [0.20, 0.70] (n = 36 of 12 samples), share of runs; counts if above 0." in text
    assert "Not testable here: the model has no eyes" in text
    assert "cluster bootstrap by sample, BCa, bootstrap seed 0" in text
    assert "Our question: It falls." in text


def test_the_table_has_a_row_for_each_claim_and_estimate() -> None:
    table = Result(findings().to_dataset(), {"kind": KIND}).table()
    assert table["verdict"].tolist()[:3] == ["reproduced", "does not hold here", "not testable here"]
    assert len(table) == 3 + 5 + 2
    assert math.isnan(table["value"][2])


def test_every_figure_says_n_and_how_intervals_were_made() -> None:
    result = Result(findings().to_dataset(), {"kind": KIND})
    assert result.figures() == ["by-step", "by-name", "claims"]
    for name in ("by-step", "by-name"):
        texts = " ".join(text.get_text() for text in result.figure(name).texts)
        assert "n = " in texts
        assert "95% interval" in texts
    assert len(result.figure("claims").axes) == 2


@pytest.mark.parametrize("form", ["line", "dots"])
def test_places_have_to_suit_the_form(form: str) -> None:
    place = "early" if form == "line" else 0
    with pytest.raises(ValueError, match="places"):
        Panel("p", "t", "a", "q", (Curve("c", (place,), (estimate(),)),), form)  # type: ignore[arg-type]
