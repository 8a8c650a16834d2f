"""The rows that all filters keep, as 64-bit keys, in bounded memory for millions of rows.

`capcurriculum.ledger.verdicts.kept_ids` returns the same rows lazily as text ids.
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
    """`key` (UInt64, ascending) of every question that all filters of its stage have judged and kept.

    `identity` computes the key from `question_id`. A question without a review needs no verdict of `human`. The last
    verdict of a filter on a question counts.
    """
    filters = counting(recipe).with_columns(code=pl.struct("filter", "stage").rank("dense").cast(pl.UInt32) - 1)
    by_code = filters.unique("code").sort("code").with_columns(listed=pl.col("filter") != HUMAN)
    by_code = by_code.with_columns(wanted=pl.col("listed").sum().over("stage"))
    ledger = _ledger(run, filters.select(*_NAMES, "code"), identity)
    key, code = ledger["key"].to_numpy(), ledger["code"].to_numpy()
    order = np.lexsort((code, key))  # stable, so equal ones stay in order of creation
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
    """`key`, `code` and `keep` of the verdicts of these filters, in order of creation."""
    columns = [*_NAMES[:2], pl.col("params").fill_null(""), "keep", identity.alias("key")]
    parts = []
    for shards in list(portions(run.verdicts.shards(), VERDICTS)) or [[]]:
        found = run.verdicts.scan(shards).select(columns).join(filters.lazy(), on=_NAMES, maintain_order="left")
        parts.append(found.select("key", "code", "keep").collect(engine="streaming"))
    return pl.concat(parts)
