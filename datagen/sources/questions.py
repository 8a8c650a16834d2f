"""Problems of any origin become `Question` rows, or verdicts: one road for every problem source."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from capcurriculum import answers, prompts
from capcurriculum.grading.kinds import Kind
from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits
from capcurriculum.rows import Outcome, Question, Verdict
from datagen.images import ImageProblem
from datagen.sources.contradictions import Contradictions
from datagen.sources.formats.json_lines import LineProblem, of_row, short, whole
from datagen.sources.formats.record import Record
from datagen.sources.images.images import Pictures, image_name
from datagen.sources.options import answer_keys, choices, in_text

FILTER = "source"
_FEWEST = 2  # options that may be something else: "Take (A) an angle and (B) another"
_NO_LICENSE = "unknown"
_MEND = (
    "if it is a worked solution, name what stands before its final answer in the recipe's columns: gold: {after: ...}"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a source row says.

    With `options`, `problem` is the question alone, and `answer` may name its option in any spelling. Without, and with
    `options_in_text`, options at the end of `problem` are looked for, and count if `answer` names one. `letters_only`:
    a letter without its options, or an answer beside them, is no answer, because the source is multiple choice.
    `image` is what the row holds or names, None for none; `kind` that of a free answer, "" where it is to be found.
    """

    problem: str
    answer: str
    options: tuple[str, ...] = ()
    options_in_text: bool = True
    letters_only: bool = False
    skill: str = "unknown"
    image: object = None
    source: str = ""
    license: str = _NO_LICENSE
    kind: str = ""


@dataclass(frozen=True, slots=True)
class ProblemSource:
    """How to read one source: its records, always in the same order, and what each of them says.

    `parse` raises `LineProblem` for a record that says nothing usable. With `pictures` every problem has an image.
    `convention` says how whole-number keys were read, "" where there are none; `longest` bounds a problem's characters.
    """

    records: Callable[[], Iterator[Record]]
    parse: Callable[[Record], Problem]
    pictures: Pictures | None = None
    convention: str = ""
    longest: int = Limits().problem

    def say(self, record: Record) -> Problem:
        """What a record says; raises `LineProblem` for one that says nothing usable, whatever it holds."""
        with of_row(record.number):
            return self.parse(record)


