"""A finished run of scenes with planted wrong keys, and people who look at its pictures and slip now and then.

No model is asked: solvers' replies are drawn, and the real filters judge them. Truth is known, so whatever a review
says of the keys can be compared with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from capcurriculum import prompts, recipe
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.rows import LETTERS, Answer, Question, bytes_digest, digest
from capcurriculum.run import Run, writing
from datagen.micro import captions, questions
from datagen.micro.export import jpeg
from datagen.micro.scenes import Scene, named_seed, scene
from datagen.sources import gather
from filters import pipeline
from filters.human.form import NONE, FormAnswers, Right

WRONG_KEYS = 0.1
SLIPS = 0.05
LYING = 0.5
_MODEL = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"]}


@dataclass(frozen=True, slots=True)
class World:
    """The run, its recipe, and the letter that is right of every question."""

    run: Run
    recipe: Recipe
    truth: Mapping[str, str]


def made(folder: Path, count: int, seed: int = 0, side: int = 96, pictures: bool = True, k: int = 4) -> World:
    """A run of so many perception questions, one a picture of `side` pixels, one key in ten of which is wrong.

    Solvers see badly and read well, so a wrong key looks like one that is hard to see, and more of them are kept.
    """
    (folder / "docci" / "images").mkdir(parents=True)
    (folder / "docci" / "docci_descriptions.jsonlines").touch()
    wanted = _recipe(folder, k)
    truth: dict[str, str] = {}
    with writing(wanted) as run:
        for start in range(0, count, 2_000):
            asked: list[Question] = []
            for number in range(start, min(start + 2_000, count)):
                question, right = _question(folder, seed, number, side, pictures)
                asked.append(question)
                truth[question.question_id] = right
            run.questions.append(asked)
            run.answers.append(a for q in asked for a in _replies(q, truth[q.question_id], seed, k))
        for phase in Phase:
            pipeline.run_phase(gather.setting(run, wanted), phase)
    return World(run, wanted, truth)


def _recipe(folder: Path, k: int) -> Recipe:
    data = {
        "name": "reviewed",
        "runs": str(folder / "runs"),
        "models": {name: _MODEL | {"model": name} for name in ("teacher", "one", "two", "policy")},
        "perception": {
            "source": {"kind": "docci", "path": str(folder / "docci"), "source": "scenes", "license": "apache-2.0"},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"], "arms": ["image", "caption"]},
        },
        "rollouts": {"model": "policy", "k": k},
        "filters": ["perception", "rollouts", "difficulty"],  # there may be no pictures to read
        "split": {"val": 0.2, "test": 0.2},
    }
    return recipe.parse(data, "reviewed")


def _question(folder: Path, seed: int, number: int, side: int, pictures: bool) -> tuple[Question, str]:
    rng = named_seed("review world", seed, number)
    about = scene(rng)
    name = f"images/{number:06d}.jpg"
    image_id = digest("review picture", seed, number)
    if pictures:
        image_id = _draw(folder / "docci" / name, about, number, side)
    asked = questions.ask(about.things, rng)
    options = questions.options(asked, rng)
    right = next(letter for letter, text in options.items() if text == asked.answer)
    wrong = rng.random() < WRONG_KEYS
    marked = rng.choice([letter for letter in LETTERS if letter != right]) if wrong else right
    problem = prompts.choice(asked.text, options)
    question = Question(
        Question.key("perception", image_id, problem, marked), "perception", problem, marked,
        tuple(options.values()), asked.skill, image_id, name, captions.describe(about.things),
        f"caption {number}", "scenes", "apache-2.0", text=asked.text, model="teacher",
    )  # fmt: skip
    return question, right


def _draw(path: Path, about: Scene, number: int, side: int) -> str:
    data = jpeg(about, noise=number + 1, size=side)
    path.write_bytes(data)
    return bytes_digest(data)


def _replies(question: Question, seen: str, seed: int, k: int) -> list[Answer]:
    rng = named_seed("review replies", seed, question.question_id)
    ease = rng.random()
    # Every other wrong key comes from a caption that says so too.
    told = question.answer if rng.random() < LYING else seen

    def reply(solver: str, purpose: str, arm: str, rollout: int, chance: float) -> Answer:
        right = told if arm == "caption" else seen
        said = right if rng.random() < chance else rng.choice([letter for letter in LETTERS if letter != right])
        text, key = f"<think> I looked. </think> \\boxed{{{said}}}", digest(question.question_id, solver, arm, rollout)
        outcome = "right" if said == question.answer else "wrong"
        return Answer(key, question.question_id, solver, purpose, arm, rollout, text, said, outcome, "stop", 9, 9, "d")

    found = [
        reply(solver, "probe", arm, 0, chance)
        for solver in ("one", "two")
        for arm, chance in (("image", 0.5), ("caption", 0.97))
    ]
    return found + [reply("policy", "rollout", "image", rollout, ease) for rollout in range(k)]


def looked(question: Question, right: str, rng: Random, slips: float = SLIPS) -> FormAnswers:
    """What somebody says who sees what is right, but for a slip now and then."""
    sees_right_key = (question.answer == right) != (rng.random() < slips)
    if sees_right_key:
        return FormAnswers(Right.YES, "", question.skill, 4)
    others = [letter for letter in LETTERS if letter != question.answer]
    choice = right if question.answer != right else rng.choice([*others, NONE])
    return FormAnswers(Right.NO, choice, question.skill, 2)
