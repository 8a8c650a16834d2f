"""Rows of which a share of the answers is wrong: what slips, and what stays true."""

import re
from random import Random

from datagen.micro import noisy, tasks
from datagen.micro.problems import as_question, countable_problem
from datagen.micro.scenes import NUMBERS, named_seed, scene

TEACHING = tasks.Teaching(lambda messages: str(messages[-1]["content"][-1]["text"]), [])
ROWS = 400


def test_a_visual_choice_slips_in_the_option_alone() -> None:
    wrong = 0
    for index in range(ROWS):
        (asked, _), (said, _) = noisy.visual_choice(TEACHING, named_seed(index)).passages
        options = dict(re.findall(r"^([A-D]): (.+)$", asked, re.MULTILINE))
        assert len(set(options.values())) == len(options) == 4
        found = re.fullmatch(r"<think> .* = (\w+)\. (\w+) ([A-D]) </think> \\boxed\{([A-D])\}<\|im_end\|>", said)
        assert found
        right, text, letter, boxed = found.groups()
        assert letter == boxed
        assert options[letter] == text
        assert right in options.values()
        wrong += text != right
    assert abs(wrong / ROWS - noisy.WRONG) < 0.1


def test_a_countable_problem_as_a_question_says_its_numbers_in_words() -> None:
    for index in range(200):
        rng = Random(index)
        about = scene(rng)
        problem = countable_problem(about, rng)
        question = as_question(problem)
        assert question.answer == NUMBERS[int(problem.answer)]
        assert question.text == problem.text
        assert not re.search(r"\d", question.evidence)
        assert question.evidence.endswith(f"= {question.answer}.")