def read(source: ProblemSource, stage: str, known: Collection[str]) -> Iterator[Question | Verdict]:
    """Questions of `stage`, and verdicts on rows that gave none; ids in `known` are skipped.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    contradicted = Contradictions()
    names = _names(source, known, contradicted)
    if source.pictures:
        source.pictures.prepare(names)
    else:
        deque(names, maxlen=0)
    seen = set[str]()
    for record in source.records():
        if record.key in known:
            continue
        try:
            with of_row(record.number):
                question = whole(_question(source, stage, record, contradicted), record.number)
            if question.question_id in seen:
                raise LineProblem(Reason.DUPLICATE_ROW, f"row {record.number} repeats a problem")
            seen.add(question.question_id)
            if question.question_id not in known:
                with of_row(record.number):
                    _gradable(question, record)
                yield question
        except (LineProblem, ImageProblem) as problem:
            yield Verdict(record.key, stage, FILTER, False, problem.reason, problem.detail)


def _names(source: ProblemSource, known: Collection[str], contradicted: Contradictions) -> Iterator[str]:
    """Names of the image files of usable rows whose keys are not in `known`, after a look at what each row says."""
    for record in source.records():
        try:
            said = source.say(record) if record.problem is None else None
        except LineProblem:
            continue
        if said is not None and len(said.problem) <= source.longest:
            contradicted.see(said)
            if source.pictures and record.key not in known:
                yield from image_name(said)


def _question(source: ProblemSource, stage: str, record: Record, contradicted: Contradictions) -> Question:
    if record.problem:
        raise record.problem
    said = source.say(record)
    short(said.problem + "".join(said.options) + said.answer, source.longest, record.number, "problem")
    if said in contradicted:
        detail = f"row {record.number} answers {said.answer[:60]!r}, and a row that asks the same answers otherwise"
        raise LineProblem(Reason.CONTRADICTED, detail)
    _pictured(source, said, record)
    options = tuple(neutral(option) for option in said.options)
    text = neutral(choices.without_placeholders(said.problem))
    answer = neutral(said.answer)
    if not options and answer and answer_keys.is_missing(answer):
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no answer but {answer!r}")
    if not answer:
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has an empty answer")
    if not text:
        raise LineProblem(Reason.EMPTY_PROBLEM, f"row {record.number} has an empty problem")
    shown = text
    if options:
        options = choices.cleaned(options)
        shown = prompts.choice(text, _lettered(options, record))
        answer = _letter(answer, options, record)
    elif said.options_in_text:
        options, answer = found_in_text(text, answer, record.number, letters_only=said.letters_only)
    if not options and choices.is_prose(answer):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} has a paragraph for an answer; {_MEND}")
    image_id = image_path = ""
    if source.pictures:
        found = source.pictures.find(said.image)
        image_id, image_path = found.image_id, found.path
    return Question(
        question_id=Question.key(stage, image_id, shown, answer),
        stage=stage,
        problem=shown,
        answer=answer,
        options=options,
        skill=neutral(said.skill) or "unknown",
        image_id=image_id,
        image_path=image_path,
        caption="",
        caption_id="",
        source=said.source,
        license=said.license or _NO_LICENSE,
        kind=Kind.CHOICE if options else said.kind or answers.kind_of(answer),
    )


def _pictured(source: ProblemSource, said: Problem, record: Record) -> None:
    """Refuse what has places for more pictures than the row has."""
    if source.pictures is None and choices.placeholders(said.problem):
        raise LineProblem(Reason.NEEDS_PICTURE, f"row {record.number} has a place for a picture, and no picture")
    if any(option.strip() and not choices.without_placeholders(option) for option in said.options):
        raise LineProblem(Reason.SEVERAL_IMAGES, f"row {record.number} has pictures for options")
    if (wanted := choices.placeholders(said.problem)) > 1:
        raise LineProblem(
            Reason.SEVERAL_IMAGES, f"row {record.number} has places for {wanted} images, and one is wanted"
        )


def found_in_text(text: str, answer: str, row: int, *, letters_only: bool = False) -> tuple[tuple[str, ...], str]:
    """Options and letter, or no options and the answer as it is.

    What merely looks like options ("let A: ...") and does not hold the answer is none.

    Raises:
        LineProblem: the text has options for sure, or its source is multiple choice, and the answer is none of them.
    """
    sure, named = in_text.are_sure(text), in_text.names_letters(choices.bare(answer))
    options = in_text.options(text) or (in_text.loose(text) if sure or named else ())
    letter = _in_both_ways(answer, options) if options else ""
    if letter:
        return options, letter
    if options and (sure or (named and len(options) > _FEWEST)):
        # A reply would name a letter, and be marked wrong.
        detail = f"row {row} answers {answer[:80]!r}, and none of the choices in its text is that"
        raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
    if letters_only and (options or (len(answer) == 1 and answer.isalpha())):
        detail = f"row {row} answers {answer[:80]!r}, and no option read from its text is that"
        raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
    return (), answer


def _in_both_ways(answer: str, options: tuple[str, ...]) -> str:
    """The letter of the option that an answer names, "" also where it is the letter of one and the text of another."""
    letter = choices.letter(answer, options)
    if len(answer.strip("() ")) == 1 and choices.by_text(answer.strip("() "), options) not in ("", letter):
        return ""
    return letter


def _lettered(options: tuple[str, ...], record: Record) -> dict[str, str]:
    if not choices.distinct(options):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} has options that cannot be told apart")
    return dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", options, strict=False))


def _letter(answer: str, options: tuple[str, ...], record: Record) -> str:
    letter = choices.letter(answer, options)
    if not letter:
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} answers {answer[:80]!r}, which is no option")
    return letter


def _gradable(question: Question, record: Record) -> None:
    """Refuse what no reply could ever be rewarded for: a trainer would refuse the row."""
    reply = rf"\boxed{{{question.answer}}}"
    grade = answers.grade(reply, question.answer, question.options or None, question.kind)
    if grade.outcome is not Outcome.RIGHT:
        raise LineProblem(
            Reason.UNGRADABLE_ANSWER, f"row {record.number}: the grader does not take its answer as right"
        )
