"""The content shown to a reviewer for each question of a sample, shared by the page and by Argilla.

Questions and replies are read in batches; images are read by the caller.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum.recipe import Recipe
from capcurriculum.rows import Answer, Arm, Purpose, Question
from capcurriculum.run import Run
from capcurriculum.stats import pass_rate
from capcurriculum.tables import records
from datagen.auditor import Opinion, opinion
from filters import evidence
from filters.human.form import version
from review.population import population
from review.sample import Drawn, Sample

#: Questions whose replies are in memory at once.
BATCH = 500
_ARMS = {str(Arm.IMAGE): "from the image", str(Arm.CAPTION): "from the caption", str(Arm.BLIND): "from neither",
         str(Arm.SWAPPED): "from another image"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The auditors' majority on the marked answer, `yes` or `no`, and its share of the votes that decide."""

    right: str
    score: float
    askers: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A question under review, with its place in the sample and the models' answers as lines of text.

    `fate` is `kept` or the reason of the drop; `k` of `n` rollouts are right, 0 of 0 if there are none.
    """

    question: Question
    version: str
    drawn: Drawn
    fate: str
    k: int
    n: int
    solvers: tuple[str, ...]
    suggestion: Suggestion | None

    @property
    def pass_rate(self) -> float | None:
        """k / n, None without rollouts."""
        return float(pass_rate(self.k, self.n)) if self.n else None


def entries(run: Run, recipe: Recipe, sample: Sample) -> Iterator[Entry]:
    """Every question of the sample that the run still has, by id."""
    drawn = sample.by_id
    judged = population(run, recipe, sorted({one.stage for one in sample.drawn}))
    judged = judged.filter(pl.col("question_id").is_in(list(drawn)))
    facts = {key: values for key, *values in judged.select("question_id", "fate", "k", "n").iter_rows()}
    ids = pl.DataFrame({"question_id": sorted(drawn)}, schema={"question_id": pl.String})
    for part in ids.iter_slices(BATCH):
        answers = _answers(run, part)
        for question in sorted(evidence.questions(run, part), key=lambda q: q.question_id):
            fate, k, n = facts.get(question.question_id, ("", 0, 0))
            replies = answers.get(question.question_id, ())
            one = drawn[question.question_id]
            yield Entry(question, version(question), one, fate, k, n, tuple(_solvers(replies)), _suggestion(replies))


def _answers(run: Run, ids: pl.DataFrame) -> Mapping[str, list[Answer]]:
    asked = run.answers.scan().join(ids.lazy().select("question_id"), on="question_id", how="semi")
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in records(asked.with_columns(text=pl.lit("")).collect(), Answer):
        found[answer.question_id].append(answer)
    return found


def _solvers(answers: Sequence[Answer]) -> Iterator[str]:
    """A line for each solver and arm, then one for the rollouts: the answers with their counts."""
    probes = sorted((a for a in answers if a.purpose == Purpose.PROBE), key=lambda a: (a.solver, a.arm, a.order))
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for reply in probes:
        lines[f"{reply.solver}, {_ARMS.get(reply.arm, reply.arm)}"].append(reply.answer or reply.outcome)
    rollouts = [a for a in answers if a.purpose == Purpose.ROLLOUT]
    for reply in sorted(rollouts, key=lambda a: a.rollout):
        lines[f"{reply.solver}, in {len(rollouts)} tries"].append(reply.answer or reply.outcome)
    for solver, found in lines.items():
        counts = sorted(Counter(found).items())
        yield f"{solver}: " + ", ".join(f"{a} {n} times" if n > 1 else a for a, n in counts)


def _suggestion(answers: Sequence[Answer]) -> Suggestion | None:
    votes = [(opinion(a), a.solver) for a in answers if a.purpose == Purpose.AUDIT]
    sides = [vote for vote, _ in votes if vote in (Opinion.AGREE, Opinion.DISAGREE)]
    if not sides:
        return None
    agree = sides.count(Opinion.AGREE) / len(sides)
    askers = ", ".join(sorted({solver for _, solver in votes}))
    return Suggestion("yes" if agree >= 0.5 else "no", max(agree, 1 - agree), askers)
