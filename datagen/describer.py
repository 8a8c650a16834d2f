"""Auditors that describe: a model describes the image, seeing nothing else, and a reader answers from what it wrote.

Neither caption nor question nor options can lead a description, so it also shows that what a question asks about is not
there. It depends on the image alone: it is asked for once, kept, and read for every question about that image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from capcurriculum import prompts
from capcurriculum.recipe.auditor import AuditSection
from capcurriculum.rows import (
    SCHEMA,
    Answer,
    Arm,
    Description,
    Message,
    Outcome,
    Purpose,
    Question,
    Request,
    Response,
    digest,
)
from capcurriculum.tables import Table
from datagen import engines
from datagen.asking.ask_missing import Line, ask_missing
from datagen.asking.meter import Meter
from datagen.asking.outcomes import Heard, look
from datagen.option_rotation import rotated
from datagen.setting import Setting
from datagen.solver import Asked, ImageFile, Solver, answer_row, graded, messages

STEP = "describe"


def audit(at: Setting, section: AuditSection, name: str, questions: Sequence[Question]) -> None:
    """Append the descriptions of the model `name`, and the votes read from them, that are missing on these questions.

    Raises:
        EngineError: the model or the reader cannot be used.
    """
    describing = Describing(at, section, name)
    describing.ask(questions)
    with Reader(at, section, name, describing.texts(questions)) as reader:
        reader.read(questions)


@dataclass(frozen=True, slots=True)
class View:
    """One description to ask for: of an image with an absolute path, for the `rollout`-th time."""

    image: ImageFile
    rollout: int


class Describing:
    """The descriptions of one model of a section; see `datagen.asking.ask_missing.Job`."""

    def __init__(self, at: Setting, section: AuditSection, name: str) -> None:
        self.at, self.section = at, section
        self.model = at.recipe.models[name]
        self.name = section.describer(name, at.recipe.models)
        self.instruction = section.instruction or prompts.describe()
        own = digest(SCHEMA, "instruction", section.instruction)
        self.prompt_digest = own if section.instruction else prompts.digest("describe")
        self._known: set[tuple[str, int]] = set()
        self.heard = Heard(STEP, f"{name} ({self.model.model})", look(at.run, "descriptions"))

    def ask(self, questions: Iterable[Question]) -> None:
        """Append the descriptions of the questions' images that the run does not hold.

        Raises:
            EngineError: the model cannot be used.
        """
        images = {q.image_id: ImageFile(q.image_id, str(self.at.folders[q.stage] / q.image_path)) for q in questions}
        views = [View(image, vote) for image in images.values() for vote in range(self.section.votes)]
        self._known = set(self._mine().select("image_id", "rollout").collect().iter_rows())
        before = sum(map(self.done, views))
        if before < len(views):
            line = Line(self.at.display, f"{STEP}, {self.name}", len(views), before)
            with engines.create(self.model) as engine:
                ask_missing(views, self, engine, Meter(self.at.run, STEP, self.name, engine.traffic), line)

    def texts(self, questions: Iterable[Question]) -> dict[tuple[str, int], str]:
        """(image, rollout) -> what the run's table holds of the questions' images; empty where the model gave none."""
        images = {q.image_id for q in questions}
        found = self._mine().filter(pl.col("image_id").is_in(list(images)), pl.col("rollout") < self.section.votes)
        rows = found.select("image_id", "rollout", "text").collect().iter_rows()
        return {(image, rollout): text for image, rollout, text in rows}

    def _mine(self) -> pl.LazyFrame:
        return self.at.run.descriptions.scan().filter(pl.col("describer") == self.name)

    def done(self, item: View) -> bool:
        """Whether the run holds it."""
        return (item.image.image_id, item.rollout) in self._known

    def request(self, item: View) -> Request:
        """The request for it."""
        shown = (item.image.image_id, item.image.path)
        turns = (Message("user", self.instruction, images=1),)
        sampling = self.section.sampling.record()
        return Request.make(self.model.model, turns, sampling, images=(shown,), rollout=item.rollout)

    def row(self, item: View, response: Response) -> Description:
        """The reply as a row; a truncated one is kept."""
        return Description(
            request_key=response.key,
            image_id=item.image.image_id,
            describer=self.name,
            rollout=item.rollout,
            text="" if response.finish == "error" else response.text,
            finish=response.finish,
            tokens_in=response.tokens_in,
            tokens_out=response.tokens_out,
            prompt_digest=self.prompt_digest,
        )

    @property
    def table(self) -> Table[Description]:
        """Where the rows go."""
        return self.at.run.descriptions


class Reader(Solver):
    """A section's reader of the descriptions of the model `name`; the run knows its votes by `AuditSection.asker`.

    `texts` are the descriptions by image and rollout.
    """

    def __init__(self, at: Setting, section: AuditSection, name: str, texts: Mapping[tuple[str, int], str]) -> None:
        assert section.reader is not None
        known, model = section.asker(name, at.recipe.models), at.recipe.models[section.reader.model]
        super().__init__(at, known, model, section.reader.sampling.record(), Purpose.AUDIT)
        self.section, self.reader, self.texts = section, section.reader, texts
        self.further = (prompts.NOT_TOLD,) if self.reader.may_pass else ()

    def read(self, questions: Sequence[Question]) -> None:
        """Append the votes that are missing on these questions.

        Raises:
            EngineError: the reader cannot be used.
        """
        self.remember(questions)
        # Where there is nothing to read no request is made, and the vote is unknown.
        items = (item for q in questions for item in self.asked(q) if not self._text(item) and not self.done(item))
        self.table.append([self.row(item, self._nothing(item)) for item in items])
        self.ask_all(questions, self.asked)

    def asked(self, question: Question) -> Iterator[Asked]:
        """All readings of one question."""
        for vote in range(self.section.votes):
            for order in range(self.reader.orders):
                yield Asked(question, Arm.DESCRIPTION, vote, order)

    def request(self, item: Asked) -> Request:
        """The request for it."""
        read = replace(item.question, caption=self._text(item))
        turns = messages(read, item.arm, item.order)
        if self.further:
            problem, options, _ = rotated(read, item.order)
            letters = "ABCDE"[: len(options) + 1]
            problem = prompts.choice(read.text, dict(zip(letters, (*options, *self.further), strict=True)))
            turns = (turns[0], Message("user", prompts.reader(read.caption, problem, letters[-1])))
        return Request.make(self.model.model, turns, self.sampling)

    def graded(self, item: Asked, response: Response) -> Answer:
        """The reading as a row; that the description does not tell is no choice, and no failure to reply."""
        outcome, answer, detail = graded(item.question, response, item.order, self.further)
        if answer == "E":
            outcome, answer = Outcome.UNPARSED, "unsure"
        template = "reader" if self.further else "caption_arm"
        found, digest = (outcome, answer, detail), prompts.digest(template)
        return answer_row(item, response, self.name, self.purpose, found, digest)

    def _text(self, item: Asked) -> str:
        return self.texts.get((item.question.image_id, item.rollout), "")

    def _nothing(self, item: Asked) -> Response:
        key = digest(SCHEMA, "nothing to read", self.name, item.question.question_id, item.rollout, item.order)
        return Response(key, "", "error", error="there is no description to read")
