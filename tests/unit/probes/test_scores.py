"""Scores as a dataset, there and back."""

import math

import numpy as np
import pytest
import xarray

from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import Metric, Reading, Scored, ScoreTable, scalars
from stores import StoreSettings, create_store
from stores.errors import StoreError

METRICS = (
    Metric("solved", "solved", "solved", "share"),
    Metric("walls broken", "walls broken", "walls", "mean", (0.0, math.inf), blind=True),
)


def row(sample, seed, answers, **truth):
    steps = [
        {"solved": float(answer == "ä"), "walls broken": 2.0 * step} for step, answer in enumerate(answers)
    ]
    return Scored(
        *(sample, seed, "2026-01-31T12:00:00Z", 1234),
        final={"solved": 1.0, "walls broken": 0.25},
        sigmas=[1.0, 0.5][: len(steps)],
        steps=steps,
        answers={"answer": answers, "first": [answer and answer[0] for answer in answers]},
        truth=truth,
    )


def table(*rows):
    readings = (Reading("answer", "word", "solved"), Reading("first", "letter", None))
    return ScoreTable("words", "base", METRICS, ("solved",), readings, rows)


ROWS = (
    row("a", 0, ["ä", None], goal="red", length=7.0),
    row("a", 10**12, [None, "ä"], goal="red", length=7.0),
    row("b", 0, ["ab", "ab"], length=3.5),
)


def test_what_is_saved_comes_back(tmp_path):
    store = create_store(tmp_path / "store", StoreSettings(model={"name": "planted"}))
    told = provenance("scores", store, {"task": "words", "variant": "base", "decoder": None})
    saved = Result(table(*ROWS).to_dataset(), told).save(store.path, "scores-words")
    assert ScoreTable.from_dataset(saved.dataset) == table(*ROWS)


def test_a_table_of_one_metric_and_one_run_comes_back(tmp_path):
    one = ScoreTable("words", "base", METRICS[:1], (), (Reading("answer", "word", None),), (
        Scored("a", 0, "now", 1, {"solved": 0.0}, [1.0], [{"solved": 1.0}], {"answer": [None]}),
    ))  # fmt: skip
    assert ScoreTable.from_dataset(one.to_dataset()) == one


def test_the_layout_is_what_the_documents_say():
    dataset = table(*ROWS).to_dataset()
    assert dataset["answer"].values.tolist() == [["ä", ""], ["", "ä"], ["ab", "ab"]]
    assert dataset["answer_first"].values.tolist() == [["ä", ""], ["", "ä"], ["a", "a"]]
    assert dataset["metric_walls broken"].values.tolist() == [[0.0, 2.0]] * 3
    assert dataset["final_solved"].values.tolist() == [1.0, 1.0, 1.0]
    assert dataset["truth_goal"].values.tolist() == ["red", "red", ""]
    assert dataset["truth_length"].values.tolist() == [7.0, 7.0, 3.5]
    assert dataset["answer"].attrs["right"] == "solved"


def test_what_is_no_table_of_scores_is_told():
    with pytest.raises(StoreError, match="these are no scores"):
        ScoreTable.from_dataset(xarray.Dataset())
    with pytest.raises(StoreError, match="metric_solved"):
        ScoreTable.from_dataset(table(*ROWS).to_dataset().drop_vars("metric_solved"))


def test_scalars_are_the_numbers_and_texts_of_a_truth():
    truth = {
        "goal": "red",
        "rooms": 5,
        "share": np.float32(0.5),
        "flag": True,
        "one": np.array(3),
        "walls": np.zeros((2, 2)),
        "start": np.array([3]),
    }
    assert scalars(truth) == {"goal": "red", "rooms": 5.0, "share": 0.5, "flag": 1.0, "one": 3.0}
