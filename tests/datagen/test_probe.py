"""Arms and orders: what each solver is shown, and what its letters mean."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import prompts
from capcurriculum.errors import RecipeError, RunError, SourceError
from capcurriculum.ledger import funnel
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe, parse
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS, Arm, CaptionedImage, Question, Request, Response, digest
from capcurriculum.run import Run
from curricula.build import build
from datagen import engines
from datagen.engines.protocol import Traffic
from datagen.option_rotation import rotated, written
from datagen.probe import Needs, partners, swaps
from datagen.setting import Setting
from datagen.solver import graded, messages
from datagen.undecided import in_control
from tests.support import endpoint, worlds

OPTIONS = ("a cat", "a dog", "a car", "a tree")


def question(image: str = "i", answer: str = "B") -> Question:
    problem = prompts.choice("What is it?", dict(zip(LETTERS, OPTIONS, strict=True)))
    return Question(
        f"q-{image}", "perception", problem, answer, OPTIONS, "count", image, f"{image}.png", "A dog.", "c", "s", "l",
        text="What is it?",
    )  # fmt: skip


def run_with(folder: Path, *images: str) -> Run:
    run = Run(folder)
    run.captions.append(CaptionedImage(f"c-{i}", f"r-{i}", i, f"{i}.png", "A dog.", "s", "l", i) for i in images)
    return run


@given(st.sampled_from(LETTERS), st.integers(0, 3))
def test_rotation_moves_options_and_gold_together(letter: str, order: int) -> None:
    problem, options, gold = rotated(question(answer=letter), order)
    assert options[LETTERS.index(gold)] == OPTIONS[LETTERS.index(letter)]
    assert written(gold, order) == letter
    assert all(f"{shown}: {text}" in problem for shown, text in zip(LETTERS, options, strict=True))
    assert (gold == letter) == (order == 0)


def test_a_reply_to_rotated_options_is_graded_by_what_it_saw_and_recorded_as_written() -> None:
    outcome, letter, _ = graded(question(), Response("k", "\\boxed{A}", "stop"), order=1)
    assert (outcome, letter) == ("right", "B")
    outcome, letter, _ = graded(question(), Response("k", "\\boxed{B}", "stop"), order=1)
    assert (outcome, letter) == ("wrong", "C")


@given(st.sets(st.text("abcdef0123456789", min_size=4, max_size=8), min_size=2, max_size=40), st.integers(0, 5))
def test_every_image_has_another_as_its_partner_and_is_one_once(ids: set[str], seed: int) -> None:
    found = partners(ids, seed)
    assert found.keys() == set(found.values()) == ids
    assert all(image != other for image, other in found.items())
    assert partners(reversed(sorted(ids)), seed) == found


def test_one_image_has_no_partner(tmp_path: Path) -> None:
    assert partners(["a", "a"], 0) == {}
    with pytest.raises(SourceError, match="needs two images"):
        swaps(run_with(tmp_path, "a"), ProbeSection(solvers=("one",)), 0, "perception")


def test_each_arm_shows_what_its_name_says(tmp_path: Path) -> None:
    own = question("i")
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", {"stop": "never", "other_order": True})
    at = Setting(run_with(tmp_path, "i", "j"), wanted, {}, Display())
    items = Needs(at, "perception").following(own, {}, "one")
    arms = wanted.captioned["perception"].probe.arms
    assert [(item.arm, item.order) for item in items] == [(arm, order) for order in (0, 1) for arm in arms]
    assert {item.shown.path for item in items if item.shown} == {"j.png"}
    by_arm = {item.arm: messages(own, item.arm)[1] for item in items}
    assert {arm: turn.images for arm, turn in by_arm.items()} == {
        Arm.IMAGE: 1, Arm.SWAPPED: 1, Arm.CAPTION: 0, Arm.BLIND: 0,
    }  # fmt: skip
    assert "A dog." in by_arm[Arm.CAPTION].text
    assert "A dog." not in by_arm[Arm.BLIND].text


def test_the_rule_cannot_do_without_image_and_caption(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="arms must hold image and caption"):
        worlds.recipe_over(
            tmp_path,
            "http://127.0.0.1:1/v1",
            perception={
                "source": {"kind": "docci", "path": "x"},
                "teacher": {"model": "teacher"},
                "probe": {"solvers": ["one"], "arms": ["image", "blind"]},
            },
        )


def test_four_arms_in_two_orders_over_the_wire(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 4)
    perception = {
        "source": {"kind": "docci", "path": str(tmp_path / "docci")},
        "teacher": {"model": "teacher", "questions": 2, "sees": "image_and_caption"},
        "probe": {"solvers": ["one"], "other_order": True, "stop": "never"},
    }
    with endpoint.serving(endpoint.Endpoint(image_right=0.3)) as server:
        run = build(worlds.recipe_over(tmp_path, server.url, perception=perception, text=None), Display())
        teaching = [body for body in server.requests if body["model"] == "teacher"]
    questions = [q for q in run.questions.rows() if q.stage == "perception"]
    assert {q.slot for q in questions} == {0, 1}
    assert len({(q.image_id, q.text) for q in questions}) == len(questions) == 8
    assert all(body["messages"][0]["content"][0]["type"] == "image_url" for body in teaching)
    second = [body for body in teaching if "Already asked" in str(body)]
    assert len(second) == 4
    probes = [a for a in run.answers.rows() if a.purpose == "probe"]
    assert len(probes) == len({(a.question_id, a.arm, a.order) for a in probes}) == 8 * 4 * 2
    gold = {q.question_id: q.answer for q in questions}
    assert all((a.answer == gold[a.question_id]) == (a.outcome == "right") for a in probes)
    assert {a.outcome for a in probes if a.arm == "blind"} == {"right"}
    assert {a.outcome for a in probes if a.arm == "image"} == {"right", "wrong"}


#: Rollouts that are not cut off.
LONG = {"model": "policy", "k": 1, "sampling": {"max_tokens": 600}}


class Unlike(endpoint.Endpoint):
    """Solvers of which the first sees more than the second."""

    def reply(self, body: dict[str, Any]) -> str:
        return endpoint.Endpoint(image_right=0.6 if body["model"] == "one" else 0.3).reply(body)


class Batching(AbstractContextManager["Batching"]):
    """A stub whose texts depend on who shares a batch; it is interrupted when no batch is `left`."""

    window = 4

    def __init__(self) -> None:
        self.left, self.traffic, self._stub = -1, Traffic(), endpoint.Endpoint(image_right=0.4)

    def __exit__(self, *_: object) -> None: ...

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        batch = [request for request in requests if request]
        mark = digest([request.key for request in batch])
        for request in batch:
            parts = [{"type": "image_url"}] * len(request.image_paths)
            chat = [{"content": [*parts, {"type": "text", "text": turn.text}]} for turn in request.messages]
            yield Response(request.key, f"{self._stub.reply({'messages': chat})}\n\n{mark}", "stop", 1, 1)


def kept(run: Run, wanted: Recipe) -> list[str]:
    return kept_ids(run, wanted).collect()["question_id"].to_list()


def test_a_decided_probe_keeps_the_same_rows_with_fewer_requests(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 40)
    everything, decided = {"stop": "never", "other_order": True}, {"control": 0.0, "other_order": True}
    found = {}
    with endpoint.serving(endpoint.Endpoint(image_right=0.4)) as server:
        for name, probe in (("everything", everything), ("decided", decided)):
            wanted = worlds.recipe_over(tmp_path, server.url, probe, text=None, name=name)
            run = build(wanted, Display())
            found[name] = (kept(run, wanted), [a for a in run.answers.rows() if a.purpose == "probe"], run, wanted)
    (same, full, _, _), (rows, few, run, wanted) = found["everything"], found["decided"]
    assert rows == same
    assert 0 < len(rows) < 40
    assert len(full) == 40 * 2 * 4 * 2
    assert len(few) == 16 * len(rows) + (40 - len(rows)), "one reply drops a row: the solvers of this world see alike"
    by_arm = {arm: {a.question_id for a in few if a.arm == arm} for arm in ("image", "blind", "swapped")}
    assert by_arm["blind"] == by_arm["swapped"] == set(rows), "the other arms are asked of what is kept alone"
    assert len(by_arm["image"]) == 40
    reasons = {v.reason for v in run.verdicts.rows() if v.filter == "perception"}
    assert reasons == {"kept", "right_from_image"}

    assert {line.filter: line.met for line in funnel.lines(run)}["perception"] == 40
    asked = run.answers.count()
    build(wanted, Display())
    assert run.answers.count() == asked, "a finished run asks nothing"


def test_a_rule_that_lets_more_in_asks_what_it_still_needs(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 30)
    softer = {"name": "perception", "mode": "at_least", "at_least": 1}
    with endpoint.serving(Unlike()) as server:
        strict = worlds.recipe_over(tmp_path, server.url, {"control": 0.0}, text=None)
        run = build(strict, Display())
        before, first = run.answers.count(), kept(run, strict)
        soft = worlds.recipe_over(tmp_path, server.url, {"control": 0.0}, text=None, filters=[softer, "rollouts"])
        build(soft, Display())
        more = kept(run, soft)
        alone = worlds.recipe_over(
            tmp_path, server.url, {"stop": "never"}, text=None, name="alone", filters=[softer, "rollouts"]
        )
        assert more == kept(build(alone, Display()), alone)
    assert set(first) < set(more)
    assert run.answers.count() > before


def test_a_filter_without_its_replies_says_that_they_were_not_needed(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 30)
    filters = ["perception", {"name": "blind", "action": "drop"}, "rollouts"]
    with endpoint.serving(endpoint.Endpoint(image_right=0.5)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, {"control": 0.0}, text=None, filters=filters)
        with pytest.raises(RunError, match="No row is left"):
            build(wanted, Display())
    run = Run(wanted.run_dir)
    blind = {v.question_id: v for v in run.verdicts.rows() if v.filter == "blind"}
    seen = {v.question_id for v in run.verdicts.rows() if v.filter == "perception" and v.reason == "right_from_image"}
    assert seen
    assert {blind[question].reason for question in seen} == {"not_needed"}
    assert not any(verdict.keep for verdict in blind.values()), "the stub is always right without the image"
    lines = {line.filter: line for line in funnel.lines(run)}
    assert lines["blind"].met == 30 - len(seen), "what was not needed is not counted as met"


def test_everything_is_asked_of_the_control_sample(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 30)
    with endpoint.serving(endpoint.Endpoint(image_right=1.0)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, {"control": 0.5}, text=None)
        with pytest.raises(RunError, match="No row is left"):
            build(wanted, Display())
    run = Run(wanted.run_dir)
    counts = Counter(a.question_id for a in run.answers.rows() if a.purpose == "probe")
    drawn = {question for question in counts if in_control(question, 0.5)}
    assert 0 < len(drawn) < 30
    assert {question: count for question, count in counts.items() if count != 1} == dict.fromkeys(drawn, 8)


class Cut(endpoint.Endpoint):
    """Cuts its choices off where it is given no more room than it is at first."""

    def reply(self, body: dict[str, Any]) -> str:
        said = super().reply(body)
        return said if "boxed" not in said or body["max_tokens"] > 512 else "<think> I look at the"


@pytest.mark.parametrize("again", [0, 1])
def test_a_reply_that_cannot_be_read_is_asked_for_again_with_more_room(tmp_path: Path, again: int) -> None:
    worlds.docci(tmp_path / "docci", 12)
    with endpoint.serving(Cut(image_right=0.0)) as server:
        wanted = worlds.recipe_over(
            tmp_path, server.url, {"again": again, "arms": ["image", "caption"]}, text=None, rollouts=LONG
        )
        with nullcontext() if again else pytest.raises(RunError, match="No row is left"):
            build(wanted, Display())
    run = Run(wanted.run_dir)
    probes = [a for a in run.answers.rows() if a.purpose == "probe"]
    assert {a.rollout: a.outcome for a in probes if a.arm == "image"} == {0: "unparsed"} | (
        {1: "wrong"} if again else {}
    )
    assert Counter(a.rollout for a in probes) == dict.fromkeys(range(1 + again), 12 * 4)
    reasons = {v.reason for v in run.verdicts.rows() if v.filter == "perception"}
    assert reasons == ({"kept"} if again else {"unknown_from_image"})


@pytest.mark.parametrize("kill_after", [5, 25, 60])
def test_a_killed_build_of_batches_ends_with_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_after: int
) -> None:
    """The rounds of an engine that batches are cut alike when they are taken up again."""

    def wanted(name: str) -> Recipe:
        return parse(
            {
                "name": name,
                "runs": str(tmp_path),
                "models": {m: {"engine": "transformers", "model": f"stub:{m}"} for m in ("one", "two")},
                "perception": {
                    "source": {"kind": "scenes", "items": 30},
                    "teacher": {"model": "one"},
                    "probe": {"solvers": ["one", "two"], "other_order": True, "control": 0.1},
                },
                "rollouts": {"model": "one", "k": 1},
            },
            "here",
        )  # fmt: skip

    def answers(run: Run) -> list[tuple[str, ...]]:
        probe = run.answers.scan().filter(pl.col("purpose") == "probe")
        return sorted(probe.select("question_id", "solver", "arm", "order", "text").collect().iter_rows())

    engine = Batching()
    monkeypatch.setattr(engines, "create", lambda section: engine)
    clean = build(wanted("clean"), Display())
    engine.left = kill_after
    with pytest.raises(KeyboardInterrupt):
        build(wanted("killed"), Display())
    engine.left = -1
    killed = build(wanted("killed"), Display())
    assert answers(killed) == answers(clean)
    assert len(answers(clean)) < 30 * 16
