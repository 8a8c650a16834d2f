"""The probe: solvers answer questions on the arms of the recipe, in one or two orders of the options.

A solver is asked what is still needed (see `undecided`). Engines in this process run one after the other, so each is
asked all that is needed of it before the next one starts; a solver that batches is asked in rounds, one reply of each
question a round, so that a resumed build cuts the same batches.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from capcurriculum.errors import SourceError
from capcurriculum.ledger.corrections import Corrections, corrections
from capcurriculum.recipe.filter_section import ProbeKey
from capcurriculum.recipe.stages import ProbeSection
from capcurriculum.rows import SCHEMA, Answer, Arm, Purpose, Question, digest
from capcurriculum.run import Run, stage_of_caption
from capcurriculum.tables import records
from datagen.asking.ready_queue import ReadyQueue
from datagen.setting import Setting
from datagen.solver import Asked, ImageFile, Solver
from datagen.undecided import Undecided, key_of, turns

#: Question id -> the replies of the probe to it.
Replies = defaultdict[str, dict[ProbeKey, Answer]]


def probe(at: Setting, only: Container[str] | None = None) -> None:
    """Append the answers that are missing; `only` are the ids of the questions worth asking, by default all.

    Raises:
        EngineError: a solver cannot be used.
        SourceError: the swapped arm is wanted and there is only one image.
    """
    for stage in at.recipe.captioned:
        mine = (q for q in at.run.my_questions(pl.col("stage") == stage) if only is None or q.question_id in only)
        _Probing(at, stage, sorted(mine, key=lambda q: (q.image_id, q.question_id))).ask()


class Needs:
    """What the solvers of one stage have still to be asked, as things to ask."""

    def __init__(self, at: Setting, stage: str) -> None:
        self.corrected = corrections(at.run, at.recipe)
        self.undecided = Undecided(at.recipe, stage, set(self.corrected.keys["question_id"]))
        self._swapped = swaps(at.run, at.recipe.captioned[stage].probe, at.recipe.seed, stage)

    def following(self, question: Question, replies: Mapping[ProbeKey, Answer], solver: str) -> list[Asked]:
        """What to ask this solver next: one thing where its reply may make the rest needless, and else all."""
        keys = self.undecided.needed(question, list(replies.values()))
        mine = [self.item(question, key, replies) for key in keys if key[0] == solver]
        return mine if self.undecided.in_control(question) else mine[:1]

    def item(self, question: Question, key: ProbeKey, replies: Mapping[ProbeKey, Answer]) -> Asked:
        """What is asked for this reply, for the first time or, if it is there and could not be read, again."""
        arm, again = Arm(key[1]), replies.get(key)
        shown = self._swapped[question.image_id] if arm is Arm.SWAPPED else None
        return Asked(question, arm, again.rollout + 1 if again else 0, key[2], shown)


class _Probing:
    """The probe of one stage."""

    def __init__(self, at: Setting, stage: str, questions: Sequence[Question]) -> None:
        self.at, self.section, self.questions = at, at.recipe.captioned[stage].probe, questions
        self.needs = Needs(at, stage)
        self.undecided = self.needs.undecided
        self.replies = answered(at.run, self.needs.corrected, among(questions))
        #: The questions of each round that decided, by the reply that was asked for; for engines that batch.
        self._rounds: dict[ProbeKey, set[str]] = {}

    def ask(self) -> None:
        """Append the answers that are needed; raises as `probe`."""
        solvers = self.undecided.solvers
        for place, name in enumerate(turns(solvers)):
            if not any(key[0] == name for q in self.questions for key in self.needed(q)):
                continue
            model, sampling = self.at.recipe.models[name], self.section.sampling.record()
            with Solver(self.at, name, model, sampling, Purpose.PROBE) as solver:
                solver.on_answer = self.note
                if solver.engine().window:
                    self._in_rounds(solver, last=place >= len(solvers) - 1)
                else:
                    self._as_ready(solver)

    def needed(self, question: Question) -> list[ProbeKey]:
        """See `Undecided.needed`."""
        return self.undecided.needed(question, list(self.replies[question.question_id].values()))

    def note(self, answer: Answer) -> None:
        """Keep what filters read of a reply."""
        self.replies[answer.question_id][key_of(answer)] = replace(answer, text="", detail="")

    def _as_ready(self, solver: Solver) -> None:
        """One reply of a question after the other, so that none is asked for that an earlier one makes needless."""
        by_id = {q.question_id: q for q in self.questions}

        def following(question_id: str) -> list[Asked]:
            return self.needs.following(by_id[question_id], self.replies[question_id], solver.name)

        owed = [q for q in self.questions if following(q.question_id)]
        solver.remember(owed)
        turns = ReadyQueue([q.question_id for q in owed], following, lambda item: item.question.question_id)
        solver.ask_in_turns(turns, len(owed))

    def _in_rounds(self, solver: Solver, *, last: bool) -> None:
        """Round by round, each over the questions that need a reply by what was known before the round.

        Replies that were decided by nothing but what came after them must not change a round's list when a build is
        resumed: its batches are cut from that list.
        """
        keys = [key for key in self.undecided.keys if key[0] == solver.name]
        before = {key for name in self._before(solver.name) for key in self.undecided.keys if key[0] == name}
        for key in keys:
            if key not in self._rounds:
                listed = [q for q in self.questions if key in self._needed_by(q, before)]
                self._rounds[key] = {q.question_id for q in listed}
                self._round(solver, key, listed)
            before.add(key)
        if last:
            kept = [q for q in self.questions if self._kept(q)]
            for key in keys:
                self._round(solver, key, [q for q in kept if q.question_id not in self._rounds[key]])

    def _before(self, name: str) -> Sequence[str]:
        """The solvers that are asked before this one."""
        return self.undecided.solvers[: self.undecided.solvers.index(name)]

    def _needed_by(self, question: Question, known: Container[ProbeKey]) -> set[ProbeKey]:
        """The replies that decide, by the replies among `known`; all of them for a control question."""
        replies = [reply for key, reply in self.replies[question.question_id].items() if key in known]
        return self.undecided.decisive(question, replies)

    def _kept(self, question: Question) -> bool:
        """Whether the filters keep the question, whatever else is asked."""
        return self.undecided.deciding(question, list(self.replies[question.question_id].values())) == set()

    def _round(self, solver: Solver, key: ProbeKey, listed: Sequence[Question]) -> None:
        """One reply of each of these questions, and then those again that could not be read."""
        for rollout in range(1 + self.section.again):
            if rollout:
                listed = [q for q in listed if self._asked_again(q, key, rollout)]
            if any(self._lacks(q, key, rollout) for q in listed):
                part = f", {key[1]}{', rotated' if key[2] else ''}{', again' if rollout else ''}"
                solver.ask_each([replace(self.needs.item(q, key, {}), rollout=rollout) for q in listed], part)

    def _lacks(self, question: Question, key: ProbeKey, rollout: int) -> bool:
        reply = self.replies[question.question_id].get(key)
        return reply is None or reply.rollout < rollout

    def _asked_again(self, question: Question, key: ProbeKey, rollout: int) -> bool:
        """Whether the reply before this one could not be read: it is the last, or this one is there already."""
        reply = self.replies[question.question_id].get(key)
        return reply is not None and (reply.rollout >= rollout or self.undecided.asked_again(reply))


def among(questions: Iterable[Question]) -> pl.Expr:
    """A predicate on a table with `question_id`: the rows of these questions."""
    return pl.col("question_id").is_in([q.question_id for q in questions])


def answered(run: Run, corrected: Corrections, about: pl.Expr) -> Replies:
    """The replies of the probe for which a predicate holds, without their texts and graded under corrected keys."""
    names = ("request_key", "question_id", "solver", "purpose", "arm", "rollout", "answer", "outcome", "order")
    nothing = {"text": "", "finish": "", "tokens_in": 0, "tokens_out": 0, "prompt_digest": ""}
    asked = run.answers.scan().filter(pl.col("purpose") == str(Purpose.PROBE), about).select(names)
    frame = corrected.answers(asked).with_columns(**{k: pl.lit(v) for k, v in nothing.items()}).collect()
    found = Replies(dict)
    for answer in records(frame.sort("rollout", maintain_order=True), Answer):
        found[answer.question_id][key_of(answer)] = answer
    return found


def swaps(run: Run, section: ProbeSection, seed: int, stage: str) -> Mapping[str, ImageFile]:
    """Image id -> the image that the swapped arm shows instead; empty if the recipe leaves that arm out.

    Drawn over all images that were read for the stage, whatever became of their questions, so that every share of a run
    draws alike.

    Raises:
        SourceError: there is only one image.
    """
    if Arm.SWAPPED not in section.arms:
        return {}
    frame = run.captions.scan().filter(stage_of_caption() == stage).select("image_id", "image_path").collect()
    frame = frame.unique("image_id", keep="first", maintain_order=True)
    images = {image: ImageFile(image, path) for image, path in frame.iter_rows()}
    other = partners(images, seed)
    if images and not other:
        raise SourceError("The swapped arm needs two images, and the source has one; leave the arm out of the recipe.")
    return {image: images[partner] for image, partner in other.items()}


def partners(image_ids: Iterable[str], seed: int) -> dict[str, str]:
    """Image id -> the id of another image, which the swapped arm shows in its place; empty for fewer than two images.

    A permutation without fixed points: the ids in an order drawn from their content and `seed`, each followed by the
    next.
    """
    ids = sorted(set(image_ids), key=lambda image: (digest(SCHEMA, "swap", seed, image), image))
    return dict(zip(ids, ids[1:] + ids[:1], strict=True)) if len(ids) > 1 else {}
