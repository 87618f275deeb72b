"""What the place of jobs is made of, without the app: what is read, how it reads, and in what order."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cosinterp.jobs.state import State
from cosinterp.jobs.status import RECORD
from tests.tui.job_factory import plant, plant_ended, plant_many, plant_running
from tui.jobs import log_file
from tui.jobs.endings import ended_between, ending_text
from tui.jobs.following import Following, last_lines
from tui.jobs.lines import Line, columns_of, matcher
from tui.jobs.listing import JobList
from tui.jobs.reading import Looker
from tui.jobs.sparkline import sparkline
from tui.jobs.text_cells import rows_of, text_cells, wrapped
from tui.jobs.watch import JobsSeen

NOW = 1_760_000_000.0


def looked(looker: Looker, *certain: str) -> JobsSeen:
    *_, last = looker.look(certain)
    return last


def states(seen: JobsSeen) -> dict[str, str]:
    return {one.id: "damaged" if one.status is None else one.status.state.value for one in seen.jobs}


def test_no_folder_of_jobs_is_no_jobs(tmp_path: Path) -> None:
    assert looked(Looker(tmp_path / "jobs")) == JobsSeen()


def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("")
    assert looked(Looker(tmp_path / "jobs")).error == f"{tmp_path / 'jobs'}: Not a directory"


def test_sees_what_comes_what_ends_and_what_goes(tmp_path: Path) -> None:
    looker = Looker(tmp_path / "jobs")
    old = plant_ended(tmp_path, "score-elm", State.FAILED, age=900, message="no such folder")
    running = plant_running(tmp_path, "trace-fox", age=300)
    assert states(looked(looker)) == {"trace-fox": "running", "score-elm": "failed"}
    first = looked(looker)
    assert first.living[0].done == 624
    running.go_on(6)
    plant(tmp_path, "patch-oak", age=100).close()
    seen = looked(looker)
    assert list(states(seen)) == ["patch-oak", "trace-fox", "score-elm"]
    assert seen.jobs[1].status is not None
    assert seen.jobs[1].status.done == 630
    assert seen.jobs[2] is first.jobs[1]
    running.end(State.FINISHED)
    assert states(looked(looker))["trace-fox"] == "finished"
    os.rename(old.path, tmp_path / "elsewhere")
    assert "score-elm" not in states(looked(looker))


def test_a_damaged_folder_is_a_job_with_an_error_and_one_without_a_spec_is_none(tmp_path: Path) -> None:
    bad = plant_ended(tmp_path, "trace-bad", State.FINISHED)
    (bad.path / "spec.json").write_text("{")
    (tmp_path / "jobs" / "trace-being-made").mkdir()
    (only,) = looked(Looker(tmp_path / "jobs")).jobs
    assert only.error == f"{bad.path / 'spec.json'}: this is no spec of a job"
    line = Line(only, NOW)
    assert line.cells["state"] == "✗ damaged"
    assert "no spec of a job" in line.cells["what"]


def test_many_are_told_by_parts_and_looked_at_again_only_where_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_many(tmp_path, 300)
    looker = Looker(tmp_path / "jobs")
    told = list(looker.look())
    assert [(len(one.jobs), one.whole) for one in told] == [(250, False), (300, True)]
    assert told[0].jobs == told[1].jobs[:250]
    read: list[str] = []
    monkeypatch.setattr(
        "tui.jobs.reading.status_of",
        lambda path, spec: read.append(path.name),
    )
    assert looked(looker) == told[-1]
    assert read == []
    os.utime(told[-1].jobs[299].path / RECORD)
    for _ in range(3):
        looked(looker)
    assert read == [told[-1].jobs[299].id]


def test_tells_which_jobs_have_ended_since(tmp_path: Path) -> None:
    looker = Looker(tmp_path / "jobs")
    plant_ended(tmp_path, "score-elm", State.FAILED)
    running = plant_running(tmp_path, "trace-fox")
    other = plant_running(tmp_path, "trace-kite")
    before = looked(looker)
    assert ended_between(None, before) == []
    running.end(State.OUT_OF_MEMORY, message="out of memory on GPU 0")
    now = looked(looker)
    (ended,) = ended_between(before, now)
    text = ending_text(replace(ended, started=0.0, ended=390.0))
    assert text == "trace-fox out of memory on GPU 0 after 6.5 min. 4 leads to it"
    assert ended_between(now, now) == []
    other.close()


def lines_of_states(tmp_path: Path) -> JobsSeen:
    looker = Looker(tmp_path / "jobs")
    plant_ended(tmp_path, "score-elm", State.FINISHED, ("score", "runs/a"), age=50)
    plant_ended(tmp_path, "probe-fox", State.FAILED, ("probe", "runs/a"), age=70, message="no such store")
    plant_running(tmp_path, "trace-kite", age=400)
    plant(tmp_path, "patch-oak", ("patch", "runs/a"), age=500)
    return looked(looker)


def test_living_jobs_come_first_and_a_filter_asks_words_and_states(tmp_path: Path) -> None:
    listed = JobList()
    seen = lines_of_states(tmp_path)

    def ids(text: str = "") -> list[str]:
        return [line.seen.id for line in listed.lines(seen.jobs, text, NOW, bars=True)]

    assert ids() == ["trace-kite", "patch-oak", "score-elm", "probe-fox"]
    assert ids("runs/a") == ["patch-oak", "score-elm", "probe-fox"]
    assert ids("runs/a state=failed,queued") == ["patch-oak", "probe-fox"]
    assert ids("SUCH store") == ["probe-fox"]
    listed.sort("job", reverse=True)
    assert ids() == ["trace-kite", "patch-oak", "score-elm", "probe-fox"]
    listed.sort("job", reverse=False)
    assert ids() == ["patch-oak", "trace-kite", "probe-fox", "score-elm"]
    assert [column.name for column in listed.columns][:3] == ["job", "state", "done"]
    assert not matcher("state=running")(Line(seen.jobs[0], NOW))


def test_a_line_does_not_change_places_because_a_number_does(tmp_path: Path) -> None:
    listed = JobList()
    one, other = plant_running(tmp_path, "trace-a", age=9), plant_running(tmp_path, "trace-b", age=8)
    looker = Looker(tmp_path / "jobs")
    listed.sort("done", reverse=False)
    one.go_on(50)
    before = [line.seen.id for line in listed.lines(looked(looker).jobs, "", NOW, bars=True)]
    assert before == ["trace-a", "trace-b"]
    other.go_on(200)
    assert [line.seen.id for line in listed.lines(looked(looker).jobs, "", NOW, bars=True)] == before
    listed.sort("done", reverse=False)
    assert [line.seen.id for line in listed.lines(looked(looker).jobs, "", NOW, bars=True)] == before[::-1]
    one.close()
    other.close()


def test_columns_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    seen = lines_of_states(tmp_path)
    finished = next(one for one in seen.jobs if one.id == "score-elm")
    assert [column.name for column in columns_of([Line(finished, NOW)])] == [
        "job",
        "state",
        "time",
        "age",
        "command",
    ]


def test_a_job_is_read_further_each_time(tmp_path: Path) -> None:
    job = plant_running(tmp_path, "trace-fox", ("trace", "--store", "runs/first"))
    following = Following(job.path)
    first = following.read(NOW)
    facts = dict(first.facts)
    assert facts["done"].startswith("624 of 1,200 steps (52%)")
    assert facts["works on"] == "/data/runs/first"
    assert facts["command"] == "cd /data && cosinterp trace --store runs/first"
    assert first.log == ("loading maze-wan", "tracing 300 runs")
    assert [value for _, value in first.metrics.gpu_use] == [94.0]
    job.diary._progress.pace = 0.0
    job.go_on(1)
    job.print("10 %\r100 %\n\x1b[31mred\x1b[0m\tand more")
    second = following.read(NOW)
    assert second.log[2:] == ("100 %", "red     and more")
    assert [value for _, value in second.metrics.gpu_use] == [94.0, 95.0]
    job.end(State.CANCELLED)
    assert dict(following.read(NOW).facts)["state"] == "cancelled"


def test_the_end_of_a_huge_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        file.seek(10**10)
        file.write(b"\nlast but one\nlast \xff")
    assert last_lines(log, 2) == ("last but one", "last \ufffd")
    page = log_file.last_page(log, 2, 80)
    assert page.rows == ("last but one", "last \ufffd")
    assert page.is_last


def test_blanks_that_fill_a_table_up_make_no_empty_rows(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("name" + " " * 200 + "\nvalue\n")
    assert last_lines(log, 2) == ("name", "value")
    assert log_file.last_page(log, 4, 40).rows == ("name", "value")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"line {number}\n" for number in range(20_000)) + "x" * 25 + "\nthe end")
    return path


def test_pages_of_a_log_join_without_gap(log: Path) -> None:
    rows: list[str] = []
    page = log_file.page_at(log, 0, 10, 80)
    pages = [page]
    while not page.is_last:
        rows += page.rows
        page = log_file.page_at(log, page.next, 10, 80)
        pages.append(page)
        if len(pages) > 40:
            break
    assert rows == [f"line {number}" for number in range(400)]
    assert log_file.page_at(log, page.second, 10, 80).rows[0] == "line 401"
    assert log_file.page_before(log, page.top, 10, 10, 80) == pages[-2]
    last = log_file.last_page(log, 3, 80)
    assert last.rows == ("line 19999", "x" * 25, "the end")
    assert log_file.page_at(log, last.second, 3, 80) == last
    assert log_file.page_before(log, 5, 10, 3, 80).top == 0


def test_long_lines_are_broken_and_count_as_the_rows_they_take(log: Path) -> None:
    assert log_file.last_page(log, 4, 10).rows == ("x" * 10, "x" * 10, "x" * 5, "the end")
    # Of a line that is higher than the page, the beginning is seen, and the way goes on.
    high = log_file.page_at(log, log_file.last_page(log, 4, 10).top, 2, 10)
    assert high.rows == ("x" * 10, "x" * 10)
    assert high.next == log.stat().st_size - len("the end")


@pytest.mark.parametrize("block", [64, 2**16])
def test_finds_words_downwards_and_upwards(log: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_SEARCHED", block)

    def found(text: str, top: int, *, down: bool) -> str | None:
        place = log_file.find(log, text, top, down=down, given_up=lambda: False)
        return None if place is None else log_file.page_at(log, place, 1, 80).rows[0]

    middle = log_file.find(log, "line 1000\n", 0, down=True, given_up=lambda: False)
    assert middle is not None
    assert found("LINE 1002", middle, down=True) == "line 1002"
    assert found("line 10", middle, down=False) == "line 109"
    assert found("line 1000\n", middle, down=False) is None
    assert found("line 1\n", middle, down=True) is None
    assert log_file.find(log, "end", 0, down=True, given_up=lambda: True) is None


def test_a_log_that_is_one_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    bars = tmp_path / "log.txt"
    bars.write_text("".join(f"\r{number:5d} %" for number in range(30_000)))
    assert log_file.last_page(bars, 5, 80).rows[-1] == "29999 %"
    page = log_file.page_at(bars, 0, 5, 80)
    assert page.rows[-1] == "29999 %"


def test_a_sparkline_keeps_its_bars_when_a_number_is_added() -> None:
    series = [(float(second), 1.0 + second % 3) for second in range(25)]
    before, after = sparkline(series, 30), sparkline([*series, (25.0, 3.0)], 30)
    assert after == before + "█"
    assert len(sparkline([(float(second), 1.0) for second in range(10_000)], 30)) <= 30
    assert sparkline([], 30) == sparkline(series, 0) == ""


def test_texts_take_the_columns_that_a_terminal_gives_them() -> None:
    assert [text for text, _ in text_cells("a迷e\u0301")] == ["a", "迷", "", "e\u0301"]
    assert [text for text, _ in text_cells("a\x1b[2Jb\u200bc")] == list("a[2Jbc")
    assert rows_of("迷宮abc", 3) == ["迷", "宮a", "bc"]
    assert rows_of("", 3) == [""]
    assert list(wrapped("one two three", 8)) == ["one two", "three"]
    assert list(wrapped("/a/path/without/blanks", 10)) == ["/a/path/wi", "thout/blan", "ks"]
