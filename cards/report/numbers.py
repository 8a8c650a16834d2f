"""What the charts of the page show, counted in the run's tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger import query
from capcurriculum.ledger.corrections import AS_WRITTEN, Corrections
from capcurriculum.ledger.funnel import placing
from capcurriculum.rows import LETTERS, Arm, Outcome, Purpose
from capcurriculum.run import Run
from capcurriculum.stats import pass_rate
from cards.report.fates import DROPPED, KEPT, OPEN, QUESTION

OUTCOMES = tuple(str(outcome) for outcome in Outcome)
FATES = (KEPT, OPEN, DROPPED)
#: More bars than this are too thin to read, so pass rates of a larger K share one.
MOST_BARS = 17
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of rows in bars: one label a bar, and for each series its counts."""

    title: str
    axis: str
    labels: tuple[str, ...]
    series: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ArmLine:
    """How often a solver's replies on one arm had each outcome."""

    solver: str
    arm: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cross:
    """Of one solver the number of questions for each pair (outcome from the image, outcome from the caption)."""

    solver: str
    counts: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Keys:
    """How often each letter is the answer, and how likely such counts are if all letters are (None: no question)."""

    stage: str
    counts: Mapping[str, int]
    chi_square: float
    p: float | None


def stages(found: Iterable[str], taught: Sequence[str]) -> list[str]:
    """Stages in the order they are `taught`, any other last."""
    return sorted(set(found), key=placing(taught))


def pass_rates(fates: pl.DataFrame, taught: Sequence[str]) -> list[Histogram]:
    """For every stage the measured questions by pass rate, parted by what became of them."""
    measured = fates.filter(pl.col("kind") == QUESTION, pl.col("pass_n") > 0)
    found = []
    for stage in stages(measured["stage"], taught):
        rows = measured.filter(pl.col("stage") == stage)
        most = int(rows["pass_n"].to_numpy().max())
        bars = most if most < MOST_BARS else 10
        place = (pass_rate(pl.col("pass_k"), pl.col("pass_n")) * bars).round().cast(pl.Int64)
        counts = rows.group_by("fate", bar=place).len()
        labels = tuple(f"{bar}/{bars}" for bar in range(bars + 1))
        found.append(Histogram(stage, "pass rate", labels, _series(counts, FATES, bars + 1)))
    return found


def question_lengths(run: Run, fates: pl.DataFrame, taught: Sequence[str]) -> list[Histogram]:
    """For every stage the questions by the number of characters that a solver reads."""
    lengths = run.questions.scan().select("question_id", "stage", length=pl.col("problem").str.len_chars())
    rows = fates.lazy().select("question_id", "stage", "fate").join(lengths, on=["question_id", "stage"])
    return _lengths(rows, "fate", FATES, "characters of the question", taught)


def reply_lengths(run: Run, taught: Sequence[str], corrected: Corrections = AS_WRITTEN) -> list[Histogram]:
    """For every stage the replies that measured its pass rates by their number of tokens, parted by outcome."""
    staged = run.questions.scan().select("question_id", "stage")
    replies = corrected.answers(run.answers.scan().filter(pl.col("purpose") == Purpose.ROLLOUT))
    replies = replies.filter(pl.col("outcome") != Outcome.FAILED)
    rows = replies.select("question_id", "outcome", length="tokens_out").join(staged, on="question_id")
    return _lengths(rows, "outcome", OUTCOMES[:3], "tokens of a reply", taught)


