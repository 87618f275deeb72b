"""Experiments on planted stores, where the answer to every claim is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosinterp.errors import SelectionError, StoreError
from cosinterp.experiments.running import experiment, is_done, settings_of
from cosinterp.samples import Sample
from probes.claims import Findings, Verdict, judge
from probes.results.result import Result
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant

MAZES, CORRECTED, STEPS = 12, 9, 4


@pytest.fixture(scope="module")
def improving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose clean estimates go to the wrong goal for two steps, then to the right one; the last three
    mazes' are right from the beginning."""
    wrong, right = ({seed: maze_estimate(seed, goal) for seed in range(MAZES)} for goal in ("blue", "red"))
    runs = {
        (name_of(number), seed): np.stack(
            [(wrong if number < CORRECTED else right)[number]] * 2 + [right[number]] * (STEPS - 2)
        )
        for number in range(MAZES)
        for seed in (0, 1)
    }
    truths = {name_of(number): maze_truth(number, "red") for number in range(MAZES)}
    return plant(tmp_path_factory.mktemp("planted") / "mazes", runs, truths).path


def name_of(number: int) -> str:
    return f"maze-{number:02d}"


SAMPLES = [Sample(name_of(number), "Go to the red goal.") for number in range(MAZES)]
SETTINGS: dict[str, Any] = {"count": MAZES, "seeds": "0-1", "num_steps": STEPS}


def made(name: str, store: Path, **asked: Any) -> Result:
    given = {"model": CellDecoder(), "samples": SAMPLES, "settings": SETTINGS, "force": True}
    return experiment(name, store=store, **(given | asked))


@pytest.fixture(scope="module")
def chain(improving: Path) -> Result:
    """The chain of steps of these runs; it is saved among their results."""
    return made("chain-of-steps", improving, command="cosinterp experiment")


def verdicts(result: Result) -> dict[str, Verdict]:
    findings = Findings.from_dataset(result.dataset)
    return {one.claim.name: judge(one).verdict for one in findings.claims}


def test_chain_of_steps_finds_that_answers_become_right_and_seeds_never_differ(chain: Result) -> None:
    found = verdicts(chain)
    assert found["score-rises"] is Verdict.REPRODUCED
    # Both seeds give the same answer at every step.
    assert found["answers-narrow"] is Verdict.NOT_REPRODUCED
    assert found["seeds-agree"] is Verdict.NOT_REPRODUCED
    assert found["ways-at-once"] is Verdict.NOT_REPRODUCED
    # Most runs settle at step 2 of 0 to 3, and goal and path change together.
    assert found["settles-early"] is Verdict.NOT_REPRODUCED
    assert found["perception-before-action"] is Verdict.NOT_REPRODUCED
    findings = Findings.from_dataset(chain.dataset)
    solved = findings.panels[0].curves[0]
    assert [one.value for one in solved.estimates] == [0.25, 0.25, 1, 1]
    assert all(one.n == 2 * MAZES for one in solved.estimates)


def test_self_correction_finds_runs_corrected_for_the_better(improving: Path) -> None:
    result = made("self-correction", improving)
    assert set(verdicts(result).values()) == {Verdict.REPRODUCED}
    findings = Findings.from_dataset(result.dataset)
    kinds = dict(zip(findings.panels[0].curves[0].at, findings.panels[0].curves[0].estimates, strict=True))
    assert kinds["wrong to right"].value == CORRECTED / MAZES
    assert kinds["right to wrong"].value == 0


def test_an_answer_that_has_to_be_held_longer_is_not_corrected(improving: Path) -> None:
    found = verdicts(made("self-correction", improving, settings=SETTINGS | {"hold": 3}))
    assert found["corrects"] is Verdict.NOT_REPRODUCED
    assert found["gains-more-than-it-loses"] is Verdict.REPRODUCED


def test_few_samples_are_not_judged(improving: Path) -> None:
    found = verdicts(made("self-correction", improving, settings=SETTINGS | {"count": 4}))
    assert set(found.values()) == {Verdict.NOT_TESTABLE}


def test_one_seed_is_no_agreement(improving: Path) -> None:
    found = verdicts(made("chain-of-steps", improving, settings=SETTINGS | {"seeds": "0"}))
    assert found["seeds-agree"] is found["answers-narrow"] is Verdict.NOT_TESTABLE
    assert found["score-rises"] is Verdict.REPRODUCED


def test_settings_samples_and_what_it_rests_on_are_kept(improving: Path, chain: Result) -> None:
    told = chain.provenance
    assert told["asked"]["settings"]["num_steps"] == STEPS
    assert told["asked"]["samples"] == [sample.name for sample in SAMPLES]
    assert told["command"] == "cosinterp experiment"
    names = told["asked"]["rests_on"]
    assert "scores-maze" in names
    assert all((improving / "results" / f"{name}.nc").exists() for name in names)


def test_the_second_time_nothing_is_decoded(improving: Path, chain: Result) -> None:
    decoder = CellDecoder()
    made("chain-of-steps", improving, model=decoder)
    assert decoder.calls == 0


def test_a_result_is_done_if_its_settings_are_the_same(improving: Path) -> None:
    made("self-correction", improving)
    settings = settings_of("self-correction", given=SETTINGS)
    assert is_done(improving, "self-correction", settings) is not None
    assert is_done(improving, "self-correction", settings_of("self-correction")) is None
    assert is_done(improving, "frames", settings_of("frames")) is None


def test_a_result_is_not_replaced_unasked(improving: Path) -> None:
    made("self-correction", improving)
    with pytest.raises(StoreError, match="--force"):
        made("self-correction", improving, force=False)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"count": 20}, "the dataset has 12 samples"), ({"num_steps": 7}, "has 4 steps; --set num_steps=4")],
)
def test_what_the_data_does_not_have_is_said(improving: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        made("self-correction", improving, settings=SETTINGS | given)
