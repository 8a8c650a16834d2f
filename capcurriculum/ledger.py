"""Questions to a run: all of them queries over its tables, so nothing keeps a second count.

DuckDB reads the Parquet shards directly; every table is a view of its own name, and the stage files are the view
`stages`.
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from capcurriculum.corrections import AS_WRITTEN, Corrections
from capcurriculum.errors import RunError
from capcurriculum.run import Run
from capcurriculum.tables import arrow_schema, refuse_torn

_GRADED = """
create view answers as
select a.* replace (coalesce(g.outcome, a.outcome) as outcome, coalesce(g.answer, a.answer) as answer,
                    coalesce(g.detail, a.detail) as detail)
from answers_as_written a left join corrected_grades g
  on g.question_id = a.question_id and g.solver = a.solver and g.purpose = a.purpose and g.arm = a.arm
 and g.rollout = a.rollout and g."order" is not distinct from a."order"
"""


def connect(run: Run, corrected: Corrections = AS_WRITTEN) -> duckdb.DuckDBPyConnection:
    """An in-memory database with a view on every table of the run.

    With corrected keys the view `answers` says what each answer is worth under them, `answers_as_written` what the
    table holds, and `corrected_keys` (`question_id`, `key`) which keys they are. Questions stay as they were written.

    Raises:
        RunError: a file is damaged.
    """
    connection = duckdb.connect()
    try:
        _views(connection, run, corrected)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"A table of {run.path} is damaged ({reason}); remove the file that is named and run the build again."
        ) from error
    return connection


def _views(connection: duckdb.DuckDBPyConnection, run: Run, corrected: Corrections) -> None:
    for table in run.tables:
        shards = [str(shard) for shard in table.shards()]
        if shards:
            name = table.folder.name
            if name == run.answers.folder.name and corrected.grades is not None:
                name = "answers_as_written"
            connection.read_parquet(shards, union_by_name=True).create_view(name)
        else:
            empty: pa.Table = arrow_schema(table.record).empty_table()
            connection.register(table.folder.name, empty)
    files = sorted(str(path) for path in run.stages.glob("*/*.parquet"))
    for path in files:
        refuse_torn(Path(path))
    if files:
        connection.read_parquet(files).create_view("stages")
    connection.register("corrected_keys", corrected.keys.to_arrow())
    if corrected.grades is not None and run.answers.shards():
        connection.register("corrected_grades", corrected.grades.to_arrow())
        connection.execute(_GRADED)


def query(run: Run, sql: str, corrected: Corrections = AS_WRITTEN) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of one SQL statement over the run.

    Raises:
        RunError: DuckDB refuses the statement; its own words are in the sentence.
    """
    try:
        result = connect(run, corrected).execute(sql)
        return [column[0] for column in result.description or []], result.fetchall()
    except duckdb.Error as error:
        tables = ", ".join([*(table.folder.name for table in run.tables), "stages"])
        raise RunError(
            f"The query cannot be answered: {' '.join(str(error).split())} (the tables are {tables})."
        ) from error


def find(run: Run, prefix: str) -> str:
    """The one id (of a caption, a source line or a question) that begins with `prefix`.

    Raises:
        RunError: none does, or several do.
    """
    connection = connect(run)
    ids = connection.execute(
        "select distinct id from (select caption_id as id from captions union all select question_id from questions "
        "union all select question_id from verdicts) where starts_with(id, ?) limit 6",
        [prefix],
    ).fetchall()
    if len(ids) > 1:
        shown = ", ".join(sorted(str(row[0]) for row in ids[:5]))
        raise RunError(f"{prefix!r} is the beginning of several ids ({shown}); give more of it.")
    if not ids:
        raise RunError(f"{prefix!r} names no row; `capcurriculum query {run.path} 'from verdicts'` lists them all.")
    return str(ids[0][0])


def stage_files(run: Run) -> dict[str, list[Path]]:
    """Stage -> its Parquet files."""
    return {
        folder.name: sorted(folder.glob("*.parquet")) for folder in sorted(run.stages.glob("[!.]*")) if folder.is_dir()
    }
