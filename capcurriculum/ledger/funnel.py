"""Attrition of rows: the sequential funnel over the filters, and what each filter catches regardless of the others.

Both are queries over the ledger alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from capcurriculum.ledger.verdicts import counting, current, everything
from capcurriculum.reasons import NOT_JUDGED, UNDECIDED, Reason
from capcurriculum.recipe.review import HUMAN
from capcurriculum.run import Run

#: Steps before the recipe's filters, in the order of the build; others that no recipe lists come last, by their names.
STEPS = ("source", "download", "teacher")


@dataclass(frozen=True, slots=True)
class FunnelLine:
    """How many rows of a stage one filter met, kept, and dropped for which reasons.

    `labelled` are reasons of rows that are kept with one. Of the rows that reach the people who review, `unreviewed`
    have no review yet; they are among those met and kept.
    """

    stage: str
    filter: str
    met: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    labelled: Mapping[str, int] = field(default_factory=dict)
    unreviewed: int = 0


@dataclass(frozen=True, slots=True)
class CatchLine:
    """What one filter objects to among all questions of a stage that it judged.

    `alone` are those that no other filter objects to, and `shared` counts those that another one objects to as well. A
    filter that labels is counted with what it would drop.
    """

    stage: str
    filter: str
    judged: int
    caught: int
    alone: int
    shared: Mapping[str, int]


def lines(run: Run, verdicts: pl.LazyFrame | None = None) -> list[FunnelLine]:
    """The sequential funnel, stage by stage: a row counts up to the first filter that drops it.

    Args:
        run: whose ledger it is.
        verdicts: those of `placed`, where they are derived already.

    Raises:
        RecipeError: the run's own recipe cannot be read.
    """
    verdicts = (placed(run) if verdicts is None else verdicts).filter(~pl.col("reason").is_in(list(NOT_JUDGED)))
    first = verdicts.filter(~pl.col("keep")).group_by("stage", "question_id").agg(last=pl.col("place").min())
    met = verdicts.join(first, on=["stage", "question_id"], how="left")
    met = met.filter(pl.col("last").is_null() | (pl.col("place") <= pl.col("last")))
    counts = met.group_by("stage", "place", "filter", "keep", "reason").agg(pl.col("question_id").n_unique())
    found: dict[tuple[str, str], FunnelLine] = {}
    for stage, _, name, keep, reason, count in counts.sort("place", "filter", "reason").collect().iter_rows():
        line = found.get((stage, name), FunnelLine(stage, name))
        more = {} if reason == Reason.KEPT else {reason: count}
        found[stage, name] = FunnelLine(
            stage,
            name,
            line.met + count,
            line.kept + (count if keep else 0),
            line.dropped if keep else {**line.dropped, **more},
            {**line.labelled, **more} if keep else line.labelled,
        )
    for stage, count in _unreviewed(met).items():
        line = found[stage, HUMAN]
        found[stage, HUMAN] = replace(line, met=line.met + count, kept=line.kept + count, unreviewed=count)
    place = placing(run.recipe().taught)
    return sorted(found.values(), key=lambda line: place(line.stage))


def _unreviewed(met: pl.LazyFrame) -> dict[str, int]:
    """For each stage of which rows were reviewed, how many that its last filter keeps were not."""
    people = met.filter(pl.col("filter").cast(pl.String) == HUMAN)
    listed = met.join(people, on=["stage", "question_id"], how="anti").filter("counted")
    listed = listed.join(people.select("stage").unique(), on="stage", how="semi")
    last = listed.filter("keep", pl.col("place") == pl.col("place").max().over("stage"))
    return {str(stage): count for stage, count in last.group_by("stage").agg(pl.len()).collect().iter_rows()}


def catches(run: Run) -> list[CatchLine]:
    """What each filter of the recipe catches by itself, in the order of the build.

    Questions that a filter got no replies to, because another one dropped them, it neither judged nor caught.
    """
    recipe = run.recipe()
    verdicts = current(run, recipe).filter(~pl.col("reason").is_in(list(NOT_JUDGED)))
    verdicts = verdicts.select("stage", "filter", "question_id", "keep", "reason")
    objects = ~pl.col("keep") | ~pl.col("reason").is_in([Reason.KEPT, *UNDECIDED])
    caught = verdicts.filter(objects).select("stage", "filter", "question_id").collect().lazy()
    judged = _counts(verdicts.group_by("stage", "filter").len())
    alone = caught.filter(pl.len().over("stage", "question_id") == 1)
    pairs = caught.join(caught, on=["stage", "question_id"]).group_by("stage", "filter", "filter_right").len()
    own, single, both = (
        _counts(caught.group_by("stage", "filter").len()),
        _counts(alone.group_by("stage", "filter").len()),
        _counts(pairs),
    )
    road = list(dict.fromkeys(counting(recipe)["filter"]))
    return [
        CatchLine(
            stage,
            name,
            judged[stage, name],
            own.get((stage, name), 0),
            single.get((stage, name), 0),
            {other: both.get((stage, name, other), 0) for other in road if other != name and (stage, other) in judged},
        )
        for stage in sorted({stage for stage, _ in judged}, key=placing(recipe.taught))
        for name in road
        if (stage, name) in judged
    ]


def _counts(frame: pl.LazyFrame) -> dict[tuple[str, ...], int]:
    return {tuple(row[:-1]): row[-1] for row in frame.collect().iter_rows()}


def placed(run: Run) -> pl.LazyFrame:
    """The verdicts in force with the position of their filter, negative for the steps before the filters.

    Columns: `stage, filter, question_id, keep, reason, place`, `at`, the row in the table, and `counted`, whether it is
    the verdict of a filter of the recipe, or of people.

    Raises:
        RecipeError: the run's own recipe cannot be read.
    """
    recipe = run.recipe()
    by_name = counting(recipe).lazy().select("filter", "stage", listed="place")
    steps = pl.LazyFrame({"filter": STEPS, "step": range(-len(STEPS), 0)})
    columns = "stage", "filter", "question_id", "keep", "reason", "at"
    verdicts = everything(run, recipe).select(*columns, counted=pl.col("place").is_not_null())
    placed = verdicts.join(by_name, on=["filter", "stage"], how="left").join(steps, on="filter", how="left")
    return placed.with_columns(place=pl.coalesce("listed", "step", pl.lit(len(recipe.filters))))


def placing(taught: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """A sort key that puts stages in the order they are taught, any other last."""
    return lambda stage: (taught.index(stage) if stage in taught else len(taught), stage)
