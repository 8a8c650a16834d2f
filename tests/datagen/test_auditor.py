"""The auditor: what it is asked, how its votes are read, and what a build makes of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.ledger.forecast import forecast
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.locks import Share
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Arm, Outcome, Question, Response, Verdict
from capcurriculum.run import Run
from curricula.build import build
from datagen import auditor as auditing
from datagen import expected
from datagen.auditor import Opinion
from filters.rules.agreed_other import AgreedOtherSection
from filters.rules.auditor import AuditorSection
from filters.rules.panel import Panel
from tests.support import endpoint, worlds

QUESTION = Question(
    "q", "perception", "P?", "B", ("w", "x", "y", "z"), "count", "i", "p.png", "the caption", "cid", "s", "l", "What?"
)
LABELLED = {"name": "perception", "action": "label"}
AUDIT = {"name": "auditor", "models": "judge", "votes": 3}


class Judging(endpoint.Endpoint):
    """A teacher that marks a wrong option now and then, and an auditor that knows, but from captions alone."""

    def reply(self, body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else asked[-1]["text"]
        if not text.startswith("Check the marked answer"):
            return super().reply(body)
        options = dict(re.findall(r"^([A-D]): (.*)$", text, re.MULTILINE))
        marked = options[re.findall(r"^Marked answer: ([A-D])$", text, re.MULTILINE)[0]]
        doubts = "cannot see the image" in text and endpoint.unit("doubt", marked) < 0.4
        verdict = "agree" if marked.startswith("right") and not doubts else "disagree"
        return json.dumps({"seen": "It is there.", "verdict": verdict})

    def _question(self, text: str) -> str:
        written = super()._question(text)
        return written.replace('"answer": "A"', '"answer": "B"') if endpoint.unit("key", written) < 0.3 else written


@dataclass
class World:
    """An endpoint and the sources beside it."""

    folder: Path
    server: endpoint.Endpoint

    def recipe(self, filters: list[Any], judge: dict[str, Any] | None = None, **changes: Any) -> Recipe:
        model = {"engine": "openai", "base_urls": [self.server.url]}
        models = {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")}
        models["judge"] = model | {"model": "judge"} | (judge or {})
        perception = {
            "source": {"kind": "docci", "path": str(self.folder / "docci")},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"], "arms": ["image", "caption"]},
        }
        few: dict[str, Any] = {"perception": perception, "text": None, "rollouts": {"model": "policy", "k": 1}}
        return worlds.recipe_over(self.folder, self.server.url, models=models, filters=filters, **few | changes)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("audited")
    worlds.docci(folder / "docci", 12)
    with endpoint.serving(Judging()) as server:
        yield World(folder, server)


def verdicts(run: Run, name: str = "auditor") -> dict[str, Verdict]:
    return {v.question_id: v for v in run.verdicts.rows() if v.filter == name}


def marked_wrong(run: Run) -> set[str]:
    asked = [q for q in run.questions.rows() if q.stage == "perception"]
    return {q.question_id for q in asked if not q.options["ABCD".index(q.answer)].startswith("right")}


def test_wrong_keys_are_dropped_and_nothing_is_asked_twice(world: World, tmp_path: Path) -> None:
    wanted = world.recipe([LABELLED, AUDIT, "rollouts"], runs=str(tmp_path))
    run = build(wanted, Display())
    found, wrong = verdicts(run), marked_wrong(run)
    assert len(found) == 12
    assert 0 < len(wrong) < 12
    assert {key for key, verdict in found.items() if not verdict.keep} == wrong
    assert {found[key].reason for key in wrong} == {"auditor_disagrees"}
    assert {found[key].detail for key in wrong} == {"disagree 3 of 3"}
    votes = run.answers.where(pl.col("purpose") == "audit")
    assert len(votes) == 36
    assert {vote.arm for vote in votes} == {"both"}
    assert {vote.order for vote in votes} == {0, 1, 2}
    assert not wrong & {a.question_id for a in run.answers.rows() if a.purpose == "rollout"}
    asked, judged = len(world.server.requests), run.verdicts.count()
    build(wanted, Display())
    assert (len(world.server.requests), run.verdicts.count()) == (asked, judged)


def test_another_rule_judges_again_and_another_auditor_asks_again_in_the_same_run(world: World, tmp_path: Path) -> None:
    first = world.recipe([LABELLED, AUDIT, "rollouts"], runs=str(tmp_path))
    run = build(first, Display())
    asked = len(world.server.requests)
    fewer = [LABELLED, AUDIT | {"votes": 1, "agree_at_least": 1.0}, "rollouts"]
    build(world.recipe(fewer, runs=str(tmp_path)), Display())
    assert len(world.server.requests) == asked
    assert {v.detail for v in verdicts(run).values()} == {"agree 1 of 1", "disagree 1 of 1"}
    other = world.recipe([LABELLED, AUDIT, "rollouts"], {"model": "another"}, runs=str(tmp_path))
    build(other, Display())
    new = world.server.requests[asked:]
    assert {body["model"] for body in new} == {"another"}
    assert len(new) == 36
    judged = run.verdicts.count()
    build(other, Display())
    assert (len(world.server.requests), run.verdicts.count()) == (asked + 36, judged)
    assert recipe.differences(first, world.recipe(["perception", "rollouts"], {"model": "third"})) == []


def test_only_what_the_probe_lets_through_is_asked_about_unless_all_is_wanted(world: World, tmp_path: Path) -> None:
    kept = world.recipe(["perception", AUDIT, "rollouts"], runs=str(tmp_path))
    run = build(kept, Display())
    passed = {key for key, verdict in verdicts(run, "perception").items() if verdict.keep}
    audited = {a.question_id for a in run.answers.rows() if a.purpose == "audit"}
    assert audited == passed
    assert 0 < len(passed) < 12
    reasons = {key: verdict.reason for key, verdict in verdicts(run).items()}
    assert {key for key, reason in reasons.items() if reason == "not_asked"} == reasons.keys() - passed
    build(world.recipe(["perception", AUDIT | {"questions": "probed"}, "rollouts"], runs=str(tmp_path)), Display())
    assert {a.question_id for a in run.answers.rows() if a.purpose == "audit"} == reasons.keys()
    assert "not_asked" not in {verdict.reason for verdict in verdicts(run).values()}


def test_shares_audit_their_own_and_the_whole_finds_nothing_left(world: World, tmp_path: Path) -> None:
    wanted = world.recipe([LABELLED, AUDIT, "rollouts"], runs=str(tmp_path))
    for number in (0, 1):
        build(wanted, Display(), Share(number, 2))
    asked = len(world.server.requests)
    run = build(wanted, Display())
    assert len(world.server.requests) == asked
    votes = run.answers.where(pl.col("purpose") == "audit")
    assert len({(v.question_id, v.rollout) for v in votes}) == len(votes) == 36


def test_an_auditor_that_answers_is_a_solver_whose_choice_is_compared(world: World, tmp_path: Path) -> None:
    audit = {"name": "auditor", "models": ["judge", "two"], "mode": "answer", "sees": "caption", "votes": 2}
    run = build(world.recipe([LABELLED, audit, "rollouts"], runs=str(tmp_path)), Display())
    assert {key for key, verdict in verdicts(run).items() if not verdict.keep} == marked_wrong(run)
    votes = run.answers.where(pl.col("purpose") == "audit")
    assert {vote.solver.split("/")[0] for vote in votes} == {"judge", "two"}
    assert {vote.arm for vote in votes} == {"caption"}
    assert len(votes) == 12 * 2 * 2


def test_two_auditors_each_have_their_line_and_a_row_needs_both(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = {"name": "auditor/captions", "models": "judge", "sees": "caption", "votes": 1}
    alone, both = ([LABELLED, *audits, "rollouts"] for audits in ([AUDIT], [AUDIT, second]))
    first = world.recipe(alone, runs=str(tmp_path))
    build(first, Display())
    asked = len(world.server.requests)
    wanted = world.recipe(both, runs=str(tmp_path))
    assert recipe.parse(yaml.safe_load(recipe.dump(wanted)), "again") == wanted
    assert recipe.differences(first, wanted) == []
    run = build(wanted, Display())
    assert len(world.server.requests) - asked == 12
    images, captions = verdicts(run), verdicts(run, "auditor/captions")
    assert {verdict.detail for verdict in captions.values()} == {"agree 1 of 1", "disagree 1 of 1"}
    dropped = {key for found in (images, captions) for key, verdict in found.items() if not verdict.keep}
    assert dropped > {key for key, verdict in images.items() if not verdict.keep}
    assert set(kept_ids(run, wanted).collect()["question_id"]) == images.keys() - dropped
    judged = run.verdicts.count()
    build(wanted, Display())
    assert (len(world.server.requests), run.verdicts.count()) == (asked + 12, judged)
    assert [step.requests for step in forecast(wanted, run, expected.rows(wanted, run)) if step.step == "audit"]
    for verb in (["funnel", str(run.path), "--overlap"], ["why", str(run.path), next(iter(captions)), "--prompts"]):
        assert cli.main(verb) == 0
        assert "auditor/captions" in capsys.readouterr().out


def test_a_plan_counts_the_auditors_requests(world: World, tmp_path: Path) -> None:
    source = {"kind": "docci", "path": str(world.folder / "docci"), "limit": 12}
    perception = {"source": source, "teacher": {"model": "teacher"}, "probe": {"solvers": ["one", "two"]}}
    wanted = world.recipe([AUDIT, "rollouts"], runs=str(tmp_path), perception=perception)
    plan = {step.step: step for step in forecast(wanted, None, expected.rows(wanted, None))}
    assert (plan["audit"].model, plan["audit"].requests, plan["audit"].estimate) == ("judge", 36, True)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"models": "nobody"}, "names 'nobody', and models has no such entry"),
        ({"models": "one", "votes": 5}, "more than 4 votes need a sampling.temperature"),
        ({"models": ["one", "one"]}, "names one of them twice"),
        ({"models": "one", "stages": ["text"]}, "made from captions"),
        ({"models": []}, "at least one value"),
        ({"models": "one", "rule": "kind"}, "rule: there is no such key"),
        ({"models": "one", "name": "auditor/b", "rule": "kind"}, r"filters\[0\].rule: there is no such key"),
        ({"models": "one", "name": "auditor/A B"}, "must be auditor, or auditor/ and at most 40 small letters"),
    ],
)
def test_a_section_that_cannot_be_is_refused(tmp_path: Path, section: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", filters=[{"name": "auditor"} | section, "rollouts"])


def response(text: str, finish: str = "stop", error: str = "") -> Response:
    return Response("key", text, finish, error=error)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (response('{"seen": "red", "verdict": "agree"}'), (Outcome.RIGHT, "agree")),
        (response('```json\n{"seen": "red", "verdict": "disagree"}\n```'), (Outcome.WRONG, "disagree")),
        (response('{"seen": "", "verdict": "unsure"}'), (Outcome.UNPARSED, "unsure")),
        (response('{"verdict": "agree"}'), (Outcome.UNPARSED, "")),
        (response('{"seen": "red", "verdict": "Agree"}'), (Outcome.RIGHT, "agree")),
        (response('{"seen": "red", "verdict": "agree", "score": 1}'), (Outcome.RIGHT, "agree")),
        (response('<think>I disagree.</think> So: {"seen": "red", "verdict": "agree"}'), (Outcome.RIGHT, "agree")),
        (response('{"seen": "red", "verdict": "agree"} {"seen": "red", "verdict": "unsure"}'), (Outcome.UNPARSED, "")),
        (response('{"seen": "red", "verdict": "maybe"}'), (Outcome.UNPARSED, "")),
        (response("", "stop", "it only thought"), (Outcome.UNPARSED, "")),
        (response("agree"), (Outcome.UNPARSED, "")),
        (response('{"seen": "red", "verdict": "agree"}', "length"), (Outcome.UNPARSED, "")),
        (response("", "error", "gone"), (Outcome.FAILED, "")),
    ],
)
def test_a_judgement_is_the_one_object_asked_for(reply: Response, expected: tuple[Outcome, str]) -> None:
    outcome, answer, detail = auditing.parse(reply)
    assert (outcome, answer) == expected
    assert answer or detail


def test_an_auditor_reads_the_marked_answer_under_its_rotated_letter_and_only_what_it_sees() -> None:
    both, image, caption = (
        auditing.messages(auditing.Asked(QUESTION, arm, 1, order=1)) for arm in (Arm.BOTH, Arm.IMAGE, Arm.CAPTION)
    )
    for message in (both, image, caption):
        assert "A: x\nB: y\nC: z\nD: w\nMarked answer: A\n" in message.text
        assert "\nQuestion: What?\n" in message.text
    assert (both.images, image.images, caption.images) == (1, 1, 0)
    assert "the caption" in both.text
    assert "the caption" in caption.text
    assert "the caption" not in image.text
    assert "cannot see the image" in caption.text


def vote(said: str, number: int) -> Answer:
    outcome = {"agree": "right", "disagree": "wrong", "failed": "failed"}.get(said, "unparsed")
    answer = "unsure" if said == "unsure" else ""
    return Answer(f"k{number}", "q", "judge", "audit", "both", number, "", answer, outcome, "stop", 1, 1, "d")


@pytest.mark.parametrize(
    ("said", "share", "reason"),
    [
        ("aaa", 0.5, "kept"),
        ("aad", 0.5, "kept"),
        ("add", 0.5, "auditor_disagrees"),
        ("add", 0.3, "kept"),
        ("aad", 1.0, "auditor_disagrees"),
        ("ad", 0.5, "kept"),
        ("ad", 0.51, "auditor_disagrees"),
        ("u", 0.5, "auditor_unsure"),
        ("duu", 0.5, "auditor_unsure"),
        ("ddu", 0.5, "auditor_disagrees"),
        ("dxx", 0.5, "unknown_from_auditor"),
        ("ddf", 0.5, "auditor_disagrees"),
        ("fff", 0.5, "unknown_from_auditor"),
        ("", 0.5, "unknown_from_auditor"),
    ],
)
def test_votes_that_could_be_read_decide(said: str, share: float, reason: str) -> None:
    names = {"a": "agree", "d": "disagree", "u": "unsure", "f": "failed", "x": "garbled"}
    votes = [vote(names[letter], number) for number, letter in enumerate(said)]
    section = AuditorSection.model_validate({"models": "m", "votes": max(len(said), 1), "agree_at_least": share}
        | ({"sampling": {"temperature": 1}} if len(said) > 4 else {}))  # fmt: skip
    verdict = section.judge(QUESTION, votes)
    assert verdict.reason == reason
    assert verdict.keep == (reason != "auditor_disagrees")
    strict = section.model_copy(update={"unsure": "drop"}).judge(QUESTION, votes)
    assert (strict.reason, strict.keep) == (reason, reason == "kept")


@pytest.mark.parametrize(("said", "keep"), [("auuu", True), ("auuuu", False), ("auuux", True), ("aduuu", True)])
def test_too_many_votes_that_find_nothing_are_an_objection(said: str, keep: bool) -> None:
    names = {"a": "agree", "d": "disagree", "u": "unsure", "x": "garbled"}
    votes = [vote(names[letter], number) for number, letter in enumerate(said)]
    few = {"models": "m", "votes": len(said), "sampling": {"temperature": 1}, "agree_at_least": 0.1}
    assert AuditorSection.model_validate(few).judge(QUESTION, votes).keep
    section = AuditorSection.model_validate(few | {"unsure_at_most": 0.75})
    verdict = section.judge(QUESTION, votes)
    assert (verdict.keep, verdict.reason) == (keep, "kept" if keep else "auditor_disagrees")


@given(st.permutations("aadduufx"))
def test_the_order_of_votes_leaves_no_trace_and_unknown_ones_count_for_nothing(said: list[str]) -> None:
    names = {"a": "agree", "d": "disagree", "u": "unsure", "f": "failed", "x": "garbled"}
    votes = [vote(names[letter], number) for number, letter in enumerate(said)]
    assert sorted(map(auditing.opinion, votes)) == sorted(
        [Opinion.AGREE] * 2 + [Opinion.DISAGREE] * 2 + [Opinion.UNSURE] * 2 + [Opinion.UNKNOWN] * 2
    )
    section = AuditorSection.model_validate({"models": "m", "votes": 8, "sampling": {"temperature": 1}})
    assert section.judge(QUESTION, votes).reason == "auditor_unsure"


def seen(letters: str) -> list[Answer]:
    """Choices of solvers one and two from the image in two orders; `B` is marked, `?` unreadable, `-` missing."""
    cells = [(solver, order) for solver in ("one", "two") for order in (0, 1)]
    found = []
    for (solver, order), letter in zip(cells, letters, strict=True):
        outcome = {"B": "right", "?": "unparsed"}.get(letter, "wrong")
        key, answer = f"{solver}{order}", letter if letter in "ABCD" else ""
        if letter != "-":
            row = Answer(key, "q", solver, "probe", "image", 0, "", answer, outcome, "stop", 1, 1, "d", order=order)
            found.append(row)
    return found


@pytest.mark.parametrize(
    ("letters", "quorum", "reason"),
    [
        ("CCCC", "all", "solvers_agree_on_another"),
        ("CCDD", "all", "kept"),
        ("CCCD", "all", "kept"),
        ("CCCB", "all", "kept"),
        ("BBBB", "all", "kept"),
        ("CCC?", "all", "unknown_whether_solvers_agree"),
        ("CC--", "all", "unknown_whether_solvers_agree"),
        ("CD??", "all", "kept"),
        ("CCBB", "majority", "kept"),
    ],
)
def test_agreement_on_another_option_is_an_objection(letters: str, quorum: str, reason: str) -> None:
    section, panel = AgreedOtherSection.model_validate({"solvers": quorum}), Panel(("one", "two"), (0, 1))
    verdict = section.judge(QUESTION, seen(letters), panel)
    assert verdict.reason == reason
    assert verdict.keep == (reason != "solvers_agree_on_another")
    assert section.judge(QUESTION, seen(letters)[::-1], panel) == verdict


def test_two_of_three_are_a_majority_that_agrees() -> None:
    three = [
        Answer(s, "q", s, "probe", "image", 0, "", letter, "wrong", "stop", 1, 1, "d")
        for s, letter in (("one", "C"), ("two", "D"), ("three", "C"))
    ]
    panel = Panel(("one", "two", "three"))
    verdict = AgreedOtherSection(solvers="majority").judge(QUESTION, three, panel)
    assert (verdict.reason, verdict.detail) == ("solvers_agree_on_another", "C")
    assert AgreedOtherSection().judge(QUESTION, three, panel).keep


def test_one_solver_asked_once_cannot_agree_with_others(tmp_path: Path) -> None:
    probe = {"solvers": ["one"]}
    perception = {"source": {"kind": "docci", "path": "d"}, "teacher": {"model": "teacher"}, "probe": probe}
    with pytest.raises(RecipeError, match="agreed_other needs two solvers"):
        worlds.recipe_over(
            tmp_path, "http://127.0.0.1:1/v1", perception=perception, filters=["agreed_other", "rollouts"]
        )
