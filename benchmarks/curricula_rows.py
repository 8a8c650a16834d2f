"""The rows of the comparison: three stages of the embedded world, of which the visual one has two versions.

`needs` asks visual problems with four numeric options, answered by the option's text and letter as a perception
question is: its last step is what stage 1 teaches. `control` asks the same problems about the same pictures for a
number, and shares nothing of the last step with stage 1. All other rows are the same in both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random
from types import MappingProxyType

from capcurriculum import prompts
from datagen.micro import questions
from datagen.micro.problems import as_question, countable_problem, text_problem
from datagen.micro.questions import Question
from datagen.micro.scenes import Scene, named_seed, scene
from datagen.micro.tasks import letter_of

STAGES: tuple[str, ...] = ("perception", "text", "visual")
VERSIONS: tuple[str, ...] = ("needs", "control")
#: Rows a stage: to train on, to choose a learning rate and draw curves by, and for the final measurement.
SPLITS: Mapping[str, int] = MappingProxyType({"train": 256, "curve": 200, "final": 600})


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked: the whole text, the picture's scene, and the letter or number that is right.

    `options` are the texts of the options, none for a free answer; `base` is the bare question or problem.
    """

    name: str
    stage: str
    base: str
    text: str
    answer: str
    options: tuple[str, ...]
    scene: Scene | None


def _asked(name: str, stage: str, question: Question, about: Scene, rng: Random) -> Task:
    choices = questions.options(question, rng)
    text = prompts.choice(question.text, choices)
    return Task(name, stage, question.text, text, letter_of(question, choices), tuple(choices.values()), about)


def _perception(name: str, version: str, rng: Random) -> Task:
    about = scene(rng)
    return _asked(name, "perception", questions.ask(about.things, rng), about, rng)


def _text(name: str, version: str, rng: Random) -> Task:
    problem = text_problem(rng)
    return Task(name, "text", problem.text, problem.text, problem.answer, (), None)


def _visual(name: str, version: str, rng: Random) -> Task:
    about = scene(rng)
    problem = countable_problem(about, rng)
    if version == "needs":
        return _asked(name, "visual", as_question(problem), about, rng)
    return Task(name, "visual", problem.text, problem.text, problem.answer, (), about)


_MAKERS: Mapping[str, Callable[[str, str, Random], Task]] = MappingProxyType(
    {"perception": _perception, "text": _text, "visual": _visual}
)


def rows(version: str, splits: Mapping[str, int] = SPLITS) -> dict[str, dict[str, list[Task]]]:
    """Split -> stage -> rows, always the same; no question about the same things stands twice, in any split."""
    made: dict[str, dict[str, list[Task]]] = {split: {} for split in splits}
    for stage in STAGES:
        seen: set[object] = set()
        for split, wanted in splits.items():
            own: list[Task] = []
            for index in count():
                if len(own) == wanted:
                    break
                name = f"{stage}-{split}-{index}"
                task = _MAKERS[stage](name, version, named_seed("curricula", stage, split, index))
                key = (task.base, task.scene.things if task.scene else None)
                if key not in seen:
                    seen.add(key)
                    own.append(task)
            made[split][stage] = own
    return made
