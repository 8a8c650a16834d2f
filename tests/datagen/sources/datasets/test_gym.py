"""reasoning-gym as an offline source, and how its verifiers are used; the first import of the package is slow."""

from pathlib import Path

import pytest

from capcurriculum import answers
from capcurriculum.errors import SourceError
from capcurriculum.rows import Outcome, Stage
from tests.support import source_data as data
from tests.support.installed import needs

needs("reasoning_gym", extra="gym")
pytestmark = pytest.mark.timeout(240)


def read(tmp_path: Path, **keys: object) -> list[data.Row]:
    return data.read(data.section("reasoning_gym", **keys), tmp_path / "run", Stage.TEXT)


def test_problems_are_graded_made_again_the_same_and_differ_by_seed(tmp_path: Path) -> None:
    tasks = {"gcd": {"items": 6}, "letter_counting": {"items": 4}, "syllogism": {"items": 3}}
    rows = read(tmp_path, tasks=tasks, seed=5)
    questions = data.questions(rows)
    assert {q.skill for q in questions} == set(tasks)
    assert {(q.source, q.license) for q in questions} == {("reasoning-gym", "apache-2.0")}
    for question in questions:
        reply = rf"<think> Well. </think> \boxed{{{question.answer}}}"
        assert answers.grade(reply, question.answer).outcome is Outcome.RIGHT
    assert read(tmp_path, tasks=tasks, seed=5) == rows
    assert data.questions(read(tmp_path, tasks=tasks, seed=6)) != questions


def test_a_task_whose_verifier_may_accept_other_answers_is_refused_unless_the_recipe_vouches(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'chain_sum' may accept answers other than the gold .* single: true"):
        read(tmp_path, tasks={"chain_sum": {"items": 2}})
    assert len(data.questions(read(tmp_path, tasks={"chain_sum": {"items": 2, "single": True}}))) == 2


@pytest.mark.parametrize("tasks", [{"no_such_task": {}}, {"gcd": {"config": {"no_such_key": 1}}}])
def test_an_unknown_task_or_key_is_one_sentence(tmp_path: Path, tasks: dict[str, object]) -> None:
    with pytest.raises(SourceError, match=r"cannot make the task .* check tasks in the recipe"):
        read(tmp_path, tasks=tasks)
