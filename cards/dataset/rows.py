"""What a card counts in a staged set: queries over the very Parquet files that are published, not their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from capcurriculum.files import checksums
from capcurriculum.stats import pass_rate
from cards.staged import StagedSet

#: More bars than this are too thin to read, so pass rates of a larger K share one.
MOST_BARS = 17
#: Pearson's test says nothing where fewer rows than this are expected of a letter (Cochran 1952).
LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class Split:
    """A split's rows, those with a picture among them, its mean pass rate (None: no row was measured), and its bytes.

    `disk` are the bytes of its files, `memory` those of its columns uncompressed.
    """

    name: str
    rows: int
    pictures: int
    pass_rate: float | None
    disk: int
    memory: int


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Rows of one source name under one licence."""

    source: str
    license: str
    rows: int


@dataclass(frozen=True, slots=True)
class Keys:
    """How often each letter is the answer among the rows of a stage with so many options.

    `p` is the share of luck that is as uneven or more, if all letters are equally likely; None where `counts` are too
    small for the test.
    """

    stage: str
    counts: dict[str, int]
    chi_square: float
    p: float | None


@dataclass(frozen=True, slots=True)
class PassRates:
    """A stage's rows by pass rate: `counts` of bars from 0 to 1, by their `labels`.

    `n` are the fewest and most replies a row has, `width` is the mean width of the 95 % intervals, `partial` the number
    of rows whose replies were stopped early, `unmeasured` those without any reply.
    """

    stage: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    n: tuple[int, int]
    width: float
    partial: int
    unmeasured: int


def scan(staged: StagedSet) -> pl.LazyFrame:
    """All rows of a set, lazily, of which no picture may be selected.

    Raises:
        RunError: a file is damaged.
    """
    files = [path for paths in staged.files.values() for path in paths]
    checksums.check(files, pictures=False)
    return pl.scan_parquet(files, glob=False)


def splits(staged: StagedSet) -> list[Split]:
    """The splits of a set, in the order of its files."""
    found = []
    for name, paths in staged.files.items():
        checksums.check(paths, pictures=False)
        footers = [pq.read_metadata(path) for path in paths]
        columns = pl.scan_parquet(list(paths), glob=False).select(
            pictures=pl.col("problem").str.starts_with("<image>").sum(),
            rate=pass_rate(pl.col("pass_k"), pl.col("pass_n")).filter(pl.col("pass_n") > 0).mean(),
        )
        pictures, rate = columns.collect().row(0)
        rows = sum(footer.num_rows for footer in footers)
        memory = sum(footer.row_group(g).total_byte_size for footer in footers for g in range(footer.num_row_groups))
        found.append(Split(name, rows, int(pictures), rate, sum(path.stat().st_size for path in paths), memory))
    return found


def stages(sets: Sequence[StagedSet]) -> dict[str, int]:
    """Stage -> rows over all sets, in the order of the sets."""
    counts: dict[str, int] = {}
    for staged in sets:
        own = scan(staged).group_by("stage").len().sort("stage").collect()
        for stage, rows in own.iter_rows():
            counts[stage] = counts.get(stage, 0) + rows
    return counts


def sources(sets: Sequence[StagedSet]) -> list[SourceCount]:
    """Rows by source and licence, most first."""
    by = ["source", "license"]
    frame = pl.concat([scan(staged).select(pl.col(by).fill_null("")) for staged in sets]).group_by(by).len()
    rows = frame.sort("len", *by, descending=[True, False, False]).collect().iter_rows()
    return [SourceCount(source, license_, count) for source, license_, count in rows]


def skills(sets: Sequence[StagedSet]) -> dict[str, int]:
    """Skill -> rows, most first."""
    frame = pl.concat([scan(staged).select(pl.col("skill").fill_null("")) for staged in sets]).group_by("skill").len()
    return dict(frame.sort("len", "skill", descending=[True, False]).collect().iter_rows())


def keys(sets: Sequence[StagedSet]) -> list[Keys]:
    """The letters of the answers, stage by stage, of rows with equally many options together."""
    parts = [scan(one).select("stage", "answer", n=pl.col("options").list.len()) for one in sets]
    counts = pl.concat(parts).filter(pl.col("n").is_between(2, 26)).group_by("stage", "n", "answer").len().collect()
    found = []
    for (stage, options), rows in sorted(counts.group_by("stage", "n"), key=lambda pair: str(pair[0])):
        own = dict(rows.select("answer", "len").iter_rows())
        letters = {letter: int(own.get(letter, 0)) for letter in map(chr, range(65, 65 + int(str(options))))}
        if any(letters.values()):
            found.append(Keys(str(stage), letters, *uniform(list(letters.values()))))
    return found


def uniform(counts: Sequence[int]) -> tuple[float, float | None]:
    """Pearson's chi-square of the counts against equal ones, and its p-value."""
    from scipy.stats import chisquare

    result = chisquare(counts)
    enough = sum(counts) / len(counts) >= LEAST_EXPECTED
    return float(result.statistic), float(result.pvalue) if enough else None


def pass_rates(sets: Sequence[StagedSet]) -> list[PassRates]:
    """The pass rates of every stage, in the order of the sets."""
    columns = ["stage", "pass_k", "pass_n", "pass_full"]
    width = (pl.col("pass_high") - pl.col("pass_low")).alias("width")
    parts = [scan(staged).select(*columns, width) for staged in sets]
    kinds = pl.concat(parts).group_by(columns).agg(rows=pl.len(), width=pl.col("width").sum()).collect()
    found = []
    for stage in stages(sets):
        own = kinds.filter(pl.col("stage") == stage)
        measured = own.filter(pl.col("pass_n") > 0)
        if measured.height:
            unmeasured = int(own["rows"].sum()) - int(measured["rows"].sum())
            found.append(_of_stage(stage, measured, unmeasured))
    return found


def _of_stage(stage: str, kinds: pl.DataFrame, unmeasured: int) -> PassRates:
    least, most = kinds.select(least=pl.col("pass_n").min(), most=pl.col("pass_n").max()).row(0)
    bars = most if most < MOST_BARS else 10
    counts = [0] * (bars + 1)
    for right, answered, rows in kinds.select("pass_k", "pass_n", "rows").iter_rows():
        counts[round(pass_rate(right, answered) * bars)] += rows
    return PassRates(
        stage=stage,
        labels=tuple(f"{bar}/{bars}" for bar in range(bars + 1)),
        counts=tuple(counts),
        n=(least, most),
        width=float(kinds["width"].sum()) / float(kinds["rows"].sum()),
        partial=int(kinds.filter(~pl.col("pass_full").fill_null(True))["rows"].sum()),
        unmeasured=unmeasured,
    )
