"""Auditors that describe: what is asked of whom, what a reading is worth, and what is never asked twice."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from capcurriculum import cli, prompts, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.ledger.forecast import forecast
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question
from capcurriculum.run import Run
from curricula.build import build
from datagen import expected
from datagen.auditor import Opinion, votes_in
from filters.rules.auditor import AuditorSection
from tests.support import endpoint, worlds

LABELLED = {"name": "perception", "action": "label"}
#: Two descriptions of each image by one model, each read in two orders.
AUDIT: dict[str, Any] = {
    "name": "auditor",
    "mode": "describe",
    "models": "eyes",
    "votes": 2,
    "sampling": {"temperature": 1.0},
    "reader": "reader",
    "unsure": "drop",
}


@dataclass
class Describing(endpoint.Endpoint):
    """Writes descriptions, and answers from them: some do not tell, and of some it only sees the letters."""

    def reply(self, body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else asked[-1]["text"]
        if text == prompts.describe():
            return f"A picture, {endpoint.unit(json.dumps(asked)):.6f}."
        if text.startswith("Answer from this image caption alone. Where it does not tell, or"):
            return self._read(text)
        return super().reply(body)

    def _read(self, text: str) -> str:
        options = dict(re.findall(r"^([A-E]): (.*)$", text, re.MULTILINE))
        assert options["E"] == prompts.NOT_TOLD
        right = next(letter for letter, option in options.items() if option.startswith("right"))
        kind = endpoint.unit("tells", re.findall(r"^What is at .*$", text, re.MULTILINE)[0])
        return f"\\boxed{{{right if kind < 0.6 else 'E' if kind < 0.8 else 'A'}}}"

    def _question(self, text: str) -> str:
        written = super()._question(text)
        return written.replace('"answer": "A"', '"answer": "B"') if endpoint.unit("key", written) < 0.3 else written


@dataclass
class World:
    """An endpoint and the sources beside it."""

    folder: Path
    server: endpoint.Endpoint

    def recipe(self, audit: dict[str, Any], runs: Path, questions: int = 1) -> Recipe:
        model = {"engine": "openai", "base_urls": [self.server.url], "tries": 1}
        names = ("teacher", "one", "two", "policy", "eyes", "reader", "other")
        perception = {
            "source": {"kind": "docci", "path": str(self.folder / "docci"), "limit": 12},
            "teacher": {"model": "teacher", "questions": questions},
            "probe": {"solvers": ["one", "two"], "arms": ["image", "caption"]},
        }
        return worlds.recipe_over(
            self.folder,
            self.server.url,
            models={name: model | {"model": name} for name in names},
            filters=[LABELLED, audit, "rollouts"],
            perception=perception,
            text=None,
            rollouts={"model": "policy", "k": 1},
            runs=str(runs),
        )

    def asked(self, model: str) -> int:
        """How many replies; several rollouts of one prompt are one request."""
        return sum(body.get("n") or 1 for body in self.server.requests if body["model"] == model)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("described")
    worlds.docci(folder / "docci", 12)
    with endpoint.serving(Describing()) as server:
        yield World(folder, server)


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build(world.recipe(AUDIT, tmp_path_factory.mktemp("runs")), Display())


def kinds(run: Run) -> dict[str, float]:
    return {q.question_id: endpoint.unit("tells", q.text) for q in run.questions.rows()}


def test_a_wrong_key_is_dropped_and_a_description_that_does_not_tell_is_no_vote(run: Run) -> None:
    verdicts = {v.question_id: v for v in run.verdicts.rows() if v.filter == "auditor"}
    seen: set[str] = set()
    for question in run.questions.rows():
        told = kinds(run)[question.question_id] < 0.6
        right = question.options["ABCD".index(question.answer)].startswith("right")
        reason = ("kept" if right else "auditor_disagrees") if told else "auditor_unsure"
        assert verdicts[question.question_id].reason == reason
        assert verdicts[question.question_id].keep == (reason == "kept")
        seen.add(reason)
    assert seen == {"kept", "auditor_disagrees", "auditor_unsure"}


def test_who_follows_the_letter_is_found_out_by_another_order(run: Run) -> None:
    readings = run.answers.where(pl.col("purpose") == "audit")
    assert {(r.arm, r.rollout, r.order) for r in readings} == {
        ("description", vote, order) for vote in (0, 1) for order in (0, 1)
    }
    found = kinds(run)
    followed = [r for r in readings if found[r.question_id] >= 0.8]
    assert {(r.order, r.answer) for r in followed} == {(0, "A"), (1, "B")}
    passed = [r for r in readings if 0.6 <= found[r.question_id] < 0.8]
    assert {(r.outcome, r.answer) for r in passed} == {("unparsed", "unsure")}
    assert {vote.opinion for vote in votes_in(r for r in readings if found[r.question_id] >= 0.6)} == {Opinion.UNSURE}


def test_the_describer_sees_nothing_but_the_image_and_the_reader_nothing_but_the_text(world: World, run: Run) -> None:
    eyes = [body for body in world.server.requests if body["model"] == "eyes"]
    assert all(len(body["messages"]) == 1 for body in eyes)
    assert {body["messages"][0]["content"][-1]["text"] for body in eyes} == {prompts.describe()}
    texts = {d.text for d in run.descriptions.rows()}
    assert (len(texts), run.descriptions.count()) == (12, 24)
    read = [body["messages"][-1]["content"] for body in world.server.requests if body["model"] == "reader"]
    assert all(isinstance(text, str) for text in read)
    assert {next(t for t in texts if t in text) for text in read} == texts
    assert not any("A plain picture" in text for text in read)


def test_nothing_is_asked_twice_and_another_reader_reads_what_is_there(world: World, run: Run) -> None:
    runs = run.path.parent  # both descriptions of an image are the same text here, and are read in one request
    before = (world.asked("eyes"), world.asked("reader"), run.verdicts.count())
    build(world.recipe(AUDIT, runs), Display())
    assert (world.asked("eyes"), world.asked("reader"), run.verdicts.count()) == before
    build(world.recipe(AUDIT | {"reader": {"model": "other", "orders": 1}}, runs), Display())
    assert (world.asked("eyes"), world.asked("reader"), world.asked("other")) == (before[0], before[1], 12)
    build(world.recipe(AUDIT | {"reader": {"model": "reader", "orders": 3}}, runs), Display())
    assert (world.asked("eyes"), world.asked("reader")) == (before[0], before[1] + 12)


def test_questions_about_one_image_share_its_descriptions(world: World, tmp_path: Path) -> None:
    before = world.asked("eyes")
    run = build(world.recipe(AUDIT, tmp_path, questions=2), Display())
    assert run.questions.count() == 24
    assert world.asked("eyes") - before == run.descriptions.count() == 24
    assert len(run.answers.where(pl.col("purpose") == "audit")) == 24 * 2 * 2


def test_where_there_is_no_description_nobody_reads_and_the_vote_is_unknown(tmp_path: Path) -> None:
    def refuse(handler: BaseHTTPRequestHandler) -> bool:
        body = handler.body  # type: ignore[attr-defined]
        refused = body["model"] == "eyes" and body["max_tokens"] > 1 and endpoint.unit(json.dumps(body)) < 0.5
        return refused and endpoint.status(400)(handler)

    worlds.docci(tmp_path / "docci", 12)
    with endpoint.serving(Describing(always=refuse)) as server:
        world = World(tmp_path, server)
        run = build(world.recipe(AUDIT | {"votes": 1}, tmp_path), Display())
        asked = len(server.requests)
        build(world.recipe(AUDIT | {"votes": 1}, tmp_path), Display())
        assert len(server.requests) == asked
    lost = {d.image_id for d in run.descriptions.rows() if not d.text}
    assert 0 < len(lost) < 12
    reasons = {v.question_id: v.reason for v in run.verdicts.rows() if v.filter == "auditor"}
    questions = {q.question_id: q.image_id for q in run.questions.rows()}
    assert {questions[key] for key, reason in reasons.items() if reason == "unknown_from_auditor"} == lost
    assert world.asked("reader") == 2 * (12 - len(lost))


def test_an_audit_of_a_sample_can_describe_too(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", str(run.path), "--model", "eyes", "--mode", "describe", "--reader", "reader", "--votes", "2"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "kept" in out
    assert cli.main(["audit", str(run.path), "--mode", "answer", "--sees", "image"]) == 0
    assert cli.main(["audit", str(run.path), "--reader", "nobody"]) == 2
    assert "The recipe has no model nobody" in capsys.readouterr().err


def test_why_tells_what_was_described(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["why", str(run.path), next(iter(run.questions.rows())).question_id]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^description 0 by eyes/[0-9a-f]{8}: A picture, ", out, re.MULTILINE)
    assert cli.main(["status", str(run.path)]) == 0
    assert re.search(r"describe +eyes/", capsys.readouterr().out)


def test_a_plan_counts_descriptions_and_readings(world: World, tmp_path: Path) -> None:
    wanted = world.recipe(AUDIT, tmp_path)
    plan = {(step.step, step.model): step for step in forecast(wanted, None, expected.rows(wanted, None))}
    assert plan["describe", "eyes"].requests == 12 * 2
    assert plan["audit", "reader"].requests == 12 * 2 * 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reader": None}, "reader goes with mode: describe, and that mode needs it"),
        ({"mode": "answer", "sees": "image"}, "reader goes with mode: describe"),
        ({"mode": "judge", "reader": None, "instruction": "Look."}, "instruction goes with mode: describe"),
        ({"sees": "image"}, "sees has no meaning with mode: describe"),
        ({"sampling": {}}, "several descriptions need a sampling.temperature above 0"),
        ({"mode": "judge", "reader": None, "ahead_at_most": 0.5}, "a judge names none"),
        ({"reader": "nobody"}, "names 'nobody', and models has no such entry"),
        ({"reader": {"model": "reader", "orders": 5}}, "must be at most 4"),
    ],
)
def test_a_section_that_cannot_be_is_refused(
    world: World, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        world.recipe({key: value for key, value in (AUDIT | changes).items() if value is not None}, tmp_path)


def test_auditors_of_before_are_known_by_the_names_they_had(world: World, tmp_path: Path) -> None:
    wanted = world.recipe({"name": "auditor", "models": "eyes"}, tmp_path)
    section = next(section for section in wanted.filters if isinstance(section, AuditorSection))
    assert not {"reader", "instruction", "ahead_at_most"} & section.params(wanted).keys()
    again = recipe.parse(json.loads(wanted.model_dump_json()), "again")
    assert again == wanted


def reading(said: str, order: int, vote: int = 0) -> Answer:
    outcome = {"B": "right", "?": "unparsed", "unsure": "unparsed", "!": "failed"}.get(said, "wrong")
    answer = said if said not in "?!" else ""
    key = f"{vote}-{order}"
    return Answer(key, "q", "s", "audit", "description", vote, "", answer, outcome, "stop", 1, 1, "d", order=order)


@pytest.mark.parametrize(
    ("said", "opinion"),
    [
        (["B", "B"], Opinion.AGREE),
        (["C", "C"], Opinion.DISAGREE),
        (["B", "C"], Opinion.UNSURE),
        (["C", "D"], Opinion.UNSURE),
        (["B", "unsure"], Opinion.UNSURE),
        (["unsure", "unsure"], Opinion.UNSURE),
        (["B", "?"], Opinion.UNKNOWN),
        (["unsure", "!"], Opinion.UNKNOWN),
        (["B"], Opinion.AGREE),
    ],
)
def test_readings_of_one_description_are_one_vote(said: list[str], opinion: Opinion) -> None:
    readings = [reading(letter, order) for order, letter in enumerate(said)]
    assert votes_in(readings) == votes_in(readings[::-1])
    assert [vote.opinion for vote in votes_in(readings)] == [opinion]
    more = [*readings, *(reading("C", order, vote=1) for order in range(len(said)))]
    assert sorted(vote.opinion for vote in votes_in(more)) == sorted([opinion, Opinion.DISAGREE])


@pytest.mark.parametrize(
    ("said", "ahead", "reason"),
    [
        ("BCCCC", 1.0, "kept"),
        ("BCCCC", 0.5, "auditor_disagrees"),
        ("BCCCC", 0.6, "kept"),
        ("BCCDD", 0.2, "kept"),
        ("BCCuu", 0.1, "auditor_disagrees"),
        ("BBCCu", 0.0, "kept"),
        ("uuuuu", 0.0, "auditor_unsure"),
    ],
)
def test_one_other_option_may_be_ahead_by_so_much(said: str, ahead: float, reason: str) -> None:
    answers = [reading("unsure" if letter == "u" else letter, 0, vote) for vote, letter in enumerate(said)]
    section = AuditorSection.model_validate(AUDIT | {"votes": 5, "agree_at_least": 0.2, "ahead_at_most": ahead})
    question = Question("q", "perception", "P?", "B", ("w", "x", "y", "z"), "count", "i", "p", "c", "ci", "s", "l")
    assert section.judge(question, answers).reason == reason
