"""Which rows all filters keep, as numbers: the ledger is the longest table after the answers, and its ids are texts.

`filters.pipeline.kept_ids` returns the same lazily as texts; this one bounds memory for millions of rows.
"""

import numpy as np
import polars as pl

from capcurriculum.ledger.verdicts import counting
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.review import HUMAN
from capcurriculum.run import Run
from capcurriculum.tables import VERDICTS, portions

_NAMES = ["filter", "stage", "params"]


def kept(run: Run, recipe: Recipe, identity: pl.Expr) -> pl.DataFrame:
    """`key` (UInt64) of every question that all filters for its stage have judged and kept, in ascending order.

    `identity` makes a number of the column `question_id`. What people dropped is left out; other questions need no
    review. Of a filter's verdicts on a question the last one counts.
    """
    filters = counting(recipe).with_columns(code=pl.struct("filter", "stage").rank("dense").cast(pl.UInt32) - 1)
    by_code = filters.unique("code").sort("code").with_columns(listed=pl.col("filter") != HUMAN)
    by_code = by_code.with_columns(wanted=pl.col("listed").sum().over("stage"))
    ledger = _ledger(run, filters.select(*_NAMES, "code"), identity)
    key, code = ledger["key"].to_numpy(), ledger["code"].to_numpy()
    order = np.lexsort((code, key))  # stable: equal ones stay as they were made
    key, code, keep = key[order], code[order], ledger["keep"].to_numpy()[order]
    last = np.append((key[1:] != key[:-1]) | (code[1:] != code[:-1]), True)[: len(key)]
    key, code, keep = key[last], code[last], keep[last]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    if not len(first):
        return pl.DataFrame({"key": key}, schema={"key": pl.UInt64})
    judged = np.add.reduceat(by_code["listed"].to_numpy()[code].astype(np.int64), first)
    all_keep = np.logical_and.reduceat(keep, first)
    wanted = by_code["wanted"].to_numpy()[code[first]]
    return pl.DataFrame({"key": key[first][all_keep & (judged == wanted)]}, schema={"key": pl.UInt64})


def _ledger(run: Run, filters: pl.DataFrame, identity: pl.Expr) -> pl.DataFrame:
    """The verdicts of these filters in the order they were made, as `key`, `code` and `keep`."""
    columns = [*_NAMES[:2], pl.col("params").fill_null(""), "keep", identity.alias("key")]
    parts = []
    for shards in list(portions(run.verdicts.shards(), VERDICTS)) or [[]]:
        found = run.verdicts.scan(shards).select(columns).join(filters.lazy(), on=_NAMES, maintain_order="left")
        parts.append(found.select("key", "code", "keep").collect(engine="streaming"))
    return pl.concat(parts)
