"""SQL over a run's tables with DuckDB; every count is a query, so none is kept twice.

DuckDB reads the Parquet shards directly; every table is a view of its own name, and the stage files are the view
`stages`.
"""

import glob
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.ledger.corrections import AS_WRITTEN, Corrections
from capcurriculum.run import Run
from capcurriculum.tables import arrow_schema

_GRADED = """
create view answers as
select a.* replace (coalesce(g.outcome, a.outcome) as outcome, coalesce(g.answer, a.answer) as answer,
                    coalesce(g.detail, a.detail) as detail)
from answers_as_written a left join corrected_grades g
  on g.question_id = a.question_id and g.solver = a.solver and g.purpose = a.purpose and g.arm = a.arm
 and g.rollout = a.rollout and g."order" is not distinct from a."order"
"""


def connect(run: Run, corrected: Corrections = AS_WRITTEN, sql: str = "") -> duckdb.DuckDBPyConnection:
    """An in-memory database with a view on every table of the run, for a statement that reads no pictures.

    Only the tables that `sql` names are looked at for damage ("": all of them). With corrected keys the view `answers`
    says what each answer is worth under them, `answers_as_written` what the table holds, and `corrected_keys`
    (`question_id`, `key`) which keys they are. Questions stay as they were written.

    Raises:
        RunError: a shard, or a stage file, is damaged.
    """
    connection = duckdb.connect()
    for table in run.tables:
        name, shards = table.folder.name, table.shards()
        if not shards:
            empty: pa.Table = arrow_schema(table.record).empty_table()
            connection.register(name, empty)
            continue
        if reads(sql, name):
            checksums.check(shards)
        if name == run.answers.folder.name and corrected.grades is not None:
            name = "answers_as_written"
        _read(connection, shards, union_by_name=True).create_view(name)
    if files := stage_paths(run):
        if reads(sql, "stages"):
            checksums.check(files, pictures=False)
        _read(connection, files).create_view("stages")
    connection.register("corrected_keys", corrected.keys.to_arrow())
    if corrected.grades is not None and run.answers.shards():
        connection.register("corrected_grades", corrected.grades.to_arrow())
        connection.execute(_GRADED)
    return connection


def reads(sql: str, table: str) -> bool:
    """Whether a statement may read a table ("": any statement)."""
    return not sql or table in sql.lower()


def _read(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], union_by_name: bool = False
) -> duckdb.DuckDBPyRelation:
    patterns = [glob.escape(str(path.absolute())) for path in files]  # DuckDB takes a path for a pattern
    try:
        return connection.read_parquet(patterns, hive_partitioning=False, union_by_name=union_by_name)
    except duckdb.Error as error:
        for path in files:
            checksums.rows(path)  # names the one that is no Parquet file
        raise RunError(f"{files[0].parent} cannot be read ({' '.join(str(error).split())}).") from error


def stage_paths(run: Run) -> list[Path]:
    """The files that the view `stages` is of."""
    return sorted(run.stages.glob("*/*.parquet"))


def query(run: Run, sql: str, corrected: Corrections = AS_WRITTEN) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of one trusted SQL statement over the run; `user_query` answers those of users.

    Raises:
        RunError: DuckDB refuses the statement, or what it reads is damaged.
    """
    with refusals(run):
        return answered(connect(run, corrected, sql), sql)


@contextmanager
def refusals(run: Run) -> Iterator[None]:
    """Turn DuckDB's errors into a `RunError` that quotes them."""
    try:
        yield
    except duckdb.Error as error:
        tables = ", ".join([*(table.folder.name for table in run.tables), "stages"])
        raise RunError(
            f"The query cannot be answered: {' '.join(str(error).split())} (the tables are {tables})."
        ) from error


def answered(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of a statement, run in a thread since DuckDB handles no signal while it runs.

    Raises:
        duckdb.Error: it refuses the statement.
    """

    def ask() -> tuple[list[str], list[tuple[object, ...]]]:
        result = connection.execute(sql)
        return [column[0] for column in result.description or []], result.fetchall()

    with ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
        asked = pool.submit(ask)
        try:
            return asked.result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


def find(run: Run, prefix: str) -> str:
    """The one id (of a caption, a source line or a question) that is `prefix` or, where none is, begins with it.

    Raises:
        RunError: none does, or several do.
    """
    sql = (
        "select distinct id from (select caption_id as id from captions union all select question_id from questions "
        "union all select question_id from verdicts) where starts_with(id, ?) order by id limit 6"
    )
    ids = connect(run, sql=sql).execute(sql, [prefix]).fetchall()
    if len(ids) > 1 and (prefix,) not in ids:
        shown = ", ".join(sorted(str(row[0]) for row in ids[:5]))
        raise RunError(f"{prefix!r} is the beginning of several ids ({shown}); give more of it.")
    if not ids:
        raise RunError(f"{prefix!r} names no row; `capcurriculum query {run.path} 'from verdicts'` lists them all.")
    return str(ids[0][0])  # the shortest, where it is the whole of `prefix`: it sorts before what goes on


def stage_files(run: Run) -> dict[str, list[Path]]:
    """Stage -> its Parquet files."""
    return {
        folder.name: sorted(folder.glob("*.parquet")) for folder in sorted(run.stages.glob("[!.]*")) if folder.is_dir()
    }
