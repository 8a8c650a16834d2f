"""Arms and orders: what each solver is shown, and what its letters mean."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import prompts
from capcurriculum.errors import RecipeError, SourceError
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import LETTERS, Arm, CaptionedImage, Question, Response
from capcurriculum.run import Run
from curricula.build import build
from datagen.option_rotation import rotated, written
from datagen.probe import asked_of, partners, swaps
from datagen.solver import graded, messages
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
    section = ProbeSection(solvers=("one",), other_order=True)
    items = list(asked_of(section, swaps(run_with(tmp_path, "i", "j"), section, 0, "perception"))(own))
    assert [(item.arm, item.order) for item in items] == [(arm, order) for arm in section.arms for order in (0, 1)]
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
        "probe": {"solvers": ["one"], "other_order": True},
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
