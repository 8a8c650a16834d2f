"""What bounds the auditors of the label-noise measurement: perfect sight, and questions of whether a thing is there.

The description of an auditor that sees perfectly is made from the scene. A micro model cannot be asked "Is there a red
circle?", which it was never taught, but it can count: a colour or a shape of which it counts zero is not there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from benchmarks import noise_audit
from benchmarks.noise_world import Setup, shown
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import SamplingSection
from capcurriculum.rows import Answer, Arm, Purpose, Question
from capcurriculum.run import Run
from datagen.describer import Reader
from datagen.micro import captions
from datagen.micro.questions import noun
from datagen.solver import Asked, Solver
from datagen.sources import gather
from filters.rules.auditor import AuditorSection

#: Times that an auditor counts each word.
COUNTS = 3
_SAMPLING = SamplingSection(temperature=1.0, max_tokens=32).record()
_NAMING = re.compile(r"(?:Where is|How large is) the ([a-z]+) ([a-z]+)\?")


def one_vote(setup: Setup) -> AuditorSection:
    """The filter for which one description is read, which must bear the marked answer out."""
    section = noise_audit.describing(replace(setup, auditors=setup.auditors[:1], descriptions=1))
    return section.model_copy(update={"instruction": "The scene itself."})


def read(run: Run, recipe: Recipe, setup: Setup, asked: Iterable[Question]) -> Mapping[str, list[Answer]]:
    """Question id -> the reader's vote on a description without a mistake."""
    wanted, scenes, section = list(asked), shown(run), one_vote(setup)
    texts = {(q.image_id, 0): captions.describe(scenes[q.image_id]) for q in wanted}
    with Reader(gather.setting(run, recipe), section, setup.auditors[0], texts) as reader:
        reader.read(wanted)
    return noise_audit.votes(run, recipe, section, wanted)


def judged(run: Run, asked: Iterable[Question]) -> Mapping[str, list[Answer]]:
    """The same, read by the world's judge."""
    scenes = shown(run)
    return {q.question_id: [noise_audit.read_well(q, "", 0, captions.describe(scenes[q.image_id]))] for q in asked}


def counted(run: Run, recipe: Recipe, setup: Setup, asked: Sequence[Question]) -> Mapping[str, dict[str, list[str]]]:
    """Question id -> each word by which it names an object -> how many of those the auditors count in the image.

    Questions about a place or about a number name no object.
    """
    at, words = gather.setting(run, recipe), [one for question in asked for one in counting(question)]
    names = [f"{name}, counting" for name in setup.auditors]
    for name, known in zip(setup.auditors, names, strict=True):
        with Solver(at, known, recipe.models[name], _SAMPLING, Purpose.AUDIT) as solver:
            solver.ask_all(words, lambda one: [Asked(one, Arm.IMAGE, rollout) for rollout in range(COUNTS)])
    found: dict[str, dict[str, list[str]]] = {}
    for answer in run.answers.where(pl.col("solver").is_in(names)):
        question, _, word = answer.question_id.partition("/")
        found.setdefault(question, {}).setdefault(word, []).append(answer.answer)
    return found


def counting(question: Question) -> Iterator[Question]:
    """How many there are of the colour and of the shape that a question names."""
    named = _NAMING.fullmatch(question.text)
    for word in named.groups() if named else ():
        problem = f"How many {noun(word)} are there?"
        known = f"{question.question_id}/{word}"
        yield replace(question, question_id=known, problem=problem, answer="0", options=(), text="", kind="")
