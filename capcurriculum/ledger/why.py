"""The whole life of one row, as lines: where it came from, what was asked and answered, and every verdict."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger import query
from capcurriculum.ledger.verdicts import counting
from capcurriculum.render.terminal import visible
from capcurriculum.rows import Answer, Purpose
from capcurriculum.run import Run
from capcurriculum.stats import PassRate


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids under which one row is known: as a caption or source line, and as questions."""

    captions: frozenset[str]
    questions: frozenset[str]

    def __contains__(self, row: str) -> bool:
        return row in self.captions or row in self.questions


def life(run: Run, prefix: str) -> Iterator[str]:
    """The lines of the row whose id begins with `prefix`, safe to print.

    Raises:
        RunError: `prefix` names no row, or several.
    """
    ids = ids_of(run, prefix)
    yield from _captions(run, ids)
    yield from _questions(run, ids)
    answers = [a for a in run.answers.rows() if a.question_id in ids.questions]
    yield from _answers(answers)
    yield from _pass_rates(answers)
    yield from _reviews(run, ids)
    force = set(counting(run.recipe())["params"])
    for verdict in run.verdicts.rows():
        if verdict.question_id in ids:
            kept = "keep" if verdict.keep else "drop"
            said = f"verdict {verdict.filter}: {kept}, {verdict.reason} {visible(verdict.detail)}".rstrip()
            # A verdict under parameters that the recipe no longer has is history.
            old = verdict.params and verdict.params not in force and verdict.filter != Purpose.REFRESH
            yield f"{said} (under other parameters)" if old else said
    yield from _places(run, ids)


def ids_of(run: Run, prefix: str) -> Ids:
    """The ids of the row whose id begins with `prefix`: a caption brings its questions, and a question its caption.

    Raises:
        RunError: `prefix` names no row, or several.
    """
    row = query.find(run, prefix)
    pairs = [(q.caption_id, q.question_id) for q in run.questions.rows()]
    captions = {row} | {caption for caption, question in pairs if question == row and caption}
    questions = {row} | {question for caption, question in pairs if caption == row}
    return Ids(frozenset(captions), frozenset(questions))


def _captions(run: Run, ids: Ids) -> Iterator[str]:
    for caption in run.captions.rows():
        if caption.caption_id in ids.captions or caption.row_key in ids.captions:
            yield f"caption {caption.caption_id} from {visible(caption.source)}, {visible(caption.example_id)}"
            yield f"  image {visible(caption.image_path)} ({caption.image_id}), licence {visible(caption.license)}"
            yield f"  {visible(caption.caption)}"
            for one in run.descriptions.where(pl.col("image_id") == caption.image_id):
                yield f"description {one.rollout} by {visible(one.describer)}: {visible(one.text) or 'none'}"
    for attempt in run.attempts.rows():
        if attempt.caption_id in ids.captions:
            said = visible(attempt.problem) or "usable"
            yield f"teacher {visible(attempt.model)}, try {attempt.attempt}, asked about {attempt.skill}: {said}"


def _questions(run: Run, ids: Ids) -> Iterator[str]:
    for question in run.questions.rows():
        if question.question_id in ids.questions:
            answer = visible(question.answer)
            yield f"question {question.question_id}, {question.stage}, {visible(question.skill)}, answer {answer}"
            yield from ("  " + visible(line) for line in question.problem.splitlines())


def _answers(answers: Iterable[Answer]) -> Iterator[str]:
    for a in sorted(answers, key=lambda a: (a.purpose, a.solver, a.arm, a.order, a.rollout)):
        said = f"{a.outcome} {visible(a.answer)} {visible(a.detail)}".rstrip()
        order = ", options rotated" if a.order else ""
        yield f"{a.purpose} {a.solver}, {a.arm} {a.rollout}{order}: {said}"


def _pass_rates(answers: Iterable[Answer]) -> Iterator[str]:
    """One line for each model and checkpoint that measured how hard the row is."""
    measured: dict[tuple[str, str, str], list[str]] = {}
    for a in sorted(answers, key=lambda a: a.purpose != Purpose.ROLLOUT):
        if a.purpose in (Purpose.ROLLOUT, Purpose.REFRESH):
            measured.setdefault((a.question_id, a.purpose, a.solver), []).append(a.outcome)
    for (question, _, solver), outcomes in measured.items():
        yield f"pass rate of {question} under {visible(solver)}: {PassRate.of(outcomes)}"


def _reviews(run: Run, ids: Ids) -> Iterator[str]:
    for review in run.reviews.rows():
        if review.question_id in ids.questions:
            said = ", ".join(filter(None, (review.right or "nothing", review.choice, review.kind, review.comment)))
            state = "" if review.state == "submitted" else f" ({review.state})"
            yield visible(f"review by {review.annotator}, {review.said_at}{state}: key right? {said}")


def _places(run: Run, ids: Ids) -> Iterator[str]:
    if not any(query.stage_files(run).values()):
        return
    _, rows = query.query(run, "select question_id, stage, split, index, pass_k, pass_n from stages")
    for question, stage, split, index, right, asked in rows:
        if question in ids.questions:
            yield f"stage file {stage}/{split}, row {index}, pass rate {right} of {asked}"
