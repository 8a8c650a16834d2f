"""Rows of which a share of the answers is wrong: what makes a model that knows but hedges.

The working stays true and only its end slips, to another option or to a number close by, so a model taught on these
rows keeps what it knows and learns to say something else now and then. Rewards for right answers can undo that in few
steps, as they do for a model that was pretrained on answers of which some are wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from capcurriculum import prompts
from datagen.micro import questions, tasks
from datagen.micro.problems import Problem, as_question, countable_problem, text_problem, visual_problem
from datagen.micro.questions import Question
from datagen.micro.scenes import Scene, scene
from datagen.micro.tasks import Row, Teaching

#: The share of wrong answers.
WRONG = 0.4
_SLIPS = (-3, -2, -1, 1, 2, 3)


def _chosen(teaching: Teaching, question: Question, shown: Scene, rng: Random) -> Row:
    choices = questions.options(question, rng)
    right = tasks.letter_of(question, choices)
    given = rng.choice([other for other in choices if other != right]) if rng.random() < WRONG else right
    asked = tasks.user(prompts.choice(question.text, choices), image=True)
    return tasks.said_row(teaching, asked, tasks.thought(question.evidence, choices, given), shown)


def from_image(teaching: Teaching, rng: Random) -> Row:
    """A four-option question about an image."""
    shown = scene(rng)
    return _chosen(teaching, questions.ask(shown.things, rng), shown, rng)


def visual_choice(teaching: Teaching, rng: Random) -> Row:
    """A problem about an image with number words as options; its slips are those of questions."""
    shown = scene(rng)
    return _chosen(teaching, as_question(countable_problem(shown, rng)), shown, rng)


def slipped(problem: Problem, rng: Random) -> Problem:
    """The problem with another number, at least 0, as its answer and as the end of its working."""
    right = int(problem.answer)
    wrong = str(rng.choice([right + slip for slip in _SLIPS if right + slip >= 0]))
    return replace(problem, answer=wrong, working=f"{problem.working.removesuffix(f'{right}.')}{wrong}.")


def _answered(teaching: Teaching, problem: Problem, rng: Random) -> Row:
    given = slipped(problem, rng) if rng.random() < WRONG else problem
    asked = tasks.user(problem.text, image=problem.scene is not None)
    return tasks.said_row(teaching, asked, tasks.worked(given), problem.scene)


def text(teaching: Teaching, rng: Random) -> Row:
    """A problem in words."""
    return _answered(teaching, text_problem(rng), rng)


def visual(teaching: Teaching, rng: Random) -> Row:
    """A problem about an image."""
    return _answered(teaching, visual_problem(scene(rng), rng), rng)


TASKS: Mapping[str, Callable[[Teaching, Random], Row]] = {
    "noisy_from_image": from_image,
    "noisy_text": text,
    "noisy_visual": visual,
    "noisy_visual_choice": visual_choice,
}
