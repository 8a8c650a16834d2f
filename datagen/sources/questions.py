"""From the records of any source of problems to `Question` rows, or verdicts on those that give none."""

from collections.abc import Collection, Iterator
from string import ascii_uppercase

from capcurriculum import answers, prompts
from capcurriculum.grading.kinds import Kind
from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import Limits
from capcurriculum.rows import Outcome, Question, Verdict
from datagen.image_decoding import ImageProblem
from datagen.sources.contradictions import Contradictions
from datagen.sources.formats.json_lines import LineProblem, of_row, short, whole
from datagen.sources.formats.record import Record
from datagen.sources.options import answer_keys, choices, in_text
from datagen.sources.source import NO_LICENSE, Problem, Source, refusal

_FEWEST = 2  # options that may be something else: "Take (A) an angle and (B) another"
_MEND = (
    "if it is a worked solution, name what stands before its final answer in the recipe's columns: gold: {after: ...}"
)


def read(source: Source[Problem], stage: str, known: Collection[str], limits: Limits) -> Iterator[Question | Verdict]:
    """Questions of `stage`, and verdicts on records that gave none; keys and question ids in `known` are skipped.

    Raises:
        SourceError: the source as a whole cannot be read.
    """
    contradicted = Contradictions()

    def see(said: Problem) -> None:
        if len(said.problem) <= limits.problem:
            contradicted.see(said)

    source.prepare(known, see)
    seen = set[str]()
    for record in source.records():
        if record.key in known:
            continue
        try:
            with of_row(record.number):
                question = whole(_question(source, stage, record, contradicted, limits), record.number)
            if question.question_id in seen:
                raise LineProblem(Reason.DUPLICATE_ROW, f"row {record.number} repeats a problem")
            seen.add(question.question_id)
            if question.question_id not in known:
                with of_row(record.number):
                    _gradable(question, record)
                yield question
        except (LineProblem, ImageProblem) as problem:
            yield refusal(record, problem, stage)


def _question(
    source: Source[Problem], stage: str, record: Record, contradicted: Contradictions, limits: Limits
) -> Question:
    said = source.say(record)
    short(said.problem + "".join(said.options) + said.answer, limits.problem, record.number, "problem")
    if said in contradicted:
        detail = f"row {record.number} answers {said.answer[:60]!r}, and a row that asks the same answers otherwise"
        raise LineProblem(Reason.CONTRADICTED, detail)
    _check_placeholders(said, record, shows_images=source.images is not None)
    problem, options, answer = _asked(said, record)
    image = source.image(said)
    return Question(
        question_id=Question.key(stage, image.image_id, problem, answer),
        stage=stage,
        problem=problem,
        answer=answer,
        options=options,
        skill=neutral(said.skill) or "unknown",
        image_id=image.image_id,
        image_path=image.path,
        caption="",
        caption_id="",
        source=said.source,
        license=said.license or NO_LICENSE,
        kind=Kind.CHOICE if options else said.kind or answers.kind_of(answer),
    )


def _asked(said: Problem, record: Record) -> tuple[str, tuple[str, ...], str]:
    """The problem as it is shown, its options, and the gold answer: the letter of one of them where there are any."""
    options = tuple(neutral(option) for option in said.options)
    text = neutral(choices.without_placeholders(said.problem))
    answer = neutral(said.answer)
    if not options and answer and answer_keys.is_missing(answer):
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has no answer but {answer!r}")
    if not answer:
        raise LineProblem(Reason.MISSING_FIELD, f"row {record.number} has an empty answer")
    if not text:
        raise LineProblem(Reason.EMPTY_PROBLEM, f"row {record.number} has an empty problem")
    if options:
        if not choices.distinct(options):
            raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} has options that cannot be told apart")
        if not (letter := choices.letter(answer, options)):
            detail = f"row {record.number} answers {answer[:80]!r}, which is no option"
            raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
        return prompts.choice(text, dict(zip(ascii_uppercase, options, strict=False))), options, letter
    if said.options_in_text:
        options, answer = _options_in_text(text, answer, record.number, letters_only=said.letters_only)
    if not options and choices.is_prose(answer):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"row {record.number} has a paragraph for an answer; {_MEND}")
    return text, options, answer


def _check_placeholders(said: Problem, record: Record, *, shows_images: bool) -> None:
    """Refuse a problem with placeholders for more images than the row has."""
    wanted = choices.placeholders(said.problem)
    if wanted and not shows_images:
        raise LineProblem(Reason.NEEDS_PICTURE, f"row {record.number} has a place for an image, and no image")
    if any(option.strip() and not choices.without_placeholders(option) for option in said.options):
        raise LineProblem(Reason.SEVERAL_IMAGES, f"row {record.number} has images for options")
    if wanted > 1:
        detail = f"row {record.number} has places for {wanted} images, and one is wanted"
        raise LineProblem(Reason.SEVERAL_IMAGES, detail)


def _options_in_text(text: str, answer: str, row: int, *, letters_only: bool) -> tuple[tuple[str, ...], str]:
    """Options and letter, or no options and the answer as it is.

    What merely looks like options ("let A: ...") and does not hold the answer is none, except where the text has
    options for sure, or its source is multiple choice: then the row is refused.
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


def _gradable(question: Question, record: Record) -> None:
    """Refuse a question whose own gold answer is not graded right: no reply could earn a reward."""
    reply = rf"\boxed{{{question.answer}}}"
    grade = answers.grade(reply, question.answer, question.options or None, question.kind)
    if grade.outcome is not Outcome.RIGHT:
        detail = f"row {record.number}: the grader does not take its answer as right"
        raise LineProblem(Reason.UNGRADABLE_ANSWER, detail)
