"""The numbers of a card: queries over the published Parquet files, without their images."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from capcurriculum.files import checksums
from capcurriculum.stats import pass_rate
from cards.staged import StagedSet

#: The most bars of a histogram; pass rates of more rollouts are binned.
MOST_BARS = 17
#: The least expected count of a cell for Pearson's test (Cochran 1952, Ann. Math. Stat. 23:315-345).
LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of a split, those with an image, and the mean pass rate (None without a measured row).

    `disk` is the size of its files in bytes, `memory` that of its uncompressed columns.
    """

    name: str
    rows: int
    images: int
    pass_rate: float | None
    disk: int
    memory: int


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Rows of one source under one licence."""

    source: str
    license: str
    rows: int


@dataclass(frozen=True, slots=True)
class Keys:
    """Letter -> rows with this answer, for the rows of a stage with equally many options.

    `chi_square` and `p` are Pearson's test against equal counts; `p` is None where `counts` are too small.
    """

    stage: str
    counts: dict[str, int]
    chi_square: float
    p: float | None


@dataclass(frozen=True, slots=True)
class PassRates:
    """The rows of a stage by pass rate: `counts` of bars from 0 to 1, with their `labels`.

    `n` are the fewest and most readable rollouts of a row, `width` is the mean width of the 95 % intervals, `partial`
    the number of rows whose rollouts were stopped early.
    """

    stage: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    n: tuple[int, int]
    width: float
    partial: int


def scan(staged: StagedSet) -> pl.LazyFrame:
    """All rows of a set, lazily; images must not be selected, since only other columns are checked for damage.

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
            images=pl.col("problem").str.starts_with("<image>").sum(),
            rate=pass_rate(pl.col("pass_k"), pl.col("pass_n")).filter(pl.col("pass_n") > 0).mean(),
        )
        images, rate = columns.collect().row(0)
        rows = sum(footer.num_rows for footer in footers)
        memory = sum(footer.row_group(g).total_byte_size for footer in footers for g in range(footer.num_row_groups))
        found.append(Split(name, rows, int(images), rate, sum(path.stat().st_size for path in paths), memory))
    return found


def stages(sets: Sequence[StagedSet]) -> dict[str, int]:
    """Stage -> its rows, in the order of the sets."""
    found: Counter[str] = Counter()
    for staged in sets:
        found.update(dict(scan(staged).group_by("stage").len().sort("stage").collect().iter_rows()))
    return dict(found)


def sources(sets: Sequence[StagedSet]) -> list[SourceCount]:
    """Rows by source and licence, in descending order."""
    by = ["source", "license"]
    frame = pl.concat([scan(staged).select(pl.col(by).fill_null("")) for staged in sets]).group_by(by).len()
    rows = frame.sort("len", *by, descending=[True, False, False]).collect().iter_rows()
    return [SourceCount(source, license_, count) for source, license_, count in rows]


def keys(sets: Sequence[StagedSet]) -> list[Keys]:
    """The letters of the answers, by stage and number of options."""
    parts = [scan(one).select("stage", "answer", n=pl.col("options").list.len()) for one in sets]
    counts = pl.concat(parts).filter(pl.col("n").is_between(2, 26)).group_by("stage", "n", "answer").len().collect()
    found = []
    for (stage, options), rows in sorted(counts.group_by("stage", "n"), key=lambda pair: str(pair[0])):
        counts_of = dict(rows.select("answer", "len").iter_rows())
        letters = {letter: int(counts_of.get(letter, 0)) for letter in map(chr, range(65, 65 + int(str(options))))}
        if any(letters.values()):
            found.append(Keys(str(stage), letters, *uniform(list(letters.values()))))
    return found


def uniform(counts: Sequence[int]) -> tuple[float, float | None]:
    """Pearson's chi-square of the counts against equal ones, and its p-value (None below `LEAST_EXPECTED`)."""
    from scipy.stats import chisquare

    result = chisquare(counts)
    enough = sum(counts) / len(counts) >= LEAST_EXPECTED
    return float(result.statistic), float(result.pvalue) if enough else None


def pass_rates(sets: Sequence[StagedSet]) -> list[PassRates]:
    """The pass rates of every stage with a measured row, in the order of the sets."""
    columns = ["stage", "pass_k", "pass_n", "pass_full"]
    width = (pl.col("pass_high") - pl.col("pass_low")).alias("width")
    parts = [scan(staged).select(*columns, width) for staged in sets]
    kinds = pl.concat(parts).group_by(columns).agg(rows=pl.len(), width=pl.col("width").sum()).collect()
    found = []
    for stage in stages(sets):
        measured = kinds.filter(pl.col("stage") == stage, pl.col("pass_n") > 0)
        if measured.height:
            found.append(_of_stage(stage, measured))
    return found


def _of_stage(stage: str, kinds: pl.DataFrame) -> PassRates:
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
    )
