"""What was asked about a row and what came back, with every prompt as it was sent.

Tables keep replies and not prompts. A request follows from its row, so it is made again as it was made then; its key,
which was kept with the reply, says whether it is still the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger.why import Ids
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.rows import Answer, Arm, Attempt, CaptionedImage, Message, Purpose, Question, Request
from datagen.auditor import Auditor
from datagen.describer import Describing, Reader, View
from datagen.probe import swaps
from datagen.setting import Setting
from datagen.solver import Asked, ImageFile, Solver
from datagen.teacher import tasks
from datagen.teacher.write import request as teacher_request

_ORDER = [Purpose.PROBE, Purpose.AUDIT, Purpose.ROLLOUT]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its reply.

    `asked` says of whom, for what. `request` is None where the recipe no longer asks so, or asks otherwise by now.
    `said` is what the reply was taken for.
    """

    asked: str
    request: Request | None
    text: str
    said: str


def of_row(at: Setting, ids: Ids) -> Iterator[Exchange]:
    """All exchanges about a caption and its questions."""
    for caption in at.run.captions.rows(pl.col("caption_id").is_in(list(ids.captions))):
        yield from of_caption(at, caption)
    for question in at.run.questions.rows(pl.col("question_id").is_in(list(ids.questions))):
        yield from of_question(at, question)


def of_caption(at: Setting, caption: CaptionedImage) -> Iterator[Exchange]:
    """The teacher's tries on a caption, in their order."""
    if caption.stage not in at.recipe.captioned:
        return
    teacher = at.recipe.captioned[caption.stage].teacher
    model, folder = at.recipe.models[teacher.model].model, at.folders[caption.stage]
    own = sorted(at.run.attempts.where(pl.col("caption_id") == caption.caption_id), key=lambda a: (a.slot, a.attempt))
    before: list[Attempt] = []
    for attempt in own:
        task = tasks.following(caption, before, teacher, at.recipe.seed)
        made = teacher_request(teacher, model, task, folder) if task else None
        before.append(attempt)
        again = f", try {attempt.attempt}" if attempt.attempt > 1 else ""
        said = f"refused: {attempt.problem}" if attempt.problem else "taken"
        yield Exchange(f"teacher {teacher.model}{again}", _same(made, attempt.request_key), attempt.text, said)


def of_question(at: Setting, question: Question) -> Iterator[Exchange]:
    """The solvers', the auditors' and the policy's replies to a question, in the order of the build."""
    found = [a for a in at.run.answers.where(pl.col("question_id") == question.question_id) if a.purpose in _ORDER]
    yield from _descriptions(at, question)
    jobs: dict[tuple[str, str], Callable[[Asked], Request] | None] = {}
    swapped = _swapped(at, question) if any(a.arm == Arm.SWAPPED for a in found) else {}
    for answer in sorted(found, key=lambda a: (_ORDER.index(Purpose(a.purpose)), a.solver, a.order, a.arm, a.rollout)):
        key = (answer.purpose, answer.solver)
        if key not in jobs:
            jobs[key] = _job(at, question, answer)
        shown = swapped.get(question.image_id) if answer.arm == Arm.SWAPPED else None
        item = Asked(question, Arm(answer.arm), answer.rollout, answer.order, shown)
        ask = jobs[key]
        turned = ", options rotated" if answer.order else ""
        asked = f"{answer.purpose} {answer.solver}, {answer.arm} {answer.rollout}{turned}"
        said = f"{answer.outcome} {answer.answer} {answer.detail}".rstrip()
        yield Exchange(asked, _same(ask(item), answer.request_key) if ask else None, answer.text, said)


def _same(request: Request | None, key: str) -> Request | None:
    return request if request and request.key == key else None


def _job(at: Setting, question: Question, answer: Answer) -> Callable[[Asked], Request] | None:
    """How the asker of an answer makes its requests; None if the recipe has none by that name."""
    recipe, name = at.recipe, answer.solver
    match Purpose(answer.purpose):
        case Purpose.PROBE if name in recipe.models and question.stage in recipe.captioned:
            sampling = recipe.captioned[question.stage].probe.sampling.record()
            return Solver(at, name, recipe.models[name], sampling, Purpose.PROBE).request
        case Purpose.ROLLOUT if name in recipe.models:
            return Solver(at, name, recipe.models[name], recipe.rollouts.sampling.record(), Purpose.ROLLOUT).request
        case Purpose.AUDIT:
            return _auditing(at, question, name)
        case _:
            return None


def _auditing(at: Setting, question: Question, known: str) -> Callable[[Asked], Request] | None:
    for section, name in _auditors(at):
        if section.asker(name, at.recipe.models) == known:
            if not section.reader:
                return Auditor(at, section, name).request
            return Reader(at, section, name, Describing(at, section, name).texts([question])).request
    return None


def _auditors(at: Setting) -> Iterator[tuple[AuditFilterSection, str]]:
    for section in at.recipe.filters:
        if isinstance(section, AuditFilterSection):
            yield from ((section, name) for name in section.models)


def _descriptions(at: Setting, question: Question) -> Iterator[Exchange]:
    """What auditors wrote of the question's image."""
    if not question.image_path:
        return
    image = ImageFile(question.image_id, str(at.folders[question.stage] / question.image_path))
    made = {s.describer(name, at.recipe.models): (s, name) for s, name in _auditors(at) if s.reader}
    for one in at.run.descriptions.where(pl.col("image_id") == question.image_id):
        request = None
        if one.describer in made:
            request = Describing(at, *made[one.describer]).request(View(image, one.rollout))
        said = "no description" if one.finish == "error" else "a description"
        yield Exchange(f"describe {one.describer}, {one.rollout}", _same(request, one.request_key), one.text, said)


def _swapped(at: Setting, question: Question) -> Mapping[str, ImageFile]:
    return swaps(at.run, at.recipe.captioned[question.stage].probe, at.recipe.seed, question.stage)


def lines(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """The exchanges as text; what was sent before is not written again."""
    before: set[tuple[Message, tuple[str, ...]]] = set()
    for one in exchanges:
        yield one.asked
        if one.request is None:
            yield "  (asked in another way than this recipe asks now)"
        else:
            shown = [(message, one.request.image_paths if message.images else ()) for message in one.request.messages]
            if before.issuperset(shown):
                yield "  (the prompt above)"
            else:
                for turn in shown:
                    yield from _turn(*turn, again=turn in before)
            before.update(shown)
        yield "  reply"
        yield from ("    " + line for line in one.text.splitlines() or ["(none)"])
        yield f"  -> {one.said}"


def _turn(message: Message, images: tuple[str, ...], *, again: bool) -> Iterator[str]:
    yield f"  [{message.role}]" + "".join(f" <image {path}>" for path in images) + (" as above" if again else "")
    if not again:
        yield from ("    " + line for line in message.text.splitlines())
