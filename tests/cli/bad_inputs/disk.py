"""Shards, stage files and records of a run that a disk has damaged, and those that bear no checksum."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from capcurriculum import cli
from capcurriculum.run import Run
from tests.cli.bad_inputs.built import QUESTIONS, TABLES, copied
from tests.cli.bad_inputs.corpus import Case

Damage = Callable[[bytes], bytes]


def _flipped(place: float | int) -> Damage:
    """One bit of the byte at a place: a share of the file, or counted from its end."""

    def damage(data: bytes) -> bytes:
        at = int(len(data) * place) if isinstance(place, float) else len(data) + place
        return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]

    return damage


def _footer(data: bytes) -> int:
    """Where, from the end, the footer of a Parquet file begins."""
    return -8 - int.from_bytes(data[-8:-4], "little")


def _before_footer(back: int) -> Damage:
    return lambda data: _flipped(_footer(data) - back)(data)


SHARD: dict[str, Damage] = {
    "a bit of its first magic": _flipped(0.0),
    "a bit of its pages": _flipped(0.2),
    "a bit of its checksums": _before_footer(20),
    "a bit of its footer": lambda data: _flipped(_footer(data) // 2)(data),
    "a bit of its last magic": _flipped(-2),
    "half of it": lambda data: data[: len(data) // 2],
    "nothing in it": lambda data: b"",
    "zeros at its end": lambda data: data[:-4096] + bytes(min(4096, len(data))),
    "a text": lambda data: b"<html>502 Bad Gateway</html>\n",
}
RECORD: dict[str, Damage] = {
    "a bit of it": _flipped(0.7),
    "half of it": lambda data: data[: len(data) // 2],
    "nothing in it": lambda data: b"",
    "binary": lambda data: bytes(range(256)),
    "deep": lambda data: b"[" * 100_000,
}
STAGES = ("stages/text/train-00000-of-00001.parquet", "stages/visual/val-00000-of-00001.parquet", "stages/rows.parquet")
RECORDS = ("run.json", "stages/order.json", "training/plan.json", "gathered.json", "review/sample.json")


_SEEN = "stages/visual/train-00000-of-00001.parquet"


def _picture(data: bytes) -> bytes:
    """A bit of the first picture."""
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    (start,) = [one.data_page_offset for one in columns if one.path_in_schema == "images.list.element.bytes"]
    return data[: start + 200] + bytes([data[start + 200] ^ 1]) + data[start + 201 :]


def _broken(name: str, damage: Damage, *words: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        run = copied(folder)
        path = run.path / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes((run.path / "run.json").read_bytes())
        path.write_bytes(damage(path.read_bytes()))
        return [words[0], str(run.path), *words[1:]]

    return make


def _verified() -> Iterator[Case]:
    """`verify` names the file, and how to make it again."""
    for name in (*(f"{table}/part-000000.parquet" for table in TABLES), *STAGES):
        for what, damage in SHARD.items():
            mend = "put back a copy|`capcurriculum build" if name.startswith("stages") else "put back a copy|remove it"
            yield Case(f"verify: {name}, {what}", _broken(name, damage, "verify"), rf"{name} is damaged \(.*({mend})")
    for name in RECORDS:
        for what, damage in RECORD.items():
            yield Case(f"verify: {name}, {what}", _broken(name, damage, "verify"), rf"{name} is damaged \(.*; put back")
    yield Case("verify: recipe.yaml, a bit", _broken("recipe.yaml", _flipped(0.9), "verify"), r"by hand, or is damaged")
    yield Case(
        "verify: events.jsonl, binary",
        _broken("events.jsonl", lambda data: b"\x80\xff\n" + data, "verify"),
        r"events.jsonl is damaged \(.*; remove that line",
    )


def _read() -> Iterator[Case]:
    """The verbs that read say so, and those that do not need a file do not look at it."""
    flip = SHARD["a bit of its pages"]
    for table in TABLES:
        name = f"{table}/part-000000.parquet"
        sql = f"select count(*) + 0 * len(any_value(columns(*))::text) from {table}"
        yield Case(f"query: {table}", _broken(name, flip, "query", sql), rf"{name} is damaged .* (remove it|put back)")
    yield Case("funnel: verdicts", _broken("verdicts/part-000000.parquet", flip, "funnel"), r"verdicts/.* is damaged")
    yield Case("why: questions", _broken("questions/part-000000.parquet", flip, "why", "0"), r"questions/.* is damaged")
    yield Case("report: answers", _broken("answers/part-000000.parquet", flip, "report"), r"answers/.* is damaged")
    yield Case("status: a footer", _broken("answers/part-000000.parquet", SHARD["a bit of its footer"], "status"),
               r"answers/.* is damaged")  # fmt: skip
    for verb in ("funnel", "report", "card"):
        yield Case(f"{verb}: a stage file", _broken(STAGES[0], flip, verb), r"train-00000.* is damaged .* `capcurr")
    yield Case("query: a stage file", _broken(STAGES[0], flip, "query", "from stages"), r"train-00000.* is damaged")
    yield Case(
        "query: pictures of a stage file",
        _broken(_SEEN, _picture, "query", "select images from stages"),
        r"its pictures do not have the checksum",
    )
    yield Case(
        "query: no pictures wanted",
        _broken(_SEEN, _picture, "query", "select count(*) n from stages"),
        rf"n {QUESTIONS}",
        code=0,
    )
    yield Case(
        "query: another table",
        _broken("verdicts/part-000000.parquet", flip, "query", "select count(*) n from questions"),
        rf"n {QUESTIONS}",
        code=0,
    )
    yield Case("status: plan.json", _broken("training/plan.json", RECORD["half of it"], "status"), r"plan.json is dam")
    yield Case("report: run.json", _broken("run.json", RECORD["half of it"], "report"), r"run.json is damaged")


def _unsealed(path: Path) -> None:
    """As earlier versions wrote a file: `pyarrow` leaves out what it does not know."""
    table = pq.read_table(path)
    pq.write_table(table, path, compression="zstd")


def _old(table: str, verb: str, *words: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        run = copied(folder)
        _unsealed(run.path / table / "part-000000.parquet")
        return [verb, str(run.path), *words]

    return make


def _without_checksums() -> Iterator[Case]:
    for table in TABLES:
        sql = f"select count(*) > 0 as there from {table}"
        yield Case(f"query: old {table}", _old(table, "query", sql), r"there True", code=0)
        yield Case(f"verify: old {table}", _old(table, "verify"), rf"{table} 0 1 0.*bear no checksum", code=0)
    yield Case("verify: an old shard that cannot be read", _old_and_broken, r"answers/part-000000.parquet is damaged")
    yield Case("build: a damaged stage file that was removed is written again", _made_again, r"as it was", code=0)


def _old_and_broken(folder: Path) -> list[str]:
    run = copied(folder)
    path = run.path / "answers/part-000000.parquet"
    _unsealed(path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :])
    return ["verify", str(run.path)]


def _made_again(folder: Path) -> Callable[[], int]:
    """What the sentence on a stage file says is done, and leaves the same file."""
    run = copied(folder)
    path = run.path / STAGES[0]
    before = path.read_bytes()
    path.write_bytes(SHARD["a bit of its pages"](before))
    return lambda: _follow(run, path, before)


def _follow(run: Run, path: Path, before: bytes) -> int:
    from capcurriculum.render.progress import Display
    from curricula.make import STAGES as PLAIN
    from curricula.make import write_orders

    assert cli.main(["verify", str(run.path)]) == 2
    path.unlink()
    write_orders(run, run.recipe(), [PLAIN], Display())
    assert path.read_bytes() == before
    print("as it was")
    return cli.main(["verify", str(run.path)])


CASES = [*_verified(), *_read(), *_without_checksums()]
