"""Reasoning problems with gold answers: `problems.jsonl`, with an `images/` folder when they have images.

Each line holds problem and answer, optionally skill and image_file. A line that cannot be used becomes a verdict.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from capcurriculum import answers
from capcurriculum.grading.kinds import Kind
from capcurriculum.prompts import neutral
from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Outcome, Question, Verdict
from datagen import images, shown
from datagen.sources import questions
from datagen.sources.contradictions import Contradictions
from datagen.sources.formats import file_names
from datagen.sources.formats.json_lines import Line, LineProblem, of_row, read_lines, short, whole
from datagen.sources.options import choices
from datagen.sources.options.answer_keys import is_missing

PROBLEMS = "problems.jsonl"


def read_problems(
    section: SourceSection, folder: Path, stage: str, visual: bool, known: Collection[str]
) -> Iterator[Question | Verdict]:
    """Questions of `stage`, and verdicts on lines that gave none; ids in `known` are skipped.

    Each has an image if they are `visual`.
    """
    seen, contradicted = set[str](), _contradicted(section, folder)
    for line in read_lines(folder / PROBLEMS, section.source or folder.name, section.limit, section.limits.line):
        if line.key in known:
            continue
        try:
            if _said(line) in contradicted:
                raise LineProblem(
                    Reason.CONTRADICTED, f"a line that asks the same as line {line.number} answers otherwise"
                )
            with of_row(line.number):
                question = whole(_question(section, folder, stage, visual, line), line.number)
            if question.question_id in seen:
                raise LineProblem(Reason.DUPLICATE_ROW, f"line {line.number} repeats a problem")
            seen.add(question.question_id)
            if question.question_id not in known:
                yield question
        except (LineProblem, images.ImageProblem) as problem:
            yield Verdict(line.key, stage, "source", False, problem.reason, problem.detail)


def _contradicted(section: SourceSection, folder: Path) -> Contradictions:
    """What the lines that are taken ask and answer, in a pass that opens no image."""
    found = Contradictions()
    for line in read_lines(folder / PROBLEMS, section.source or folder.name, section.limit, section.limits.line):
        try:
            found.see(_said(line))
        except LineProblem:
            continue
    return found


def _said(line: Line) -> questions.Problem:
    fields = line.fields()
    problem, answer = line.string(fields, "problem"), line.string(fields, "answer")
    return questions.Problem(problem, answer, image=fields.get("image_file"))


def _question(section: SourceSection, folder: Path, stage: str, visual: bool, line: Line) -> Question:
    fields = line.fields()
    if not visual and choices.placeholders(line.string(fields, "problem")):
        raise LineProblem(Reason.NEEDS_PICTURE, f"line {line.number} has a place for a picture, and no picture")
    short(line.string(fields, "problem"), section.limits.problem, line.number, "problem")
    problem = neutral(choices.without_placeholders(line.string(fields, "problem")))
    short(line.string(fields, "answer"), section.limits.problem, line.number, "problem")
    answer = neutral(line.string(fields, "answer"))
    if not problem or not answer:
        raise LineProblem(Reason.EMPTY_PROBLEM, f"line {line.number} has an empty problem or answer")
    if is_missing(answer):
        raise LineProblem(Reason.MISSING_FIELD, f"line {line.number} answers {answer!r}, which says that none is known")
    if fields.get("options") or fields.get("choices"):
        detail = f"line {line.number} has options; map its columns in the recipe (columns: {{options: ...}})"
        raise LineProblem(Reason.MISSING_OPTIONS, detail)
    options, answer = questions.found_in_text(problem, answer, line.number)
    if not options and choices.is_prose(answer):
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"line {line.number} has a paragraph for an answer; give it alone")
    kind = Kind.CHOICE if options else answers.kind_of(answer)
    if answers.grade(rf"\boxed{{{answer}}}", answer, options or None, kind).outcome is not Outcome.RIGHT:
        # No reply could ever be rewarded for it, so a trainer would refuse the row.
        raise LineProblem(Reason.UNGRADABLE_ANSWER, f"line {line.number}: the grader does not take its answer as right")
    image_id = image_path = ""
    if visual:
        path, name = file_names.inside(folder / "images", line.string(fields, "image_file"))
        image_id = shown.checked(images.file_bytes(path), section.max_pixels).image_id
        image_path = f"images/{name}"
    skill = fields.get("skill")
    return Question(
        question_id=Question.key(stage, image_id, problem, answer),
        stage=stage,
        problem=problem,
        answer=answer,
        options=options,
        skill=neutral(skill) if isinstance(skill, str) else "unknown",
        image_id=image_id,
        image_path=image_path,
        caption="",
        caption_id="",
        source=section.source or folder.name,
        license=section.license,
        kind=kind,
    )