def _lengths(
    rows: pl.LazyFrame, parted: str, names: Sequence[str], axis: str, taught: Sequence[str]
) -> list[Histogram]:
    # Millions of replies have a few thousand lengths; only how many have each comes into memory.
    kinds = rows.group_by("stage", parted, pl.col("length").cast(pl.Int64)).len().collect()
    found = []
    for stage in stages(kinds["stage"], taught):
        own = kinds.filter(pl.col("stage") == stage).sort("length")
        # One endless text must not flatten all others into the first bar: the last bar holds all that is longer.
        below = own.filter(pl.col("len").cum_sum() <= 0.99 * pl.col("len").sum())["length"].to_list()
        top = below[-1] if below else own["length"][0]
        step = _step(top)
        bars = top // step + 1
        counts = own.group_by(parted, bar=(pl.col("length") // step).clip(0, bars)).agg(pl.col("len").sum())
        longer = own["length"][-1] >= bars * step
        labels = tuple(str(bar * step) for bar in range(bars)) + ((f"{bars * step}+",) if longer else ())
        found.append(Histogram(stage, axis, labels, _series(counts, names, len(labels))))
    return found


def _step(top: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, ... that parts 0 to `top` into at most sixteen bars."""
    power = 1
    while True:
        for step in _STEPS:
            if top // (step * power) < MOST_BARS - 1:
                return step * power
        power *= 10


def _series(counts: pl.DataFrame, names: Sequence[str], bars: int) -> dict[str, tuple[int, ...]]:
    """`counts` has a column of names, `bar` and `len`."""
    found = {name: [0] * bars for name in names}
    for name, bar, count in counts.iter_rows():
        found[name][bar] += count
    return {name: tuple(numbers) for name, numbers in found.items() if any(numbers)}


def arms(run: Run, corrected: Corrections = AS_WRITTEN) -> list[ArmLine]:
    """What came of the probe's replies, arm by arm, over all orders of the options."""
    sql = "select solver, arm, outcome, count(*) from answers where purpose = 'probe' group by all"
    found: dict[tuple[str, str], dict[str, int]] = {}
    for solver, arm, outcome, count in _rows(run, sql, corrected):
        found.setdefault((solver, arm), {})[outcome] = count
    order = [str(arm) for arm in Arm]
    return [
        ArmLine(solver, arm, {name: found[solver, arm].get(name, 0) for name in OUTCOMES})
        for solver, arm in sorted(found, key=lambda key: (key[0], order.index(key[1])))
    ]


def crosses(run: Run, corrected: Corrections = AS_WRITTEN) -> list[Cross]:
    """What came of the same question from the image and from the caption, solver by solver."""
    sql = (
        "select i.solver, i.outcome, c.outcome, count(*) from answers i join answers c "
        'on i.question_id = c.question_id and i.solver = c.solver and i."order" is not distinct from c."order" '
        "and i.rollout = c.rollout where i.purpose = 'probe' and c.purpose = 'probe' "
        "and i.arm = 'image' and c.arm = 'caption' group by all"
    )
    found: dict[str, dict[tuple[str, str], int]] = {}
    for solver, seen, read, count in _rows(run, sql, corrected):
        found.setdefault(solver, {})[seen, read] = count
    return [Cross(solver, counts) for solver, counts in sorted(found.items())]


def keys(run: Run, fates: pl.DataFrame, taught: Sequence[str], corrected: Corrections = AS_WRITTEN) -> list[Keys]:
    """For every stage with options the letters of the kept questions' answers."""
    choices = corrected.questions(run.questions.scan()).filter(pl.col("options").list.len() == len(LETTERS))
    kept = fates.lazy().filter(pl.col("fate") == KEPT).select("question_id", "stage")
    rows = choices.select("question_id", "stage", "answer").join(kept, on=["question_id", "stage"])
    counts = rows.group_by("stage", "answer").len().collect()
    found = []
    for stage in stages(counts["stage"], taught):
        own = dict(counts.filter(pl.col("stage") == stage).select("answer", "len").iter_rows())
        letters = {letter: own.get(letter, 0) for letter in LETTERS}
        found.append(Keys(stage, letters, *_uniform(list(letters.values()))))
    return found


def _uniform(counts: Sequence[int]) -> tuple[float, float | None]:
    """Pearson's chi-square of four counts against equal ones, and the share of luck that is as uneven or more.

    The share is the upper tail for three degrees of freedom, erfc(sqrt(x/2)) + sqrt(2x/pi) exp(-x/2) (Abramowitz and
    Stegun, 26.4.4 and 26.4.5).
    """
    expected = sum(counts) / len(counts)
    if not expected:
        return 0.0, None
    x = sum((count - expected) ** 2 for count in counts) / expected
    return x, math.erfc(math.sqrt(x / 2)) + math.sqrt(2 * x / math.pi) * math.exp(-x / 2)


def _rows(run: Run, sql: str, corrected: Corrections) -> list[tuple[str, str, str, int]]:
    return [(str(a), str(b), str(c), int(str(d))) for a, b, c, d in query.query(run, sql, corrected)[1]]
