"""Files of a run that were torn, emptied or overwritten, and what each verb says of it."""

import atexit
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from capcurriculum import cli
from capcurriculum.render.progress import Display
from curricula import make
from evaluation.results import results
from tests.cli.bad_inputs.corpus import Case
from tests.support import report_runs

_DEEP = b"[" * 100_000
#: Contents that no writer of ours leaves.
_TORN = {
    "empty": b"",
    "torn": b'{"stages": [{"sta',
    "deep": _DEEP,
    "of bytes": bytes(range(256)) * 20,
    "a list": b"[1]",
}
_DAMAGED = "damaged|cannot be read|cannot be answered"
_TABLES = ("captions", "questions", "answers", "verdicts")


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bad-inputs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = report_runs.make(folder, 8, images=2)
    make.write_orders(run, run.recipe(), [make.STAGES], Display())
    return folder


def _changed(name: str, content: bytes | None, *words: str) -> Callable[[Path], list[str]]:
    """A copy of the run with another content of one of its files (None: a folder), and a command over it."""

    def made(folder: Path) -> list[str]:
        shutil.copytree(_template() / "planted", "planted")
        path = next(iter(sorted(Path("planted").glob(name))), Path("planted") / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
        return [*words]

    return made


def _file(name: str, says: str, *words: str, code: int = 2, also: tuple[str, ...] = ()) -> Iterator[Case]:
    """A case for each content of a file."""
    for what, content in ({key: _TORN[key] for key in also} or _TORN).items():
        yield Case(f"{words[0]} over {name} that is {what}", _changed(name, content, *words), says, code)


def _shards() -> Iterator[Case]:
    for table in _TABLES:
        verbs = (
            ("status", "planted"),
            ("report", "planted"),
            ("query", "planted", f"from {table}"),
            ("why", "planted", "c0"),
        )
        for number, (what, content) in enumerate({"empty": b"", "torn": b"PAR1" + bytes(200)}.items()):
            for words in verbs[number::2]:
                change = _changed(f"{table}/part-000000.parquet", content, *words)
                yield Case(f"{words[0]} over a shard of {table} that is {what}", change, f"{table}.* damaged .*again")


def _over(name: str, what: str, call: Callable[[], object]) -> Case:
    """A reader that a verb reaches only behind a long road."""

    def made(folder: Path) -> Callable[[], int]:
        _changed(name, _TORN[what])(folder)
        return lambda: cli.exit_with(call)

    return Case(f"{name} that is {what}", made, _DAMAGED)


def _stage_files() -> Iterator[Case]:
    verbs = (("funnel",), ("query", "from stages"), ("report",), ("card",))
    for what, content in {"empty": b"", "torn": b"PAR1" + bytes(200)}.items():
        for words in verbs:
            change = _changed("stages/text/train-*.parquet", content, words[0], "planted", *words[1:])
            yield Case(f"{words[0]} over a stage file that is {what}", change, "train-.*parquet.*again")


def _events(what: str, content: bytes) -> Case:
    return Case(f"events that are {what}", _changed("events.jsonl", content, "status", "planted"), "questions", 0)


def _answers(what: str, content: bytes, says: str, code: int = 0) -> Case:
    change = _changed("a.jsonl", content, "review", "import", "planted", "planted/a.jsonl", "--annotator", "Ada")
    return Case(f"answers that are {what}", change, says, code)


def _said(**changes: object) -> bytes:
    line = {"form": 1, "page": "p", "reviewer": "a", "question_id": "q", "version": "v",
            "said_at": "2026-01-01T00:00:00Z", "right": "yes"}  # fmt: skip
    return json.dumps(line | changes).encode() + b"\n"


def _named(name: bytes, *words: str) -> Callable[[Path], list[str]]:
    """A copy of the run whose folder has this name, and a command over it."""

    def made(folder: Path) -> list[str]:
        path = os.fsdecode(name)
        shutil.copytree(_template() / "planted", path)
        return [words[0], path, *words[1:]]

    return made


def _inside(*words: str) -> Callable[[Path], Callable[[], int]]:
    """A command over the run in a folder whose name is no text, which no word of the command line tells."""

    def made(folder: Path) -> Callable[[], int]:
        place = os.fsencode(folder) + b"/odd\xff"
        shutil.copytree(os.fsencode(_template()) + b"/planted", place + b"/planted")
        os.chdir(place)
        return lambda: cli.main([*words])

    return made


CASES = [
    *_file("run.json", _DAMAGED, "card", "planted"),
    *_file("training/plan.json", "plan.json is damaged .*move it away", "status", "planted"),
    *_file("training/plan.json", "no trained step", "curves", "planted", also=("torn", "deep")),
    *_file("recipe.yaml", "recipe", "funnel", "planted", also=("empty", "torn", "of bytes", "a list")),
    *(_over("evaluation/heldout-a.json", what, lambda: results.held_out(Path("planted"))) for what in _TORN),
    *(_over("evaluation/states.json", what, lambda: results.states(Path("planted/evaluation"))) for what in _TORN
      if what != "a list"),
    *_file("evaluation/results.parquet", _DAMAGED, "compare", "a", "b", "--in", "planted", also=("empty", "of bytes")),
    *_file("review/sample.json", _DAMAGED, "review", "status", "planted", also=("torn", "deep")),
    *_file("stages/order.json", _DAMAGED, "card", "planted"),
    *_shards(),
    *_stage_files(),
    *(_events(what, content) for what, content in _TORN.items()),
    Case("events that are a folder", _changed("events.jsonl", None, "status", "planted"), "cannot be read"),
    Case("a shard that is a folder", _changed("answers/part-000000.parquet", None, "status", "planted"), "cannot be"),
    Case("a plan that is a folder", _changed("training/plan.json", None, "status", "planted"), "questions", 0),
    *(_answers(what, content, "holds no answers|answers|lines", code) for what, content, code in (
        ("empty", b"", 2), ("torn", _said()[:40], 0), ("nested deep", _DEEP + b"\n", 0), ("a list", b"[1]\n", 0))),
    _answers("of bytes", bytes(range(256)), "cannot be read .*not UTF-8", 2),
    _answers("of half a character", _said(reviewer="X").replace(b"X", b"\\ud83d"), "1|answers"),
    *(_answers(f"of the time {time}", _said(said_at=time), "1|answers") for time in (
        "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "never", "2026-02-30T00:00:00", "")),
    *(Case(f"{verb} of a run called {name!r}", _named(name, verb), "no UTF-8.*rename")
      for name in (b"a\xff", b"\xed\xa0\xbd") for verb in ("status", "funnel", "report")),
    *(Case(f"status of a run called {name!r}", _named(name, "status"), "questions", 0)
      for name in (b"a\nb", b"a\x1b]0;x\x07", "\u202ea".encode(), b"a'b\"c", b"a;b&c", b"%00", b"a\tb")),
    *(Case(f"{verb} in a folder called b'odd\\xff'", _inside(verb, "planted", *more), "no UTF-8; rename that folder")
      for verb, *more in (("status",), ("report",), ("curriculum", "--order", "merged"))),
]  # fmt: skip
