"""Draw a stratified sample: a design sets the strata and the allocation to each.

Inside a stratum questions are taken in the order of a seeded hash of their ids, which is simple random sampling without
replacement. The inclusion probability is drawn / rows of the stratum, and a larger sample contains the smaller one.
"""

import bisect
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from capcurriculum.errors import ReviewError
from capcurriculum.rows import SCHEMA, digest
from capcurriculum.stats import Z_95
from filters.audit.noise import KEPT, evenly
from review.population import COLUMNS
from review.sample import Cell, Design, Drawn, Sample

#: `random`: one stratum; `stratified`: by columns of the population, half of the sample from kept questions;
#: `uncertain`: by signs of doubt, most of the sample where there are most; `kept`: from kept questions alone, of which
#: with `by` AUDITORS those that auditors doubt come first.
KINDS = ("random", "stratified", "uncertain", "kept")
AUDITORS = "auditors"
DOUBTED = "kept | doubted by auditors"
#: Share of an uncertain sample that is spread evenly, so that every row has a positive inclusion probability.
SPREAD = 0.2
_ALL = "all"


def draw(population: pl.DataFrame, design: Design, before: Sample | None = None) -> Sample:
    """Draw a sample of `design` from `population` (see `review.population`).

    Questions of an earlier sample of the same design stay in it, in the strata that they were drawn from.

    Raises:
        ReviewError: the design is unknown, or the population is empty.
    """
    _check(design, population)
    grown = before if before is not None and before.design.same_but_for_size(design) else None
    rows = strata(population, design, grown)
    counts = dict(rows.group_by("stratum").len().sort("stratum").iter_rows())
    wanted = allocation(counts, design)
    before_drawn = Counter(one.stratum for one in grown.drawn) if grown else {}
    for name, least in before_drawn.items():
        wanted[name] = max(wanted.get(name, 0), least)
    drawn: list[Drawn] = []
    for (name,), part in rows.group_by("stratum"):
        first = _in_order(part, design.seed, grown).head(wanted[str(name)])
        share = first.height / part.height
        drawn += [Drawn(key, stage, str(name), kept, share) for key, stage, kept, *_ in first.iter_rows()]
    drawn.sort(key=lambda one: (one.stratum, one.question_id))
    return Sample(design, _cells(rows, drawn), tuple(drawn))


def strata(population: pl.DataFrame, design: Design, before: Sample | None = None) -> pl.DataFrame:
    """`question_id, stage, kept, stratum` of the rows that the design draws from.

    Rows of the sample `before` are in the strata, and have the fates, that they had when they were drawn.
    """
    rows = population.select("question_id", "stage", "kept", stratum=_stratum(design))
    rows = _as_drawn(rows, before) if before else rows
    return rows.filter("kept") if design.kind == "kept" else rows


def _check(design: Design, population: pl.DataFrame) -> None:
    if design.kind not in KINDS:
        raise ReviewError(f"There is no design {design.kind!r}; name one of {', '.join(KINDS)}.")
    if unknown := sorted(set(design.by) - {*COLUMNS, AUDITORS}):
        raise ReviewError(f"A sample cannot be drawn by {', '.join(unknown)}; name some of {', '.join(COLUMNS)}.")
    if design.size < 1:
        raise ReviewError(f"A sample of {design.size} questions is empty; give a --size of at least 1.")
    if design.kind == "kept" and not population["kept"].any():
        raise ReviewError("No row of these stages is kept; there is nothing to certify.")
    if population.is_empty():
        raise ReviewError("No filter has judged a question of these stages yet; build the run first.")


def _stratum(design: Design) -> pl.Expr:
    if design.kind == "random":
        return pl.lit(_ALL)
    if design.kind == "uncertain":
        fate = pl.when("kept").then(pl.lit(KEPT)).otherwise(pl.lit("dropped"))
        return pl.format("{} | {} signs of doubt", fate, pl.col("doubt"))
    if design.kind == "kept":
        first = pl.col("doubted").fill_null(False) if AUDITORS in design.by else pl.lit(False)
        return pl.when(first).then(pl.lit(DOUBTED)).otherwise(pl.lit(KEPT))
    return pl.concat_str(*design.by, separator=" | ") if design.by else pl.lit(_ALL)


