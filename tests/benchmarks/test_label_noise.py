"""The label-noise measurement: its scripted teacher, its weighting, and the page it writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import label_noise, noise_audit, noise_page, noise_seeing, noise_world
from benchmarks.label_noise import Measured
from benchmarks.noise_rules import Kind
from benchmarks.noise_sets import FilterSet
from capcurriculum.rows import Question
from datagen.micro import captions, questions
from datagen.micro.scenes import scenes


def test_the_scripted_teacher_answers_by_the_caption_but_for_one_key_in_twenty() -> None:
    told = [captions.describe(scene.things) for scene in scenes(600, seed=3)]
    true = 0
    for caption in told:
        said = json.loads(noise_world.written(caption))
        assert noise_world.written(caption) == json.dumps(said)
        true += questions.gold(captions.read(caption), said["question"]) == said["options"][said["answer"]]
    assert 0.92 < true / len(told) < 0.98


RED = "The image shows two objects. A small red circle is at the top. A large blue star is at the center."
MOVED = RED.replace("at the top.", "at the left.")
FAR = RED.replace("at the top.", "at the bottom-right.")
GREEN = RED.replace("red", "green")
_PLACES = ("left", "top", "center", "right")
WHERE = Question("q", "perception", "", "B", _PLACES, "", "i", "p", RED, "c", "s", "l", "Where is the red circle?")


@pytest.mark.parametrize(
    ("told", "agree", "ahead", "keep"),
    [
        ([RED, GREEN, GREEN, FAR, GREEN, GREEN], 1, None, True),
        ([GREEN, GREEN, GREEN, FAR, GREEN, "nothing"], 1, None, False),
        ([RED, GREEN, GREEN, FAR, GREEN, GREEN], 2, None, False),
        ([RED, MOVED, MOVED, GREEN, GREEN, GREEN], 1, 1, True),
        ([RED, MOVED, MOVED, MOVED, GREEN, GREEN], 1, 1, False),
    ],
)
def test_descriptions_bear_an_answer_out_or_another(told: list[str], agree: int, ahead: int | None, keep: bool) -> None:
    votes = [noise_audit.read_well(WHERE, "one", index, text) for index, text in enumerate(told)]
    section = noise_audit.describing(noise_world.STRONGER, agree, ahead)
    assert len(told) == section.votes * len(section.models)
    assert section.judge(WHERE, votes).keep == keep


def test_what_a_question_names_is_counted_by_colour_and_by_shape() -> None:
    asked = replace(WHERE, text="Where is the red cross?")
    counting = list(noise_seeing.counting(asked))
    assert [(one.question_id, one.problem) for one in counting] == [
        ("q/red", "How many red objects are there?"),
        ("q/cross", "How many crosses are there?"),
    ]
    assert {one.answer for one in counting} == {"0"}
    assert not list(noise_seeing.counting(replace(asked, text="How many objects are there?")))


def measured() -> Measured:
    """Of a hundred questions half lie; of either half 20 and 10 are kept, and of those that lie half are wrong."""
    lied = np.repeat([True, False], 50)
    paper = np.tile(np.arange(50) < 20, 2)
    paper[50:] &= np.arange(50) < 10
    true = np.ones(100, bool)
    true[:10] = False
    some = paper.copy()
    some[:5] = False
    void = ~true & (np.arange(100) < 5)
    sets = FilterSet("paper", Kind.PROBE, paper, 3000.0), FilterSet("some", Kind.DESCRIBE, some, 3500.0)
    return Measured("stronger", lied, true, void, sets)


def test_worlds_with_other_shares_of_lies_are_the_same_rows_weighted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_noise, "BOOTSTRAPS", 20)
    found = measured()
    assert found.weights(0.1)[:50].sum() / found.weights(0.1).sum() == pytest.approx(0.1)
    lines = {(line.lies, line.set): line for line in label_noise.lines(found)}
    assert lines[0.0, "paper"].wrong == 0
    # One in ten lies: 0.1 x 20/50 of it kept, half of it wrong, beside 0.9 x 10/50.
    assert lines[0.1, "paper"].wrong == pytest.approx(0.1 * 10 / (0.1 * 20 + 0.9 * 10))
    assert lines[0.1, "some"].wrong == pytest.approx(0.1 * 5 / (0.1 * 15 + 0.9 * 10))
    assert lines[0.1, "some"].recall == lines[0.1, "paper"].recall == 1
    assert lines[0.1, "some"].ratio == pytest.approx(lines[0.1, "some"].wrong / lines[0.1, "paper"].wrong)
    assert (lines[0.1, "some"].false_kept, lines[0.1, "some"].void_kept) == (1, 0)
    low, high = lines[0.1, "some"].wrong_interval
    assert low < lines[0.1, "some"].wrong < high


def test_the_page_keeps_what_stands_around_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_noise, "BOOTSTRAPS", 5)
    page = tmp_path / "experiments.md"
    begin, end = noise_page.BEGIN.format("stronger"), noise_page.END.format("stronger")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    monkeypatch.setattr(noise_page, "plot", lambda lines, file: None)
    noise_page.write(list(label_noise.lines(measured())), tmp_path)
    text = page.read_text()
    assert noise_page.BEGIN.format("stronger") in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert text.count("| paper |") == len(label_noise.SHARES)
    assert text.count("| some |") == 1


def test_the_frontier_is_what_no_other_set_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_noise, "BOOTSTRAPS", 2)
    line = next(label_noise.lines(measured()))
    told = [(0.9, 0.5), (0.8, 0.3), (0.7, 0.4), (0.85, 0.5), (0.6, 0.1), (0.9, 0.6)]
    best = noise_page.frontier([replace(line, recall=recall, ratio=ratio) for recall, ratio in told])
    assert [(line.recall, line.ratio) for line in best] == [(0.9, 0.5), (0.8, 0.3), (0.6, 0.1)]
