"""K replies of the model that will be trained, to questions of any stage, asked as training will ask them.

With early stopping K is an upper bound: replies come in rounds, and a question leaves when the recipe's rule says that
it has enough (see `early_stopping`). A question's round depends on its own replies of the rounds before and on nothing
else, so a resumed build asks just what an undisturbed one would have, and questions need not wait for each other.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.rows import Purpose, Question
from capcurriculum.stats import PassRate
from datagen.asking.ready_queue import ReadyQueue
from datagen.early_stopping import enough, rounds
from datagen.setting import Setting
from datagen.solver import Asked, Solver, home_arm


def roll_out(at: Setting, questions: Iterable[Question]) -> None:
    """Append the replies that are missing.

    Raises:
        EngineError: the model cannot be used.
    """
    section = at.recipe.rollouts
    ordered = sorted(questions, key=lambda q: (q.stage, q.image_id, q.question_id))
    model, sampling = at.recipe.models[section.model], section.sampling.record()
    with Solver(at, section.model, model, sampling, Purpose.ROLLOUT) as solver:
        ask(solver, ordered, section)


def ask(solver: Solver, ordered: Sequence[Question], section: RolloutSection) -> None:
    """Append the replies of `solver` that are missing, as many as `section` says.

    Raises:
        EngineError: the model cannot be used.
    """
    if section.stop == "never":
        solver.ask_all(ordered, partial(asked_of, indices=range(section.k)))
        return
    solver.remember(ordered)
    wanted = partial(following, solver=solver, section=section)
    if not any(map(wanted, ordered)):
        return
    if solver.engine().window:
        _in_rounds(ordered, solver, section)
    else:
        by_id = {q.question_id: q for q in ordered}
        turns = ReadyQueue(by_id, lambda key: wanted(by_id[key]), lambda item: item.question.question_id)
        solver.ask_in_turns(turns, len(ordered))


def asked_of(question: Question, indices: Iterable[int]) -> Iterator[Asked]:
    """These rollouts of a question."""
    arm = home_arm(question)
    return (Asked(question, arm, k) for k in indices)


def _in_rounds(ordered: Sequence[Question], solver: Solver, section: RolloutSection) -> None:
    """All questions' first rounds, then all second ones: an engine that batches must see the same windows again."""
    for indices in rounds(section):
        if indices.start:
            ordered = [q for q in ordered if not enough(_tally(q, solver, indices.start), section)]
        part = f", {indices.start + 1} to {indices.stop}"
        solver.ask_all(ordered, partial(asked_of, indices=indices), part)


def following(question: Question, solver: Solver, section: RolloutSection) -> list[Asked]:
    """What the question's first incomplete round lacks; nothing if it has enough."""
    arm, known = home_arm(question), solver.known.get(question.question_id, {})
    for indices in rounds(section):
        if indices.start and enough(_tally(question, solver, indices.start), section):
            return []
        if missing := [k for k in indices if (arm, k, 0) not in known]:
            return list(asked_of(question, missing))
    return []


def _tally(question: Question, solver: Solver, below: int) -> PassRate:
    """The count over a question's first `below` rollouts."""
    known = solver.known.get(question.question_id, {})
    return PassRate.of(outcome for (_, k, _), outcome in known.items() if k < below)
