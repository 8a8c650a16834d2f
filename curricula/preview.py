"""A preview: the whole build for a few rows of each stage, which a later build finds done."""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from capcurriculum.ledger.verdicts import counting
from capcurriculum.locks import Chosen
from capcurriculum.reasons import NOT_JUDGED, Reason
from capcurriculum.render.terminal import visible
from capcurriculum.rows import CaptionedImage, Question
from capcurriculum.run import stage_of_caption
from datagen import exchanges
from datagen.setting import Setting


def of_rows(at: Setting, rows: int) -> Setting:
    """The same build of about `rows` captions or problems of each stage: the first by their ids, which are hashes."""
    units: set[str] = set()
    for stage in at.recipe.stages:
        if stage in at.recipe.captioned:
            found = at.run.captions.scan().filter(stage_of_caption() == stage).sort("caption_id")
            units |= set(found.head(rows).select("image_id").collect()["image_id"])
        else:
            found = at.run.questions.scan().filter(pl.col("stage") == stage).sort("question_id").head(rows)
            units |= {image or question for image, question in found.select("image_id", "question_id").collect().rows()}
    return replace(at, run=replace(at.run, share=Chosen(frozenset(units))))


def shown(at: Setting) -> Iterator[str]:
    """What was asked about each row of a preview, every prompt as it was sent, and what became of it; safe to print."""
    questions = list(at.run.my_questions())
    said: dict[str, list[str]] = {}
    force = set(counting(at.recipe)["params"]) | {""}
    for verdict in at.run.verdicts.rows(pl.col("question_id").is_in([q.question_id for q in questions])):
        if verdict.params in force:
            fate = "kept" if verdict.keep else "not judged" if verdict.reason in NOT_JUDGED else "dropped"
            why = "" if verdict.reason == Reason.KEPT else f", {verdict.reason}"
            said.setdefault(verdict.question_id, []).append(f"{verdict.filter}: {fate}{why} {verdict.detail}".rstrip())
    for stage in at.recipe.stages:
        own = [q for q in questions if q.stage == stage]
        for caption in at.run.my_captions(stage):
            yield from map(visible, _caption(at, caption))
            for question in (q for q in own if q.caption_id == caption.caption_id):
                yield from map(visible, _question(at, question, said.get(question.question_id, [])))
        for question in (q for q in own if not q.caption_id):
            yield from map(visible, _question(at, question, said.get(question.question_id, [])))


def _caption(at: Setting, caption: CaptionedImage) -> Iterator[str]:
    yield ""
    yield f"=== {caption.stage}: caption {caption.caption_id}, image {caption.image_path}"
    yield from ("    " + line for line in caption.caption.splitlines())
    yield from exchanges.lines(exchanges.of_caption(at, caption))


def _question(at: Setting, question: Question, verdicts: list[str]) -> Iterator[str]:
    yield ""
    shown = f", image {question.image_path}" if question.image_path else ""
    yield f"=== {question.stage}: question {question.question_id}{shown}, gold answer {question.answer}"
    yield from exchanges.lines(exchanges.of_question(at, question))
    yield from (f"verdict {verdict}" for verdict in verdicts)
