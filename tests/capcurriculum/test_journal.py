"""Journals: what a killed process noted is taken over once, by whom it concerns."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from capcurriculum import run
from capcurriculum.journal import Journal, left, take_over
from capcurriculum.ledger.cost import spends
from capcurriculum.ledger.verify import verify
from capcurriculum.locks import Share
from capcurriculum.rows import Answer, Attempt
from capcurriculum.run import Run
from capcurriculum.tables import Table
from tests.support import worlds


def answer(number: int, text: str = "said \u2028 so", rollout: int = 0) -> Answer:
    return Answer(f"k{number}", f"q{number}", "one", "probe", "image", rollout, text, "A", "right", "stop", 3, 2, "p")


def attempt(caption: str, number: int, text: str) -> Attempt:
    return Attempt(f"k{number}", caption, number, "colour", text, "refused", "stop", 1, 1, "m", "p")


def noted(table: Table[Answer], *rows: Answer) -> Path:
    """The journal of a process that was killed after noting these."""
    journal = Journal(table)
    journal.note(rows)
    assert journal.path
    return journal.path


@pytest.fixture
def table(tmp_path: Path) -> Table[Answer]:
    return Table(tmp_path / "answers", Answer)


def test_what_was_noted_becomes_a_shard_and_a_torn_line_nothing(table: Table[Answer]) -> None:
    path = noted(table, answer(0), answer(1))
    with path.open("a") as torn:
        torn.write('{"request_key": "k2", "quest')
    assert table.count() == 0
    assert take_over(table) == 2
    assert list(table.rows()) == [answer(0), answer(1)]
    assert not path.exists()
    assert take_over(table) == 0


def test_rows_that_were_published_just_before_the_kill_are_not_added_again(table: Table[Answer]) -> None:
    half_a_character = answer(3, "\ud83d")
    table.append([answer(0), half_a_character])
    noted(table, answer(0), half_a_character, answer(1))
    assert take_over(table) == 1
    assert [row.question_id for row in table.rows()] == ["q0", "q3", "q1"]


def test_a_reply_that_was_asked_for_again_elsewhere_replaces_all_that_is_about_the_same(tmp_path: Path) -> None:
    table = Table(tmp_path, Attempt)
    first = Journal(replace(table, writer="ray-a"))
    first.note([attempt("c", 1, "old"), attempt("c", 2, "after the old"), attempt("d", 1, "fine")])
    second = Journal(replace(table, writer="ray-b"))
    second.note([attempt("d", 1, "too late"), attempt("e", 1, "fine")])
    table.append([attempt("c", 1, "new")])
    assert take_over(table, everyone=True) == 2
    assert [(row.caption_id, row.text) for row in table.rows()] == [("c", "new"), ("d", "fine"), ("e", "fine")]


def test_a_journal_is_empty_once_its_rows_are_a_shard_and_gone_at_its_end(table: Table[Answer]) -> None:
    journal = Journal(table)
    journal.close()
    journal = Journal(table)
    journal.note([answer(0)])
    journal.shelve([answer(0)])
    assert journal.path
    assert journal.path.read_bytes() == b""
    journal.note([answer(1)])
    assert journal.path.read_bytes().count(b"\n") == 1
    journal.shelve([answer(1), answer(2)])
    journal.close()
    assert left(table) == []
    assert table.count() == 3


def test_what_could_not_be_made_a_shard_stays(table: Table[Answer]) -> None:
    journal = Journal(table)
    journal.note([answer(0)])
    journal.close()
    assert take_over(table) == 1


def test_threads_append_to_one_table_side_by_side(table: Table[Answer]) -> None:
    def work(rollout: int) -> None:
        journal = Journal(table)
        for number in range(10):
            journal.note([answer(number, rollout=rollout)])
            journal.shelve([answer(number, rollout=rollout)])
        journal.note([answer(10, rollout=rollout)])

    threads = [threading.Thread(target=work, args=[rollout]) for rollout in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table.shards()) == 40
    assert len(left(table)) == 4
    assert take_over(table) == 4
    assert {(row.question_id, row.rollout) for row in table.rows()} == {
        (f"q{n}", k) for n in range(11) for k in range(4)
    }
    assert table.count() == 44


def test_a_share_takes_over_its_own_and_a_build_alone_everything(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    place = wanted.run_dir
    for number, writer in enumerate(("1-of-2", "1-of-20", "ray-0123", "")):
        noted(Run(place, writer=writer).answers, answer(number))
    with run.writing(wanted, Share(1, 2)) as opened:
        assert [row.question_id for row in opened.answers.rows()] == ["q0"]
        assert opened.answers.shards()[0].name == "part-000000-1-of-2.parquet"
    with run.writing(wanted) as opened:
        assert sorted(row.question_id for row in opened.answers.rows()) == ["q0", "q1", "q2", "q3"]
        assert left(opened.answers, everyone=True) == []


def test_a_run_with_replies_in_a_journal_alone_refuses_another_recipe_and_can_be_read(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with run.writing(wanted) as opened:
        noted(opened.answers, answer(0))
    assert verify(opened)[1] == []
    assert spends(opened) == []
    assert opened.asked
    with pytest.raises(run.RecipeError, match="seed"), run.writing(wanted.model_copy(update={"seed": 5})):
        pass
