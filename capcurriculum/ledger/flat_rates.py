"""Rows that teach GRPO nothing as long as the policy answers them as it did: all readable replies wrong, or all right.

The advantage of a reply is its reward less the mean of its group's (Shao et al. 2024, section 4.1.2), so a group of
equal rewards has none. What a reply's form earns can still differ; its answer cannot. A row whose pass rate was not
measured is unknown, and neither of the two.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum import stats
from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.ledger.corrections import corrections
from capcurriculum.ledger.verdicts import Ledger
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.run import Run

_COLUMN = "pass_rate"


@dataclass(frozen=True, slots=True)
class FlatRates:
    """Of so many `rows`, those with pass rate 0 (`wrong`), with 1 (`right`), and those without one (`unknown`)."""

    rows: int
    wrong: int
    right: int
    unknown: int

    @staticmethod
    def of(rates: Iterable[float | None]) -> "FlatRates":
        """Counts over the pass rates of rows; None and NaN are unknown."""
        found = list(rates)
        unknown = sum(rate is None or math.isnan(rate) for rate in found)
        return FlatRates(len(found), found.count(0), found.count(1), unknown)

    def sentences(self) -> list[str]:
        """What there is to say, without full stops: of the rows that give no gradient, and of those unknown."""
        return [text for text in (self.no_gradient(), self.unmeasured()) if text]

    def no_gradient(self) -> str:
        """Of the rows that give none, "" if there is no such row."""
        both = ((self.wrong, 0, "rollouts.above: 0"), (self.right, 1, "rollouts.below: 1"))
        (count, rate, bound), *more = [one for one in both if one[0]] or [(0, 0, "")]
        if not count:
            return ""
        text = f"{_of(count, self.rows)} {'have' if count > 1 else 'has'} pass rate {rate}"
        for other, rate, name in more:
            text += f" and {other:,} ({share(other, self.rows)}) {'have' if other > 1 else 'has'} {rate}"
            bound += f" and {name}"
        return f"{text}: no gradient from their answers until the policy changes; a new run with {bound} drops them"

    def unmeasured(self) -> str:
        """Of the rows without a pass rate, "" if there is no such row."""
        if not self.unknown:
            return ""
        have = "have" if self.unknown > 1 else "has"
        return f"{_of(self.unknown, self.rows)} {have} no measured pass rate: whether they give a gradient is unknown"


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} rows ({share(part, whole)})"


def share(part: int, whole: int) -> str:
    """A part in whole per cent; none that is there is called 0, and not all is never called 100."""
    if 0 < part < whole:
        return f"{min(max(round(100 * part / whole), 1), 99)} %"
    return f"{100 * part // max(whole, 1)} %"


def in_files(paths: Sequence[Path], without: Mapping[int, Collection[int]] | None = None) -> FlatRates:
    """Counts over the rows of a set's files, but for those `without`: place of the file -> places of rows in it.

    Rows of a file that has no column of pass rates are unknown.

    Raises:
        RunError: a file is damaged.
    """
    rates: list[float | None] = []
    for number, path in enumerate(paths):
        left_out = (without or {}).get(number, ())
        rates += [rate for place, rate in enumerate(_rates(path)) if place not in left_out]
    return FlatRates.of(rates)


def _rates(path: Path) -> list[float | None]:
    checksums.check([path], pictures=False)
    try:
        with pq.ParquetFile(path) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            if not pa.types.is_floating(kinds.get(_COLUMN, pa.null())):
                return [None] * file.metadata.num_rows
            found: list[float | None] = file.read([_COLUMN])[_COLUMN].to_pylist()
            return found
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{path} is damaged ({' '.join(str(error).split())[:200]}); build the run again.") from error


def of_run(run: Run, recipe: Recipe) -> dict[str, FlatRates]:
    """Stage -> counts over its training rows; over all rows that are still in where it has no files yet.

    Raises:
        RunError: a stage file is damaged.
    """
    written = {folder.name: sorted(folder.glob("train-*.parquet")) for folder in run.stages.glob("[!.]*")}
    found = {stage: in_files(paths) for stage, paths in written.items() if paths}
    return found if found.keys() >= recipe.stages.keys() else _so_far(run, recipe) | found


def _so_far(run: Run, recipe: Recipe) -> dict[str, FlatRates]:
    """Counts over the rows that no filter has dropped, for stages some of whose rows have been answered."""
    counted = stats.pass_counts(corrections(run, recipe).answers(run.answers.scan()))
    left = run.questions.scan().select("question_id", "stage")
    left = left.join(Ledger(run, recipe).dropped(Phase.ROLLOUT), on="question_id", how="anti")
    rates = left.join(counted, on="question_id", how="left").group_by("stage")
    by_stage = rates.agg(stats.pass_rate(pl.col("k"), pl.col("n"))).collect()
    found = {stage: FlatRates.of(values) for stage, values in by_stage.iter_rows()}
    return {stage: one for stage, one in found.items() if one.unknown < one.rows}
