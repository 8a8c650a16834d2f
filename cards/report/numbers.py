"""The numbers of the charts, counted in the run's tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from capcurriculum.ledger.funnel import placing
from capcurriculum.rows import LETTERS, Outcome, Purpose
from capcurriculum.stats import pass_rate
from cards.dataset.rows import Keys
from cards.report.fates import DROPPED, KEPT, OPEN, QUESTION, Snapshot

FATES = (KEPT, OPEN, DROPPED)
#: The most bars of a histogram; pass rates of more rollouts are binned.
MOST_BARS = 17
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of rows by bar, for each series."""

    title: str
    axis: str
    labels: tuple[str, ...]
    series: Mapping[str, tuple[int, ...]]


def stages(found: Iterable[str], taught: Sequence[str]) -> list[str]:
    """Stages in the order they are `taught`, others last."""
    return sorted(set(found), key=placing(taught))


def pass_rates(fates: pl.DataFrame, taught: Sequence[str]) -> list[Histogram]:
    """Measured questions of each stage by pass rate and fate."""
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


def question_lengths(snapshot: Snapshot, fates: pl.DataFrame) -> list[Histogram]:
    """Questions of each stage by the number of characters of their prompt, and fate."""
    lengths = snapshot.run.questions.scan().select("question_id", "stage", length=pl.col("problem").str.len_chars())
    rows = fates.lazy().select("question_id", "stage", "fate").join(lengths, on=["question_id", "stage"])
    return _lengths(rows, "fate", FATES, "characters of the question", snapshot.recipe.taught)


def reply_lengths(snapshot: Snapshot) -> list[Histogram]:
    """Rollouts of each stage by their number of tokens, and outcome; failed ones have none."""
    staged = snapshot.run.questions.scan().select("question_id", "stage")
    replies = snapshot.answers.filter(pl.col("purpose") == Purpose.ROLLOUT, pl.col("outcome") != Outcome.FAILED)
    rows = replies.select("question_id", "outcome", length="tokens_out").join(staged, on="question_id")
    return _lengths(
        rows, "outcome", [str(outcome) for outcome in Outcome][:3], "tokens of a reply", snapshot.recipe.taught
    )


def _lengths(
    rows: pl.LazyFrame, parted: str, names: Sequence[str], axis: str, taught: Sequence[str]
) -> list[Histogram]:
    # Millions of replies have a few thousand lengths; only the counts by length are in memory.
    kinds = rows.group_by("stage", parted, pl.col("length").cast(pl.Int64)).len().collect()
    found = []
    for stage in stages(kinds["stage"], taught):
        own = kinds.filter(pl.col("stage") == stage).sort("length")
        # The last bar holds the longest percent, so that an outlier does not squeeze all others into the first bar.
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
    """The smallest of 1, 2, 5, 10, 20, ... that divides 0 to `top` into at most sixteen bars."""
    power = 1
    while True:
        for step in _STEPS:
            if top // (step * power) < MOST_BARS - 1:
                return step * power
        power *= 10


def _series(counts: pl.DataFrame, names: Sequence[str], bars: int) -> dict[str, tuple[int, ...]]:
    """`counts` has the columns name, `bar` and `len`."""
    found = {name: [0] * bars for name in names}
    for name, bar, count in counts.iter_rows():
        found[name][bar] += count
    return {name: tuple(numbers) for name, numbers in found.items() if any(numbers)}


def keys(snapshot: Snapshot, fates: pl.DataFrame) -> list[Keys]:
    """The letters of the answers of kept questions, for each stage with options."""
    choices = snapshot.corrected.questions(snapshot.run.questions.scan()).filter(
        pl.col("options").list.len() == len(LETTERS)
    )
    kept = fates.lazy().filter(pl.col("fate") == KEPT).select("question_id", "stage")
    rows = choices.select("question_id", "stage", "answer").join(kept, on=["question_id", "stage"])
    counts = rows.group_by("stage", "answer").len().collect()
    found = []
    for stage in stages(counts["stage"], snapshot.recipe.taught):
        own = dict(counts.filter(pl.col("stage") == stage).select("answer", "len").iter_rows())
        letters = {letter: own.get(letter, 0) for letter in LETTERS}
        found.append(Keys(stage, letters, *_uniform(list(letters.values()))))
    return found


def _uniform(counts: Sequence[int]) -> tuple[float, float | None]:
    """Pearson's chi-square of four counts against equal ones, and its p-value (None without counts).

    With three degrees of freedom, p = erfc(sqrt(x/2)) + sqrt(2x/pi) exp(-x/2) (Abramowitz and Stegun, 26.4.4 and
    26.4.5), which saves the import of scipy.
    """
    expected = sum(counts) / len(counts)
    if not expected:
        return 0.0, None
    x = sum((count - expected) ** 2 for count in counts) / expected
    return x, math.erfc(math.sqrt(x / 2)) + math.sqrt(2 * x / math.pi) * math.exp(-x / 2)
