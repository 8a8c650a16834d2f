"""The numbers that orders are computed from: about 40 bytes for each kept row, and none of its text.

Rows are in home order (stage, easy to hard, ties by a seeded hash of the id), so no result depends on the order of the
tables.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from capcurriculum import stats
from capcurriculum.errors import RunError
from capcurriculum.ledger.corrections import Corrections, corrections
from capcurriculum.ledger.verdicts import current
from capcurriculum.reasons import NOT_JUDGED, UNDECIDED, Reason
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Outcome, Purpose, Stage
from capcurriculum.run import Run
from capcurriculum.tables import ANSWERS, QUESTIONS, portions
from curricula import hashing, split
from filters.kept_keys import kept

Numbers = np.ndarray[tuple[int], np.dtype[Any]]
Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Labels:
    """A text column as codes into its sorted distinct values."""

    names: tuple[str, ...]
    codes: Numbers

    @classmethod
    def of(cls, values: pl.Series) -> Self:
        """Encode a column without nulls."""
        found = tuple(sorted(values.unique().to_list()))
        codes = values.cast(pl.Enum(found)).to_physical()
        return cls(found, codes.to_numpy())


@dataclass(frozen=True, slots=True)
class Keys:
    """Arrays with one entry for each row, in home order.

    `k` of `n` >= 1 readable rollouts are right; `unreadable` and `failed` count the others, as in `stats.PassRate`.
    `stage` are codes into `taught` (as of the recipe), `split` into `curricula.split.SPLITS`, `key` the id as a number.
    `unit` is the image, or the problem of a row without one, as a number. `corrected` is a digest of the keys that
    reviewers corrected, and `doubt` whether a row's key is doubted (`doubted`), where that was asked for.
    """

    taught: tuple[str, ...]
    key: hashing.Keys
    stage: Numbers
    split: Numbers
    k: Numbers
    n: Numbers
    unreadable: Numbers
    failed: Numbers
    source: Labels
    skill: Labels
    unit: hashing.Keys
    corrected: str = ""
    doubt: Numbers | None = None

    def __len__(self) -> int:
        return len(self.key)

    @property
    def asked(self) -> Numbers:
        """Number of rollouts of every row."""
        return np.asarray(self.n + self.unreadable + self.failed)

    @property
    def rate(self) -> Numbers:
        """The pass rate of every row."""
        return np.asarray(stats.pass_rate(self.k, self.n))

    def labels(self, by: str) -> Labels:
        """Stage, source or skill of every row."""
        return Labels(self.taught, self.stage) if by == "stage" else self.source if by == "source" else self.skill

    @property
    def stages(self) -> list[str]:
        """The stages that have rows, as they are taught."""
        return [name for code, name in enumerate(self.taught) if (self.stage == code).any()]

    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 of everything that can change an order or a row's numbers."""
        further = () if self.taught == tuple(Stage) else (self.taught,)
        total = hashlib.sha256(repr((self.source.names, self.skill.names, *further)).encode())
        numbers = (self.key, self.stage, self.split, self.k, self.n, self.unreadable, self.failed)
        for array in (*numbers, self.source.codes, self.skill.codes):
            total.update(np.ascontiguousarray(array).astype("<u8").data)
        total.update(self.corrected.encode())
        return total.hexdigest()[:16]


def keys(run: Run, recipe: Recipe, *, weighed: bool = False) -> Keys:
    """The numbers of every kept row of the run; with `weighed` also which keys are doubted.

    Raises:
        RunError: a stage of the recipe would be empty, or a table is damaged.
    """
    try:
        corrected = corrections(run, recipe)
        frame = _frame(run, recipe, corrected)
    except pl.exceptions.PolarsError as error:
        raise RunError(f"A table of {run.path} is damaged ({' '.join(str(error).split())}).") from error
    found = replace(from_frame(frame, recipe), corrected=corrected.digest())
    if weighed:
        found = replace(found, doubt=np.isin(found.key, doubted(run, recipe, corrected)))
    for stage in recipe.stages:
        if stage not in found.stages:
            raise RunError(
                f"No row is left for the {stage} stage; `capcurriculum funnel {run.path}` shows where they went."
            )
    return found


