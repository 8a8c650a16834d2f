"""SQL that would leave the run it is asked of: files, other databases, the network, extensions, settings."""

from collections.abc import Callable, Iterator
from pathlib import Path

from capcurriculum import cli
from tests.cli.bad_inputs.built import QUESTIONS, copied
from tests.cli.bad_inputs.corpus import Case

_SHARD = "run/questions/part-000000.parquet"
_WRITE = f"copy (select 1 as a) to '{_SHARD}' (format csv, use_tmp_file false)"
#: Refused as not of the run's tables.
OUTSIDE = (
    "copy questions to 'out.csv'",
    "copy (select 1) to 'out.parquet' (format parquet)",
    "copy (select 1) to '/dev/stdout' (format csv)",
    _WRITE,
    "explain analyze copy (select 1) to 'out.csv'",
    "/* a */ explain analyze copy (select 1) to 'out.csv'",
    "with a as (copy (select 1) to 'out.csv') from a",
    f"with a as ({_WRITE}) from a",
    f"with q as (pivot questions on stage), a as ({_WRITE}) from q, a",
    "copy (pivot questions on stage) to 'out.csv'",
    "select 1; copy (select 1) to 'out.csv'",
    "create table t as select 1 as a; copy t to 'out.csv'",
    "create table t (a text); copy t from 'secret.txt' (format csv)",
    "prepare p as copy (select 1) to 'out.csv'; execute p",
    "export database 'out'",
    "import database 'run'",
    "attach 'out.db' as other",
    "attach 'secret.txt' as other",
    "attach ':memory:' as m; attach 'out.db' as other",
    "from read_text('secret.txt')",
    "from read_text('/etc/passwd')",
    "from read_blob('secret.txt')",
    "from read_csv('secret.txt')",
    "from read_csv_auto('secret.txt')",
    "from read_json('secret.txt')",
    "from read_ndjson('secret.txt')",
    "from read_json_objects('secret.txt')",
    "from sniff_csv('secret.txt')",
    f"from read_parquet('{_SHARD}')",
    f"from parquet_metadata('{_SHARD}')",
    f"from parquet_schema('{_SHARD}')",
    "from parquet_scan('run/*/*.parquet')",
    "from 'secret.csv'",
    'from "secret.csv"',
    f"from '{_SHARD}'",
    "from glob('*')",
    "from glob('/etc/*')",
    "from read_text('/proc/self/environ')",
    "from read_csv('/dev/stdin')",
    "from query('from read_text(''secret.txt'')')",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''secret.txt'')'))",
    f"""from json_execute_serialized_sql(json_serialize_sql('with a as ({_WRITE.replace("'", "''")}) from a'))""",
    "create view v as from read_text('secret.txt'); from v",
    "create macro m(f) as table from read_text(f); from m('secret.txt')",
    "from read_csv('http://127.0.0.1:1/a.csv')",
    "from read_parquet('https://127.0.0.1:1/a.parquet')",
    "from 'https://127.0.0.1:1/a.parquet'",
    "from read_parquet('s3://bucket/a.parquet')",
    "from read_parquet('hf://datasets/a/b.parquet')",
    "install httpfs",
    "load httpfs",
    "load '/tmp/evil.duckdb_extension'",
    "from duckdb_secrets()",
)
#: Refused for other reasons, in DuckDB's own words.
REFUSED = (
    "set enable_external_access = true",
    "set global enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set temp_directory = '.'",
    "set home_directory = '/'",
    "set threads = 64",
    "set python_enable_replacements = true",
    "pragma enable_profiling",
    "pragma memory_limit = '1KB'",
    "set log_query_path = 'out.log'",
    "call enable_logging(storage = 'file', storage_path = '.')",
    "select * from run",
    "select * from sql",
    "select * from stages_",
    "select getenv('HOME')",
    "insert into questions select * from questions",
    "delete from questions",
    "update questions set answer = 'A'",
    "drop table questions",
    "select",
    "select * from questions where",
    "'",
    "",
    ";",
    "-- nothing",
)
#: What a query could always do.
ANSWERED = {
    "with a as (from questions) select count(*) as n from a": rf"n {QUESTIONS}",
    "select count(*) as n from (pivot questions on stage)": rf"n {QUESTIONS}",
    "describe questions": r"question_id VARCHAR",
    "select count(*) as n from query('from questions')": rf"n {QUESTIONS}",
    "show tables": r"answers .* questions .* stages",
    "explain select 1": r"physical_plan",
    "select sum(octet_length(images[1].bytes)) > 0 as there from stages": r"there True",
}


def _asked(sql: str) -> Callable[[Path], Callable[[], int]]:
    """The statement beside a secret; nothing of the secret is said, and no file is made or changed."""

    def make(folder: Path) -> Callable[[], int]:
        copied(folder)
        (folder / "secret.txt").write_text("a_secret_word\n")
        (folder / "secret.csv").write_text("a_secret_word\n1\n")
        before = _files(folder)

        def ask() -> int:
            code = cli.main(["query", "run", sql])
            assert _files(folder) == before
            return code

        return ask

    return make


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _cases() -> Iterator[Case]:
    kept = r"^(?!.*a_secret_word)"
    for sql in OUTSIDE:
        yield Case(sql, _asked(sql), rf"{kept}error: .*(reads the tables of run and nothing else|cannot be answered)")
    for sql in REFUSED:
        yield Case(sql or "no statement", _asked(sql), rf"{kept}error: The query (cannot be answered: |is empty)")
    for sql, says in ANSWERED.items():
        yield Case(sql, _asked(sql), says, code=0)


CASES = [*_cases()]
