"""The embedded world: what a picture, a caption, a question and a problem say is what is there."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datagen.micro import captions, questions
from datagen.micro.export import export, export_problems
from datagen.micro.problems import Problem, text_problems, visual_problems
from datagen.micro.questions import Question
from datagen.micro.render import pixels, render
from datagen.micro.scenes import COLOURS, NUMBERS, PLACES, SHAPES, SIZES, Scene, Thing, named_seed, scene, scenes

SEEDS = st.integers(0, 2**32)


def drawn(seed: int) -> Scene:
    return scene(named_seed("test", seed))


def by_hand(things: tuple[Thing, ...], question: Question) -> str:
    """The answer, found from the question's words without the code that made it."""
    text = question.text
    named = [t for t in things if re.search(rf"\b{t.colour} {t.shape}\b", text)]
    if text.startswith("Where"):
        return PLACES[named[0].cell]
    if text.startswith("How large"):
        return named[0].size
    if text.startswith("What"):
        place = re.search(r"at the (\S+)\?", text)
        assert place
        there = next(t for t in things if PLACES[t.cell] == place[1])
        return there.colour if "color" in text else there.shape
    word = next((w for w in COLOURS + SHAPES if re.search(rf"\b{w}", text)), None)
    return NUMBERS[sum(word in (None, t.colour, t.shape) for t in things)]


@given(SEEDS)
def test_a_scene_is_possible_and_repeatable(seed: int) -> None:
    things = drawn(seed).things
    assert drawn(seed) == drawn(seed)
    assert 2 <= len(things) <= 5
    assert len({t.cell for t in things}) == len({t.colour for t in things}) == len(things)
    assert [t.cell for t in things] == sorted(t.cell for t in things)


def test_a_stream_of_scenes_does_not_depend_on_its_length() -> None:
    assert list(scenes(3, seed=5)) == list(scenes(9, seed=5))[:3]
    assert list(scenes(3, seed=5)) != list(scenes(3, seed=6))


def test_pictures_repeat_and_noise_changes_them() -> None:
    about = drawn(1)
    assert np.array_equal(pixels(about), pixels(about))
    assert not np.array_equal(pixels(about), pixels(about, noise=1))
    assert render(about, size=192).size == (192, 192)


def test_a_clean_picture_shows_each_object_in_its_cell() -> None:
    for about in scenes(20, seed=2):
        cells = pixels(about, difficulty=0).reshape(3, 32, 3, 32, 3).transpose(0, 2, 1, 3, 4).reshape(9, -1, 3)
        held = {cell for cell in range(9) if len(np.unique(cells[cell], axis=0)) > 1}
        assert held == {t.cell for t in about.things}


@given(SEEDS)
def test_captions_are_complete_and_read_back(seed: int) -> None:
    things = captions.shuffled(drawn(seed).things, Random(seed))
    told = captions.describe(things)
    assert captions.read(told) == things
    assert told.startswith(f"The image shows {NUMBERS[len(things)]} objects. ")


@given(SEEDS)
def test_a_lie_changes_one_attribute_of_one_object(seed: int) -> None:
    things = drawn(seed).things
    told = captions.lie(things, Random(seed))
    changed = [(a, b) for a, b in zip(things, told, strict=True) if a != b]
    assert len(changed) == 1
    before, after = changed[0]
    assert sum(getattr(before, name) != getattr(after, name) for name in ("shape", "colour", "size", "cell")) == 1
    assert len({t.cell for t in told}) == len({t.colour for t in told}) == len(told)


@given(SEEDS, st.sampled_from([*questions.SKILLS, "state", None]))
def test_a_question_has_four_options_and_the_right_answer(seed: int, skill: str | None) -> None:
    rng = Random(seed)
    things = drawn(seed).things
    question = questions.ask(things, rng, skill)
    choices = questions.options(question, rng)
    assert question.answer == by_hand(things, question) == questions.gold(things, question.text)
    assert list(choices) == ["A", "B", "C", "D"]
    assert len(set(choices.values())) == 4
    assert list(choices.values()).count(question.answer) == 1
    assert questions.options(question, rng, right="C")["C"] == question.answer
    if skill in questions.SKILLS:
        assert question.skill == skill


def test_questions_without_one_answer_have_no_gold() -> None:
    things = (Thing("circle", "red", "tiny", 0), Thing("star", "red", "large", 8))
    for text in (
        "Where is the blue circle?",
        "What color is the object at the top?",
        "How many chairs are there?",
        "Why?",
    ):
        assert questions.gold(things, text) is None


def test_answers_are_spread_as_evenly_as_distractors() -> None:
    """Someone who sees no picture and knows all the frequencies still gains nothing."""
    asked: dict[str, Counter[str]] = {}
    for index, about in enumerate(scenes(6000, seed=3)):
        rng = Random(index)
        question = questions.ask(about.things, rng)
        letter = next(k for k, v in questions.options(question, rng).items() if v == question.answer)
        asked.setdefault(question.kind, Counter())[question.answer] += 1
        asked.setdefault("letter", Counter())[letter] += 1
    values = {"where": 9, "colour_at": 8, "shape_at": 6, "size_of": 4, "count_all": 4, "count_group": 4, "letter": 4}
    assert set(asked) == set(values)
    for kind, counts in asked.items():
        assert len(counts) == values[kind]
        # The best constant guess among four options, of which each appears with the same chance.
        assert max(counts.values()) / counts.total() < 1.35 / values[kind]