def doubted(run: Run, recipe: Recipe, corrected: Corrections) -> hashing.Keys:
    """The ids, as numbers, of questions whose key is doubted.

    A filter of the recipe labels them, or one other answer is more frequent among their rollouts than the key. A key
    that people found right, or corrected, is not doubted.
    """
    ids = pl.col("question_id")
    kept = current(run, recipe).filter("keep")
    people = kept.filter(pl.col("filter") == HUMAN).select(ids)
    labels = kept.filter(~pl.col("reason").is_in([Reason.KEPT, *UNDECIDED, *NOT_JUDGED]))
    rollouts = corrected.answers(run.answers.scan()).filter(pl.col("purpose") == str(Purpose.ROLLOUT))
    read = rollouts.filter(pl.col("outcome").is_in([Outcome.RIGHT, Outcome.WRONG]))
    right = pl.col("outcome") == Outcome.RIGHT
    counts = read.group_by("question_id", right=right, answer=pl.when(right).then(pl.lit("")).otherwise("answer")).len()
    most = counts.group_by("question_id").agg(
        key=pl.col("len").filter("right").sum(), other=pl.col("len").filter(~pl.col("right")).max().fill_null(0)
    )
    outvoted = most.filter(pl.col("other") > pl.col("key"), pl.col("other") > 1)
    found = (
        pl.concat([labels.select(ids), outvoted.select(ids)])
        .unique()
        .join(people, on="question_id", how="anti")
        .collect()
    )
    identity = hashing.number_of(ids)
    if not found.select(identity.is_not_null().all()).item():
        identity = hashing.id_key(ids)
    return found.select(identity).to_series().to_numpy()


def _frame(run: Run, recipe: Recipe, corrected: Corrections) -> pl.DataFrame:
    """Columns as in `from_frame` of the kept rows, read from one table after the other, in portions."""

    def collected(lazy: pl.LazyFrame) -> pl.DataFrame:
        return lazy.collect(engine="streaming")

    ids, identity = pl.col("question_id"), hashing.number_of(pl.col("question_id"))
    if not collected(run.questions.scan().select(identity.is_not_null().all())).item():
        identity = hashing.id_key(ids)
    left = kept(run, recipe, identity)
    labels = [pl.col(name).cast(pl.Categorical) for name in ("stage", "source", "skill")]
    chosen = [*labels, identity.alias("key"), split.unit().alias("unit")]
    tables = [pl.scan_parquet(shards, glob=False) for shards in portions(run.questions.shards(), QUESTIONS)]
    questions = pl.concat([collected(table.select(chosen)) for table in tables or [run.questions.scan()]])
    tables = [pl.scan_parquet(shards, glob=False) for shards in portions(run.answers.shards(), ANSWERS)]
    tables = [corrected.answers(table) for table in tables or [run.answers.scan()]]
    counted = _summed(collected(stats.pass_counts(table, identity.alias("key"), pl.UInt32)) for table in tables)
    return questions.join(left, on="key", how="semi").join(counted, on="key", how="inner")


def _summed(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Counts by key over all parts; waiting parts are added once they outweigh the sum, which is amortized linear."""
    waiting: list[pl.DataFrame] = []
    for part in parts:
        waiting.append(part)
        if sum(one.height for one in waiting[1:]) > waiting[0].height:
            waiting = [pl.concat(waiting).group_by("key").sum()]
    return pl.concat(waiting).group_by("key").sum()


def from_frame(frame: pl.DataFrame, recipe: Recipe) -> Keys:
    """`Keys` from columns `key, unit, stage, source, skill, k, n, unreadable, failed`, rows in any order."""
    stage = frame["stage"].cast(pl.Enum(recipe.taught)).to_physical()
    tie = hashing.mixed(frame["key"].to_numpy(), "tie", recipe.seed)
    sorting = pl.DataFrame({"stage": stage, "rate": -stats.pass_rate(frame["k"], frame["n"]), "tie": tie})
    home = sorting.select(pl.arg_sort_by("stage", "rate", "tie")).to_series()
    del sorting
    frame = _once(frame.with_columns(stage.alias("stage"))[home])
    return Keys(
        taught=recipe.taught,
        key=frame["key"].to_numpy(),
        stage=frame["stage"].to_numpy(),
        split=split.places(frame["unit"].to_numpy(), recipe.split),
        k=frame["k"].to_numpy(),
        n=frame["n"].to_numpy(),
        unreadable=frame["unreadable"].to_numpy(),
        failed=frame["failed"].to_numpy(),
        source=Labels.of(frame["source"].cast(pl.String)),
        skill=Labels.of(frame["skill"].cast(pl.String)),
        unit=frame["unit"].to_numpy(),
    )


def _once(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop repeated ids, which are adjacent since ties are broken by a bijection of the id."""
    again = (frame["key"] == frame["key"].shift()).fill_null(False)
    return frame.filter(~again) if again.any() else frame