def _as_drawn(rows: pl.DataFrame, before: Sample) -> pl.DataFrame:
    """The rows, with the strata and fates that those drawn before had then."""
    drawn = pl.DataFrame(
        [(d.question_id, d.stratum, d.kept) for d in before.drawn],
        schema={"question_id": pl.String, "was": pl.String, "was_kept": pl.Boolean}, orient="row",
    )  # fmt: skip
    rows = rows.join(drawn, on="question_id", how="left", maintain_order="left")
    return rows.select(
        "question_id", "stage", kept=pl.coalesce("was_kept", "kept"), stratum=pl.coalesce("was", "stratum")
    )


def _in_order(part: pl.DataFrame, seed: int, before: Sample | None) -> pl.DataFrame:
    """The rows of a stratum in drawing order: those drawn before, then by hash."""
    known = before.by_id if before else {}
    rank = [digest(SCHEMA, "review", seed, key) for key in part["question_id"]]
    later = [key not in known for key in part["question_id"]]
    ranked = part.select("question_id", "stage", "kept", later=pl.Series(later), rank=pl.Series(rank))
    return ranked.sort("later", "rank")


def _cells(rows: pl.DataFrame, drawn: list[Drawn]) -> tuple[Cell, ...]:
    taken = Counter((one.stratum, one.kept) for one in drawn)
    counts = rows.group_by("stratum", "kept").len().sort("stratum", "kept")
    return tuple(Cell(name, kept, size, taken[name, kept]) for name, kept, size in counts.iter_rows())


def allocation(counts: Mapping[str, int], design: Design) -> dict[str, int]:
    """Stratum -> number to draw, given its rows; monotone in the size of the design."""
    size = min(design.size, sum(counts.values()))
    if design.kind == "uncertain":
        return _doubtful_first(counts, size)
    if design.kind == "kept":
        first = min(size, counts.get(DOUBTED, 0))
        return {name: first if name == DOUBTED else size - first for name in counts}
    kept = {name: count for name, count in counts.items() if KEPT in name.split(" | ")}
    dropped = {name: count for name, count in counts.items() if name not in kept}
    if not kept or not dropped:
        return evenly(counts, size)
    from_kept = min(sum(kept.values()), max(size - size // 2, size - sum(dropped.values())))
    return evenly(kept, from_kept) | evenly(dropped, size - from_kept)


def _doubtful_first(counts: Mapping[str, int], size: int) -> dict[str, int]:
    wanted = evenly(counts, math.ceil(size * SPREAD))
    left = size - sum(wanted.values())
    for name in sorted(counts, key=lambda name: (-_doubt(name), not name.startswith(KEPT), name)):
        more = min(left, counts[name] - wanted[name])
        wanted[name] += more
        left -= more
    return wanted


def _doubt(name: str) -> int:
    return int(name.split(" | ")[1].split()[0])


def size_for(population: pl.DataFrame, design: Design, width: float, expected: float) -> int:
    """The smallest sample whose 95 % interval of the share of wrong keys is at most `width` wide.

    Normal approximation for stratified sampling without replacement (Cochran 1977, Sampling Techniques, 5.3), with a
    share of `expected` wrong keys in every stratum.

    Raises:
        ReviewError: `width` or `expected` is not between 0 and 1, or the design is unknown.
    """
    if not 0 < width < 1 or not 0 < expected < 1:
        raise ReviewError("A width and an expected share lie between 0 and 1, for example --width 0.06 --expect 0.1.")
    _check(replace(design, size=1), population)
    counts = dict(population.group_by(stratum=_stratum(design)).len().iter_rows())

    def narrow(size: int) -> bool:
        return _width(counts, allocation(counts, replace(design, size=size)), expected) <= width

    return bisect.bisect_left(range(1, population.height), True, key=narrow) + 1


def _width(counts: Mapping[str, int], drawn: Mapping[str, int], expected: float) -> float:
    total, variance = sum(counts.values()), 0.0
    for name, rows in counts.items():
        if not drawn[name]:
            return 1.0
        rest = 1 - drawn[name] / rows
        variance += (rows / total) ** 2 * expected * (1 - expected) / drawn[name] * rest
    return 2 * Z_95 * math.sqrt(variance)