def worked_out(problem: Problem) -> int:
    """The answer of a text problem, from its numbers and its wording alone."""
    n = [int(digits) for digits in re.findall(r"\d+", problem.text)]
    if "together" in problem.text:
        return 2 * n[0] + n[1]
    if "How many more" in problem.text:
        return n[0] - n[1]
    if "rows" in problem.text:
        return n[0] * n[1] - (n[2] if len(n) == 3 else 0)
    if "left" in problem.text:
        return n[0] - n[1] if len(n) == 2 else n[0] + n[1] - n[2]
    return n[0] + n[1]


def looked_up(problem: Problem) -> int:
    """The answer of a visual problem, from its scene and its wording alone."""
    assert problem.scene
    text, things = problem.text.lower(), problem.scene.things
    plurals = {**{w: f"{w} objects" for w in COLOURS}, **{w: f"{w}s" for w in SHAPES}, "cross": "crosses"}
    named = sorted((text.index(plural), word) for word, plural in plurals.items() if plural in text)
    counts = [sum(word in (t.colour, t.shape) for t in things) for _, word in named]
    if text.startswith("remove"):
        return len(things) - counts[0]
    if text.startswith("add"):
        return counts[0] + int(re.findall(r"\d+", text)[0])
    return counts[0] - counts[1] if " more " in text else counts[0]


def test_problems_have_the_right_answers() -> None:
    told, seen = list(text_problems(300, seed=1)), list(visual_problems(300, seed=1))
    assert told == list(text_problems(300, seed=1))
    assert seen == list(visual_problems(300, seed=1))
    assert all(int(p.answer) == worked_out(p) >= 0 and p.scene is None for p in told)
    assert all(int(p.answer) == looked_up(p) >= 0 for p in seen)
    assert {p.skill for p in told} == {"addition", "subtraction", "multiplication", "comparison", "two_step"}
    assert {p.skill for p in seen} == {"count", "compare", "remove", "add"}
    assert not [p.text for p in told + seen if re.search(r"\b1 (?!cross\b)\w+s\b|\b1 \w+ objects", p.text)]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_an_export_is_in_doccis_format_and_its_truth_stands_beside_it(tmp_path: Path) -> None:
    options = {"images": 60, "seed": 4, "lies": 0.2, "unreadable": 0.2, "near_duplicates": 0.3}
    one, two = export(tmp_path / "one", **options), export(tmp_path / "two", **options)  # type: ignore[arg-type]
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    rows, truth = lines(one / "docci_descriptions.jsonlines"), lines(one / "truth.jsonl")
    assert len(rows) == len(truth) == 60
    originals = {}
    for row, facts in zip(rows, truth, strict=True):
        assert list(row) == ["example_id", "split", "image_file", "description"]
        assert row["example_id"] == facts["example_id"]
        assert (row["description"] != facts["caption"]) == facts["lie"]
        objects = tuple(sorted(captions.read(str(facts["caption"])), key=lambda t: t.cell))
        assert [t.place for t in objects] == [o["place"] for o in facts["objects"]]  # type: ignore[index, attr-defined]
        originals[facts["example_id"]] = objects
        if twin := facts["near_duplicate_of"]:
            assert originals[twin] == objects
        with Image.open(one / "images" / str(row["image_file"])) as image:
            assert image.size == (96, 96)
            if facts["unreadable"]:
                with pytest.raises(OSError, match="truncated"):
                    image.load()
            else:
                image.load()
    for name in ("lie", "unreadable", "near_duplicate_of"):
        assert 2 <= sum(bool(facts[name]) for facts in truth) <= 30


def test_an_export_without_options_is_clean_and_splits_differ(tmp_path: Path) -> None:
    train, test = export(tmp_path / "a", images=8), export(tmp_path / "b", images=8, split="test", size=64)
    for facts in lines(train / "truth.jsonl") + lines(test / "truth.jsonl"):
        assert not any(facts[name] for name in ("lie", "unreadable", "near_duplicate_of"))
    assert Image.open(test / "images" / "test_00000.jpg").size == (64, 64)
    told = [{row["description"] for row in lines(folder / "docci_descriptions.jsonlines")} for folder in (train, test)]
    assert not told[0] & told[1]


def test_a_share_beyond_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lies is a share"):
        export(tmp_path, lies=20)


def test_problem_sets_are_written(tmp_path: Path) -> None:
    told = export_problems(tmp_path / "t", text_problems(5, 2))
    seen = export_problems(tmp_path / "v", visual_problems(5, 2))
    assert [list(row) for row in lines(told / "problems.jsonl")] == [["problem", "answer", "skill"]] * 5
    for row, problem in zip(lines(seen / "problems.jsonl"), visual_problems(5, seed=2), strict=True):
        assert (row["problem"], row["answer"], row["skill"]) == (problem.text, problem.answer, problem.skill)
        assert Image.open(seen / "images" / str(row["image_file"])).size == (96, 96)


def test_values_are_single_words() -> None:
    assert all(" " not in value for value in COLOURS + SHAPES + SIZES + PLACES + NUMBERS)


def test_the_world_needs_no_torch() -> None:
    code = "import datagen.micro.scenes, datagen.micro.export, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
