"""One flow instead of steps: questions are probed as they are written, and rolled out as they are kept.

Models behind endpoints work at the same time, so a build waits for the slowest of them once and not after every step. A
flow only asks: what it asks, and of whom, is what the steps of the build would ask, which afterwards find nothing left,
derive, judge and write. So it may stop anywhere, and leaves out what it cannot decide: models in this process, filters
that compare questions, and rows that auditors judge.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from capcurriculum.ledger.corrections import AS_WRITTEN
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.rows import Answer, CaptionedImage, Purpose, Question
from datagen import rollouts
from datagen.asking import ask_missing
from datagen.asking.ask_missing import Line
from datagen.asking.meter import timed
from datagen.engines.openai.engine import OpenAIEngine, merged
from datagen.flow_sources import Checks, Model, Part, Pending
from datagen.probe import Needs, Replies, among, answered
from datagen.setting import Setting
from datagen.solver import Asked, Solver
from datagen.teacher import derive, tasks
from datagen.teacher.write import Writing
from datagen.undecided import key_of


@dataclass(frozen=True, slots=True)
class Admission:
    """Which questions may be asked about: those of `known` that are `alive`, and others that `admits` lets through.

    `admits` is called from several threads.
    """

    known: Container[str]
    alive: Container[str]
    admits: Callable[[Question], bool]


def streams(recipe: Recipe, model: str) -> bool:
    """Whether a model is behind an endpoint and can be asked beside others."""
    return recipe.models[model].engine == "openai"


def flow(at: Setting, admission: Admission) -> None:
    """Append the replies that are missing, as far as they can be asked for in one flow.

    Raises:
        EngineError: a model cannot be used; replies that have come are kept.
    """
    with ExitStack() as stack:
        stack.enter_context(at.display.together())
        found = _Flow(at, admission, stack)
        try:
            found.begin()
            with closing(merged(found.sources)) as replies:
                for source, reply in timed(replies, found.waited):
                    source.heard(reply)
                    found.flush()
            found.release()
        finally:
            found.close()
        found.conclude()


class _Flow:
    """What is asked next: of captions, then of their questions and of those that problems came with."""

    def __init__(self, at: Setting, admission: Admission, stack: ExitStack) -> None:
        self.at, self.run, self.recipe = at, at.run, at.recipe
        self.admission, self._stack = admission, stack
        self.sources: list[Any] = []
        self._pending = Pending()
        self._models: dict[str, Model] = {}
        self._parts: dict[tuple[str, ...], Part] = {}
        self._checks: Checks | None = None
        self._seen: set[str] = set()
        self._needs: dict[str, Needs] = {}
        self._replies = Replies(dict)
        self._owed: defaultdict[str, int] = defaultdict(int)
        #: Questions whose rollouts were complete at the beginning, which are many in a resumed build.
        self._rolled: set[str] = set()
        self._solvers: dict[tuple[str, ...], Solver] = {}
        self._begun = False
        self._flushed = time.monotonic()
        self._audited = {stage for f in at.recipe.filters if f.phase is Phase.AUDIT for stage in f.stages}

    def begin(self) -> None:
        """Ask the first things."""
        probed = [stage for stage in self.recipe.captioned if self._probed(stage)]
        there = [q for q in self.run.my_questions() if q.question_id in self.admission.alive]
        self._needs = {stage: Needs(self.at, stage) for stage in probed}
        self._replies = answered(self.run, AS_WRITTEN, among(q for q in there if q.stage in probed))
        if streams(self.recipe, self.recipe.rollouts.model):
            section = self.recipe.rollouts
            self._rolled = self._rolling().complete(range(section.k)) if section.stop == "never" else set()
            self._rolling().remember(
                [q for q in there if q.stage not in self._audited and q.question_id not in self._rolled]
            )
        for question in sorted(there, key=lambda q: (q.stage, q.image_id, q.question_id)):
            self._seen.add(question.question_id)
            if question.stage in self.recipe.captioned:
                self.probe(question)
            else:
                self._measure(question)
        for stage, made in self.recipe.captioned.items():
            if streams(self.recipe, made.teacher.model):
                self._teach(stage)
        self._begun = True

    def _probed(self, stage: str) -> bool:
        return all(streams(self.recipe, solver) for solver in self.recipe.captioned[stage].probe.solvers)

    def _teach(self, stage: str) -> None:
        captions = sorted(self.run.my_captions(stage), key=lambda row: row.caption_id)
        writing = Writing(self.at, stage)

        def ask(caption: CaptionedImage) -> None:
            if items := writing.following(caption):
                self._put(part, items)
                return
            part.finished += 1
            for question in derive.questions(caption, writing.attempts.get(caption.caption_id, ())):
                self._written(question)

        if tasks.finished(captions, writing.attempts, writing.teacher):
            return
        if self._probed(stage):
            written = (derive.questions(caption, writing.attempts.get(caption.caption_id, ())) for caption in captions)
            self._recall([q for questions in written for q in questions if q.question_id not in self.admission.known])
        part = self._part("teacher", writing.teacher.model, stage, writing, len(captions))
        part.then = lambda task: ask(task.caption)
        for caption in captions:
            ask(caption)

    def _recall(self, questions: Sequence[Question]) -> None:
        """Read the replies to questions that a killed build had asked about before they were in their table."""
        if questions:
            self._replies |= answered(self.run, AS_WRITTEN, among(questions))
            if streams(self.recipe, self.recipe.rollouts.model):
                self._rolling().remember(questions)

    def _written(self, question: Question) -> None:
        """Have a question judged that the teacher has just written; filters have judged those of the table."""
        if question.question_id in self._seen or not self._probed(question.stage):
            return
        self._seen.add(question.question_id)
        if question.question_id not in self.admission.known:
            if self._checks is None:
                self._checks = Checks(self.admission.admits, self.probe, self._pending, self._stack)
                self.sources.append(self._checks)
            self._checks.put(question)

    def probe(self, question: Question) -> None:
        """Ask what solvers have still to be asked about a question, and then for its rollouts if it is kept."""
        if question.stage not in self._needs:
            return
        needs, replies = self._needs[question.stage], self._replies[question.question_id]
        keys = needs.undecided.needed(question, list(replies.values()))
        if not keys:
            kept = needs.undecided.deciding(question, list(self._replies.pop(question.question_id).values()))
            if kept is not None:
                self._measure(question)
            return
        asked = [(key[0], needs.item(question, key, replies)) for key in keys]
        asked = asked if needs.undecided.in_control(question) else asked[:1]
        self._owed[question.question_id] += len(asked)
        for name, item in asked:
            self._put(self._probing(question.stage, name), [item])

    def _measure(self, question: Question) -> None:
        if question.stage in self._audited or not streams(self.recipe, self.recipe.rollouts.model):
            return
        if question.question_id in self._rolled:
            return
        solver = self._rolling()
        items = rollouts.following(question, solver, self.recipe.rollouts)
        self._owed[question.question_id] += len(items)
        if items:
            self._put(self._part(Purpose.ROLLOUT, solver.name, "", solver, None), items)

    def _probing(self, stage: str, name: str) -> Part:
        if (Purpose.PROBE, name, stage) not in self._parts:
            sampling = self.recipe.captioned[stage].probe.sampling.record()
            model = self.recipe.models[name]
            solver = Solver(self.at, name, model, sampling, Purpose.PROBE)
            solver.on_answer = self._note
            part = self._part(Purpose.PROBE, name, stage, solver, None)
            part.then = lambda item: self._answered(item, self.probe)
        return self._parts[Purpose.PROBE, name, stage]

    def _rolling(self) -> Solver:
        section, key = self.recipe.rollouts, (Purpose.ROLLOUT, self.recipe.rollouts.model, "")
        if key not in self._solvers:
            model, sampling = self.recipe.models[section.model], section.sampling.record()
            self._solvers[key] = Solver(self.at, section.model, model, sampling, Purpose.ROLLOUT)
        return self._solvers[key]

    def _note(self, answer: Answer) -> None:
        self._replies[answer.question_id][key_of(answer)] = answer

    def _answered(self, item: Asked, then: Callable[[Question], None]) -> None:
        key = item.question.question_id
        self._owed[key] -= 1
        if not self._owed[key]:
            del self._owed[key]
            then(item.question)

    def _part(self, step: str, name: str, stage: str, job: Any, total: int | None) -> Part:
        key = (step, name, stage)
        if key not in self._parts:
            if name not in self._models:
                engine = self._stack.enter_context(OpenAIEngine(self.recipe.models[name]))
                self._models[name] = Model(engine, self._pending)
                self.sources.append(self._models[name])
            label = step if step == "teacher" else f"{step}, {name}"
            label += f", {stage}" if stage not in ("", "perception") else ""
            part = Part(job, self._models[name], step, name, Line(self.at.display, label, total), self.run)
            if step == Purpose.ROLLOUT:
                part.then = lambda item: self._answered(item, self._measure)
            self._parts[key] = part
        return self._parts[key]

    def _put(self, part: Part, items: Sequence[Any]) -> None:
        """Queue these: first, where they follow from a reply, since the engine may have their image in its cache."""
        asked = [(part, item) for item in items if not part.taken_over(item)]
        self._pending.count += len(asked)
        part.owed += len(asked)
        if self._begun:
            part.model.queue.extendleft(reversed(asked))
        else:
            part.model.queue.extend(asked)

    def waited(self, seconds: float) -> None:
        """Add seconds in which a reply was waited for to the clocks of all steps that wait for one.

        Steps that ask one model share them.
        """
        for model in self._models.values():
            waiting = [part for part in self._parts.values() if part.model is model and part.owed]
            for part in waiting:
                part.rows.meter.wait(seconds / len(waiting))

    def flush(self) -> None:
        """Write what is ready, if it is time."""
        if (
            time.monotonic() - self._flushed > ask_missing.FLUSH_SECONDS
            or sum(len(part.rows.ready) for part in self._parts.values()) >= ask_missing.FLUSH_ROWS
        ):
            self.keep()

    def keep(self) -> None:
        """Write what is ready."""
        for part in self._parts.values():
            part.rows.keep()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Write what is ready, and end the lines of progress in the order in which they began."""
        for part in self._parts.values():
            part.rows.close()
        for part in self._parts.values():
            part.end()

    def conclude(self) -> None:
        """Print how many replies of each step were of no use."""
        for part in self._parts.values():
            part.conclude()

    def release(self) -> None:
        """All is asked: rows that were held back are ready."""
        for part in self._parts.values():
            part.rows.release()
