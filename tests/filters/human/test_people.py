"""People's answers as verdicts: how they are adjudicated, and that keys, grades and files follow."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.ledger import funnel
from capcurriculum.ledger.corrections import corrections
from capcurriculum.ledger.why import life
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS, Question
from capcurriculum.run import Run, writing
from cards.report.fates import Snapshot, chosen, fates
from cards.report.records import records
from curricula import make
from curricula.held_out import held_out
from curricula.make import STAGES, outdated, write_orders
from datagen.auditor import Opinion
from filters import pipeline
from filters.audit import noise
from filters.human import people
from filters.human.adjudicate import adjudicate
from filters.human.latest import latest
from tests.support.reviewing import copied, review, say
from training.reward import compute_score

ASKED = Question("q", "perception", "P?", "B", ("w", "x", "y", "z"), "count", "i", "p.png", "cap", "c", "s", "l")
FREE = Question("f", "text", "What is 1/2 + 1/2?", "2", (), "sum", "", "", "", "", "s", "l")
YES, NO, CANNOT = "yes", "no", "cannot_tell"


@pytest.mark.parametrize(
    ("said", "section", "reason", "detail", "keep"),
    [
        ([(YES, "")], {}, "kept", "", True),
        ([(NO, "C")], {}, "key_corrected", "C", True),
        ([(NO, "none")], {}, "no_option_right", "", False),
        ([(NO, "")], {}, "people_find_key_wrong", "", False),
        ([(NO, "B")], {}, "people_find_key_wrong", "", False),  # the marked letter contradicts the no
        ([(YES, ""), (YES, ""), (NO, "C")], {}, "kept", "", True),
        ([(YES, ""), (NO, "C")], {}, "needs_another_look", "2 of 2 could tell, and do not agree", True),
        ([(YES, ""), (NO, "C")], {"unsure": "drop"}, "needs_another_look",
         "2 of 2 could tell, and do not agree", False),
        ([(NO, "A"), (NO, "C"), (YES, "")], {}, "people_find_key_wrong", "A, C", False),
        ([(NO, "C"), (NO, "C"), (YES, "")], {}, "key_corrected", "C", True),
        ([(NO, "C"), (NO, "C"), (YES, "")], {"rule": "unanimous"}, "needs_another_look",
         "3 of 3 could tell, and do not agree", True),
        ([(NO, "C"), (NO, "C"), (CANNOT, "")], {"rule": "unanimous"}, "key_corrected", "C", True),
        ([(CANNOT, ""), (CANNOT, "")], {}, "needs_another_look", "0 of 2 could tell", True),
        ([(YES, ""), (CANNOT, "")], {"least": 2}, "needs_another_look", "1 of 2 could tell", True),
        ([(YES, ""), (YES, ""), (NO, "D")], {"rule": "weighted", "weights": {"2": 3.0}}, "key_corrected", "D", True),
        ([(YES, ""), (YES, ""), (NO, "D")], {"rule": "weighted", "weights": {"2": 3.0}, "agree": 0.6},
         "needs_another_look", "3 of 3 could tell, and do not agree", True),
    ],
)  # fmt: skip
def test_people_decide_by_the_rule(
    said: list[tuple[str, str]], section: dict[str, Any], reason: str, detail: str, keep: bool
) -> None:
    reviews = [review(ASKED, right, choice, str(who)) for who, (right, choice) in enumerate(said)]
    verdict = adjudicate(ASKED, reviews, ReviewSection(**section)).verdict
    assert (verdict.reason, verdict.detail, verdict.keep) == (reason, detail, keep)
    assert verdict.evidence == tuple(sorted(r.review_id for r in reviews))
    again = adjudicate(ASKED, reviews[::-1], ReviewSection(**section)).verdict
    assert again == verdict


def test_a_low_mean_quality_drops_what_is_otherwise_right() -> None:
    reviews = [review(ASKED, YES, who=str(n), quality=n) for n in (1, 2)]
    decision = adjudicate(ASKED, reviews, ReviewSection(least_quality=2))
    assert (decision.verdict.reason, decision.verdict.keep, decision.opinion) == ("quality_too_low", False, "agree")
    assert adjudicate(ASKED, reviews, ReviewSection(least_quality=1.5)).verdict.reason == "kept"


@pytest.mark.parametrize(
    ("choices", "reason", "detail"),
    [
        (["1"], "key_corrected", "1"),
        (["1", " 1 ", "3"], "key_corrected", "1"),
        (["2"], "people_find_key_wrong", ""),  # the grader takes it for the marked answer
        (["one of them, I think"], "people_find_key_wrong", ""),  # nothing can be graded by it
        (["none"], "no_option_right", ""),
    ],
)
def test_a_free_answer_replaces_the_key_only_if_it_can_be_graded(choices: list[str], reason: str, detail: str) -> None:
    reviews = [review(FREE, NO, choice, str(who)) for who, choice in enumerate(choices)]
    verdict = adjudicate(FREE, reviews, ReviewSection()).verdict
    assert (verdict.reason, verdict.detail) == (reason, detail)


def test_weights_without_the_rule_that_uses_them_are_refused() -> None:
    with pytest.raises(RecipeError, match="rule: weighted"):
        recipe.parse(
            {"name": "r", "models": {"m": {"engine": "transformers", "model": "micro:start"}},
             "text": {"source": {"kind": "scenes", "items": 1}}, "rollouts": {"model": "m"},
             "review": {"weights": {"a": 2}}}, "test")  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = review_world.made(tmp_path_factory.mktemp("original"), 40)
    with writing(made.recipe) as run:
        write_orders(run, made.recipe, [STAGES], Display())
    return made


@pytest.fixture
def world(original: World, tmp_path: Path) -> World:
    return copied(original, tmp_path)


def stage_rows(run: Run) -> dict[str, dict[str, Any]]:
    files = sorted((run.stages / "perception").glob("*.parquet"))
    return {row["question_id"]: row for path in files for row in pq.read_table(path).to_pylist()}


def rebuilt(world: World, changed: Recipe | None = None) -> dict[str, dict[str, Any]]:
    make.curriculum(changed or world.recipe, STAGES, Display())
    return stage_rows(world.run)


def bytes_of(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.stages.rglob("*.parquet")}


def kept_by(run: Run) -> list[Question]:
    ids = set(stage_rows(run))
    return [q for q in run.questions.rows() if q.question_id in ids]


def other(question: Question, but: str = "") -> str:
    return next(letter for letter in LETTERS if letter not in (question.answer, but))


def test_a_corrected_key_changes_everything_that_follows_from_it(world: World) -> None:
    asked = len(kept_by(world.run))
    question = next(q for q in kept_by(world.run) if q.answer != world.truth[q.question_id])
    new = world.truth[question.question_id]
    before = stage_rows(world.run)[question.question_id]
    answers, questions = world.run.answers.count(), world.run.questions.count()
    say(world, [review(question, NO, new)])
    # Both solvers had to be wrong under the old key. Under the new one the rule must hold too, or the row goes.
    wanted = world.recipe.model_copy(
        update={"filters": tuple(f for f in world.recipe.filters if f.name != "perception")}
    )
    row = rebuilt(world, wanted)[question.question_id]
    replies = [a for a in world.run.answers.rows() if a.question_id == question.question_id and a.purpose == "rollout"]
    right = [a.answer == new for a in sorted(replies, key=lambda a: a.rollout)]
    assert row["answer"] == row["reward_model"]["ground_truth"] == new != before["answer"]
    assert row["correctness"] == right
    assert (row["pass_k"], row["pass_n"], row["pass_rate"]) == (sum(right), 4, sum(right) / 4)
    assert row["predictions"] == before["predictions"]
    for letter in LETTERS:
        scored = compute_score("x", f"\\boxed{{{letter}}}", row["reward_model"]["ground_truth"], row["extra_info"])
        assert scored["accuracy"] == (letter == new)
    for split in ("train", "val", "test"):
        rates = [r["pass_rate"] for p in sorted((world.run.stages / "perception").glob(f"{split}-*"))
                 for r in pq.read_table(p).to_pylist()]  # fmt: skip
        assert rates == sorted(rates, reverse=True)
    assert (world.run.answers.count(), world.run.questions.count()) == (answers, questions)
    held = {q.question_id: q.answer for qs in held_out(world.run, wanted).values() for q in qs}
    assert held.get(question.question_id, new) == new
    assert asked <= len(stage_rows(world.run))


def test_filters_judge_again_under_the_corrected_key(world: World) -> None:
    seen = {a.question_id: a.answer for a in world.run.answers.rows() if (a.purpose, a.arm) == ("probe", "image")}
    question = next(q for q in kept_by(world.run) if seen[q.question_id] != q.answer)
    say(world, [review(question, NO, seen[question.question_id])])
    rows = rebuilt(world)
    # The solver had named what people find right, so the question is not one that is hard to see.
    assert question.question_id not in rows
    last = [v for v in world.run.verdicts.rows() if v.question_id == question.question_id and v.filter == "perception"]
    assert [v.reason for v in last] == ["kept", "right_from_image"]
    told = "\n".join(life(world.run, question.question_id))
    assert "review by a, 2026-01-01T00:00:00.000+00:00: key right? no" in told
    assert "verdict human: keep, key_corrected" in told


def test_what_is_taken_back_leaves_the_files_as_they_were(world: World) -> None:
    before, verdicts = bytes_of(world.run), world.run.verdicts.count()
    one, two, three = kept_by(world.run)[:3]
    said = [review(one, NO, other(one)), review(two, NO, "none"), review(three, YES)]
    say(world, said)
    assert one.question_id not in rebuilt(world) or bytes_of(world.run) != before
    assert two.question_id not in stage_rows(world.run)
    assert bytes_of(world.run) != before
    say(world, [review(q, right, choice, at=1, state="withdrawn") for q, right, choice in
                    ((one, NO, other(one)), (two, NO, "none"))])  # fmt: skip
    rebuilt(world)
    assert bytes_of(world.run) == before
    human = [v for v in world.run.verdicts.rows() if v.filter == "human"]
    assert [v.reason for v in human[-2:]] == ["review_withdrawn"] * 2
    count = world.run.verdicts.count()
    assert count > verdicts
    rebuilt(world)
    assert world.run.verdicts.count() == count  # nothing is judged twice


def test_another_rule_judges_the_same_reviews_anew_and_back_again(world: World) -> None:
    question = kept_by(world.run)[0]
    new = other(question)
    say(world, [review(question, NO, new, "a"), review(question, NO, new, "b"), review(question, YES, "", "c")])
    lenient, strict = world.recipe, world.recipe.model_copy(update={"review": ReviewSection(rule="unanimous")})
    without = [f for f in world.recipe.filters if f.name != "perception"]
    lenient, strict = (r.model_copy(update={"filters": tuple(without)}) for r in (lenient, strict))
    for wanted, answer in ((lenient, new), (strict, question.answer), (lenient, new)):
        assert rebuilt(world, wanted)[question.question_id]["answer"] == answer
        assert bool(corrections(world.run, wanted)) == (answer == new)
        assert outdated(world.run, wanted) == []


def test_an_answer_to_another_version_of_the_question_does_not_count(world: World) -> None:
    question = kept_by(world.run)[0]
    say(world, [review(question, NO, "none", version="older")])
    assert question.question_id in rebuilt(world)
    assert latest(world.run).older == 1


def test_the_last_word_of_a_person_counts_whenever_it_arrives(world: World) -> None:
    question = kept_by(world.run)[0]
    say(world, [review(question, YES, at=5)])
    say(world, [review(question, NO, "none", at=2)])  # an older file, read later
    assert latest(world.run).reviews[question.question_id][0].right == YES


def test_the_report_shows_the_key_that_holds_and_what_replies_are_worth_under_it(world: World) -> None:
    question = kept_by(world.run)[0]
    new = other(question)
    say(world, [review(question, NO, new)])
    wanted = world.recipe.model_copy(
        update={"filters": tuple(f for f in world.recipe.filters if f.name != "perception")}
    )
    row = rebuilt(world, wanted)[question.question_id]
    snapshot = Snapshot.of(world.run)
    shown = chosen(fates(snapshot), 1000, wanted.taught)
    found = {r.index["id"]: r for r in records(snapshot, shown.rows)}
    record = found.pop(question.question_id)
    assert (record.detail["key"], record.detail["written"], record.index["key"]) == (new, question.answer, new)
    rollouts = [answer for answer in record.detail["answers"] if answer[0] == "rollout"]
    assert [answer[5] == "right" for answer in rollouts] == row["correctness"]
    assert (record.index["k"], record.index["n"]) == (sum(row["correctness"]), len(row["correctness"]))
    assert {other.detail["written"] for other in found.values()} == {""}


def test_orders_that_no_longer_fit_are_named(world: World) -> None:
    assert outdated(world.run, world.recipe) == []
    say(world, [review(kept_by(world.run)[0], NO, "none")])
    with writing(world.recipe) as run:
        pipeline.judge_again(run, world.recipe)
    assert outdated(world.run, world.recipe) == [""]


def test_people_come_last_in_the_funnel_and_change_no_audit_sample(world: World) -> None:
    before = noise.draw(world.run, world.recipe, 20)
    one, two = kept_by(world.run)[:2]
    say(world, [review(one, NO, "none"), review(two, CANNOT)])
    rebuilt(world)
    lines = [line for line in funnel.lines(world.run) if line.stage == "perception"]
    assert lines[-1].filter == "human"
    assert lines[-1].met == lines[-2].kept
    assert (lines[-1].kept, lines[-1].dropped) == (lines[-1].met - 1, {"no_option_right": 1})
    assert lines[-1].unreviewed == lines[-1].met - 2
    assert lines[-1].labelled == {"needs_another_look": 1}
    assert noise.draw(world.run, world.recipe, 20) == before


def test_the_ledger_knows_reviews(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    say(world, [review(kept_by(world.run)[0], YES)])
    assert cli.main(["query", str(world.run.path), "select count(*) as many from reviews", "--csv"]) == 0
    assert capsys.readouterr().out.split() == ["many", "1"]
    assert cli.main(["status", str(world.run.path)]) == 0
    assert "reviews" in capsys.readouterr().out


def test_a_share_of_a_build_leaves_verdicts_to_the_whole(world: World) -> None:
    say(world, [review(kept_by(world.run)[0], NO, "none")])
    with writing(world.recipe) as run:
        before = run.verdicts.count()
        people.settle(run, world.recipe, pl.LazyFrame({"question_id": ["x"]}))
        assert run.verdicts.count() == before
        for _ in range(2):  # the second call adds nothing
            people.settle(run, world.recipe)
            assert run.verdicts.count() == before + 1


def test_opinions_follow_the_decision() -> None:
    pairs = [(YES, "", Opinion.AGREE), (NO, "C", Opinion.DISAGREE), (NO, "none", Opinion.DISAGREE),
             (CANNOT, "", Opinion.UNSURE)]  # fmt: skip
    for right, choice, opinion in pairs:
        assert adjudicate(ASKED, [review(ASKED, right, choice)], ReviewSection()).opinion is opinion
    assert json.dumps(ReviewSection().params())
