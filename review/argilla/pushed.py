"""What has been pushed to which dataset, and a digest of what was shown there.

The server is asked to put records by their names, so a record that a kill kept from this table is put again unchanged.
"""

from dataclasses import dataclass

import polars as pl

from capcurriculum.run import Run
from capcurriculum.tables import Table


@dataclass(frozen=True, slots=True)
class Pushed:
    """One record on a server; `shown` is `layout.shown` of its fields."""

    dataset: str
    external_id: str
    question_id: str
    version: str
    shown: str


def table(run: Run) -> Table[Pushed]:
    """The run's table `pushes`."""
    return run.table("pushes", Pushed)


def of(run: Run, dataset: str) -> dict[str, Pushed]:
    """External id -> record, of everything pushed to a dataset."""
    return {row.external_id: row for row in table(run).rows(pl.col("dataset") == dataset)}
