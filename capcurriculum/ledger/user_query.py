"""A user's SQL over a run, which may come from anybody: it sees the run's tables, and no file, network or setting.

DuckDB is not even allowed the run's own files, because it has statements that look like reading and write (`with a as
(copy ...) from a`). Arrow reads the files for it, a column only where a statement needs it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from capcurriculum.errors import RunError
from capcurriculum.files import checksums
from capcurriculum.ledger import query
from capcurriculum.run import Run
from capcurriculum.tables import arrow_schema

#: DuckDB's functions that read the table, or run the statement, that a text names.
_INDIRECT = ("query", "json_execute_serialized_sql")


def answer(run: Run, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and rows of one SQL statement over the tables of a run and `stages`, all its stage files.

    Raises:
        RunError: DuckDB refuses the statement, and its own words are in the sentence, or what it reads is damaged.
    """
    named = any(name in sql.lower() for name in ("stages", *(table.folder.name for table in run.tables)))
    read = sql if named and not any(name in sql.lower() for name in _INDIRECT) else ""
    with (
        tempfile.TemporaryDirectory(prefix="capcurriculum-query-") as spill,
        query.refusals(run),
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
        _register(connection, run, read)
        _confine(connection)
        if not connection.extract_statements(sql):
            raise RunError("The query is empty; ask for example 'select reason, count(*) from verdicts group by all'.")
        if query.reads(read, "stages") and _reads_pictures(connection, sql):
            checksums.check(query.stage_paths(run))
        try:
            return query.answered(connection, sql)
        except duckdb.PermissionException as error:
            raise RunError(
                f"A query reads the tables of {run.path} and nothing else ({' '.join(str(error).split())}); leave out "
                "what reads or writes files, the network or settings."
            ) from error


def _register(connection: duckdb.DuckDBPyConnection, run: Run, sql: str) -> None:
    for table in run.tables:
        name, shards = table.folder.name, table.shards()
        if query.reads(sql, name):
            checksums.check(shards)
        connection.register(name, _dataset(shards, arrow_schema(table.record)))
    if (stages := query.stage_paths(run)) and query.reads(sql, "stages"):
        checksums.check(stages, pictures=False)
        connection.register("stages", _dataset(stages))


def _dataset(files: Sequence[Path], schema: pa.Schema | None = None) -> ds.Dataset | pa.Table:
    if not files and schema is not None:
        return schema.empty_table()
    # A file system is named, so that no path is taken for an address.
    return ds.dataset([str(path) for path in files], schema, format="parquet", filesystem=fs.LocalFileSystem())


def _confine(connection: duckdb.DuckDBPyConnection) -> None:
    """Let later statements reach no file, no network, no extension, no variable of Python's, and no setting."""
    for setting in (
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"set {setting}")


def _reads_pictures(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Whether DuckDB's plan of a statement has the pictures of the stage files in it, or is not to be had."""
    if [one.type for one in connection.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
        return True
    try:
        plan = connection.execute(f"explain (format json) {sql}").fetchall()
    except duckdb.Error:
        return False  # the statement itself will say why
    return checksums.PICTURES in str(plan) or any(name.upper() in str(plan) for name in _INDIRECT)
