"""Problems made by reasoning-gym (Stojanovski et al. 2025), offline, by seed.

Its verifiers are used twice. The task's own `score_answer` must give its gold answer full marks, else the row is a
verdict. And a task whose verifier is its own, not the comparison with one oracle answer that all tasks inherit, may
accept answers that differ from the gold; the reward compares with the gold alone and would mark them wrong, so such a
task is refused unless the recipe says `single: true`. What is left is graded by the reward's grader like any problem.
"""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from capcurriculum.errors import SourceError
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection, Task
from capcurriculum.rows import SCHEMA, digest
from datagen.sources.formats.record import Record
from datagen.sources.images.image_paths import Place
from datagen.sources.source import Problem, Source


def source(section: SourceSection, place: Place) -> Source[Problem]:
    """The tasks' problems, one task after the other.

    Raises:
        SourceError: reasoning-gym is not installed, or does not know a task or its configuration.
    """
    tasks = {name: _task(name, task, section.seed) for name, task in section.tasks.items()}

    def records() -> Iterator[Record]:
        for name, generator in tasks.items():
            yield from _records(name, section.tasks[name], generator, section.seed)

    return Source(records, lambda record: _problem(section, record))


def _task(name: str, task: Task, seed: int) -> Any:
    try:
        import reasoning_gym
        from reasoning_gym.dataset import ProceduralDataset
    except ImportError as error:
        raise SourceError("A reasoning_gym source needs `pip install capcurriculum[gym]`.") from error
    try:
        made = reasoning_gym.create_dataset(name, seed=seed, size=task.items, **task.config)
    except (ValueError, TypeError, AssertionError) as error:
        detail = " ".join(str(error).split()) or "its configuration is refused"
        raise SourceError(
            f"reasoning-gym cannot make the task {name!r}: {detail}; check tasks in the recipe."
        ) from error
    if type(made).score_answer is not ProceduralDataset.score_answer and not task.single:
        raise SourceError(
            f"The verifier of the task {name!r} may accept answers other than the gold one, which the reward cannot "
            "know; choose another task, or set single: true for it if your configuration has one answer."
        )
    return made


def _records(name: str, task: Task, made: Any, seed: int) -> Iterator[Record]:
    """A record an item; its key is what determines it, so nothing need be made again to skip it."""
    version = metadata.version("reasoning-gym")
    for place in range(task.items):
        key = digest(SCHEMA, "reasoning_gym", version, name, task.config, seed, place)
        entry = made[place]
        values = {"task": name, "question": entry["question"], "answer": entry["answer"]}
        record = Record(key, place + 1, values)
        answer = entry["answer"]
        if not isinstance(answer, str) or made.score_answer(answer=answer, entry=entry) < 1:
            detail = f"item {place} of {name}: the task's own verifier does not take its answer as right"
            record = record.refused(Reason.UNGRADABLE_ANSWER, detail)
        yield record


def _problem(section: SourceSection, record: Record) -> Problem:
    return Problem(
        problem=record.text("question"),
        answer=record.text("answer"),
        options_in_text=False,
        skill=record.text("task"),
        source=section.name,
        license=section.row_license,
    )
