"""Ask solvers and grade what they say: the one way in which probes and rollouts become `answers` rows.

The system turn is the unified prompt, the user turn is the problem as training will show it, and the grade is
`capcurriculum.answers.grade`, the function the reward calls, so a pass rate means what the reward will mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import answers, prompts
from capcurriculum.progress import Display
from capcurriculum.recipe_models import ModelSection
from capcurriculum.rows import Answer, Arm, Message, Outcome, Purpose, Question, Request, Response, Sampling
from capcurriculum.run import Run
from datagen import engines
from datagen.asking import Ask, ask_missing


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to ask: a question on one arm, for the `rollout`-th time."""

    question: Question
    arm: Arm
    rollout: int = 0


def messages(question: Question, arm: Arm) -> tuple[Message, ...]:
    """The chat turns of a question on an arm."""
    system = Message("system", prompts.system())
    match arm:
        case Arm.IMAGE | Arm.SWAPPED:
            return system, Message("user", question.problem, images=1)
        case Arm.CAPTION:
            return system, Message("user", prompts.caption_arm(question.caption, question.problem))
        case Arm.BLIND | Arm.TEXT:
            return system, Message("user", question.problem)


def home_arm(question: Question) -> Arm:
    """How training will show the question: with its image if it has one."""
    return Arm.IMAGE if question.image_path else Arm.TEXT


def solve(
    run: Run,
    solver: str,
    model: ModelSection,
    sampling: Sampling,
    purpose: Purpose,
    asked: Sequence[Asked],
    folders: Mapping[str, Path],
    display: Display,
) -> None:
    """Append an answer for everything in `asked` that the run has none for.

    `folders` maps a stage to the folder its image paths are relative to.

    Raises:
        EngineError: the solver cannot be used.
    """
    asks = [Ask(request(item, model.model, sampling, folders), item, item.question.question_id) for item in asked]
    known = run.answers.frame("request_key", "question_id", "solver", "purpose")
    done = {(k, q) for k, q, s, p in known.iter_rows() if s == solver and p == purpose}
    if all(ask.key in done for ask in asks):
        return

    def record(pairs: Sequence[tuple[Ask[Asked], Response]]) -> None:
        run.answers.append(_answer(ask, response, solver, purpose) for ask, response in pairs)

    label = f"{purpose}, {solver}"
    before = sum(ask.key in done for ask in asks)
    with engines.create(model) as engine, display.step(label, len(asks), before) as advance:
        ask_missing(asks, done, engine, record, advance)


def request(item: Asked, model: str, sampling: Sampling, folders: Mapping[str, Path]) -> Request:
    """What the engine is asked; `folders` as in `solve`."""
    question = item.question
    images: tuple[tuple[str, str], ...] = ()
    if item.arm is Arm.IMAGE:
        images = ((question.image_id, str(folders[question.stage] / question.image_path)),)
    return Request.make(model, messages(question, item.arm), sampling, images=images, rollout=item.rollout)


def _answer(ask: Ask[Asked], response: Response, solver: str, purpose: Purpose) -> Answer:
    item = ask.owner
    outcome, answer, detail = graded(item.question, response)
    return Answer(
        request_key=response.key,
        question_id=item.question.question_id,
        solver=solver,
        purpose=purpose,
        arm=item.arm,
        rollout=item.rollout,
        text=response.text,
        answer=answer,
        outcome=outcome,
        finish=response.finish,
        tokens_in=response.tokens_in,
        tokens_out=response.tokens_out,
        prompt_digest=prompts.digest("caption_arm" if item.arm is Arm.CAPTION else "system"),
        detail=detail,
    )


def graded(question: Question, response: Response) -> tuple[Outcome, str, str]:
    """Outcome, answer and detail of a reply."""
    if response.finish == "error":
        return Outcome.FAILED, "", response.error
    if response.finish == "length":
        # A reply cut off before its answer says nothing about what the model sees.
        return Outcome.UNPARSED, "", "cut off at max_tokens"
    grade = answers.grade(response.text, question.answer, question.options or None)
    return grade.outcome, grade.answer, grade.detail
