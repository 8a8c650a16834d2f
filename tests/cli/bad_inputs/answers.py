"""Files of answers to a review page: invented people, others' names, times to come, signatures that do not fit."""

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum.run import Run
from filters.human.form import version
from review.page import signing
from tests.cli.bad_inputs.corpus import Case
from tests.support.reviewing import copied

#: One answer -> its line, or several; the world is there to sign by.
Lines = Callable[[World, dict[str, Any]], list[Any]]
_VALUES = ("page", "reviewer", "question_id", "version", "said_at", "right", "choice", "kind", "quality", "comment")


@functools.cache
def _world() -> World:
    folder = tempfile.TemporaryDirectory(prefix="bad-answers-")
    _KEPT.append(folder)
    return review_world.made(Path(folder.name), 12)


_KEPT: list[Any] = []


def _signed(run: Run, told: dict[str, Any], key: str = "") -> dict[str, Any]:
    key = key or signing.key(run, told["page"], told["reviewer"])
    return told | {"signature": signing.signature(key, [told[name] for name in _VALUES])}


def _case(name: str, lines: Lines, says: str, code: int = 2, *words: str) -> Case:
    def make(folder: Path) -> list[str]:
        world = copied(_world(), folder)
        asked = next(world.run.questions.rows())
        told = dict.fromkeys(_VALUES, "") | {
            "form": 1, "page": "p", "reviewer": "Ada", "question_id": asked.question_id, "version": version(asked),
            "said_at": "2026-01-02T10:00:00.000Z", "right": "yes", "quality": 0,
        }  # fmt: skip
        written = [one if isinstance(one, str) else json.dumps(one) for one in lines(world, told)]
        Path("answers.jsonl").write_bytes("".join(line + "\n" for line in written).encode("utf-8", "surrogatepass"))
        return ["review", "import", str(world.run.path), "answers.jsonl", *words]

    return Case(name, make, says, code)


def _one(name: str, says: str, code: int = 0, **changes: Any) -> Case:
    """A line that is changed and then signed as its page would."""
    return _case(name, lambda world, told: [_signed(world.run, told | changes)], says, code)


def _forged(name: str, **changes: Any) -> Case:
    """A line that was signed and then changed."""
    return _case(name, lambda world, told: [_signed(world.run, told) | changes], "is not signed by a page of this run")


def _file(name: str, make: Callable[[Path], None], says: str) -> Case:
    def made(folder: Path) -> list[str]:
        world = copied(_world(), folder)
        make(Path("answers.jsonl"))
        return ["review", "import", str(world.run.path), "answers.jsonl", "--annotator", "Ada"]

    return Case(name, made, says)


def _secret(name: str, data: bytes) -> Case:
    def made(folder: Path) -> list[str]:
        world = copied(_world(), folder)
        (world.run.path / "review").mkdir(exist_ok=True)
        (world.run.path / "review" / ".pseudonyms").write_bytes(data)
        return ["review", "export", str(world.run.path), "--size", "3", "--annotator", "Ada"]

    return Case(name, made, r"pseudonyms is damaged; remove it")


def _exported(name: str, says: str, *words: str) -> Case:
    def made(folder: Path) -> list[str]:
        return ["review", "export", str(copied(_world(), folder).run.path), "--size", "3", *words]

    return Case(name, made, says)


def _of_another_run(world: World, told: dict[str, Any]) -> list[Any]:
    other = Run(world.run.path.parent / "other")
    shutil.copytree(world.run.path, other.path)
    return [_signed(other, told)]


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


_UNSIGNED = "is not signed by a page of this run"
_PEOPLE = "and one file is one person's"
_FUTURE = "1 lines were left out, .* which is in the future"
_NO_TIME = "1 lines were left out, .* which is none"
CASES = [
    _case("nobody's", lambda world, told: [told], _UNSIGNED),
    _case("an empty signature", lambda world, told: [told | {"signature": ""}], _UNSIGNED),
    _case("a signature of zeros", lambda world, told: [told | {"signature": "0" * 64}], _UNSIGNED),
    _case("a signature that is none", lambda world, told: [told | {"signature": "é" * 64}], _UNSIGNED),
    _case("signed with a key of zeros", lambda world, told: [_signed(world.run, told, "00" * 32)], _UNSIGNED),
    _case("signed by a page of another run", _of_another_run, _UNSIGNED),
    _case("a thousand people", lambda world, told: [told | {"reviewer": f"r{n}"} for n in range(1000)], _PEOPLE),
    _case("a thousand people for a named one", lambda world, told: [told | {"reviewer": f"r{n}"} for n in range(1000)],
          _PEOPLE, 2, "--annotator", "Ada"),
    _case("two people who both signed", lambda world, told: [_signed(world.run, told | {"reviewer": who})
                                                             for who in ("Ada", "Bob")], _PEOPLE),
    _case("one who signed and another's name", lambda world, told: [_signed(world.run, told), told | {"reviewer": "B"}],
          _PEOPLE),
    _case("one who signed for a named other", lambda world, told: [_signed(world.run, told)],
          "is signed by 'Ada', not by 'Bob'", 2, "--annotator", "Bob"),
    _case("one signed line among others", lambda world, told: [_signed(world.run, told), told | {"right": "no"}],
          "1 new reviews .*1 lines were left out, the first is line 2: it is not signed", 0),
    _case("another name is not taken from the file", lambda world, told: [told | {"reviewer": "Grace"}],
          "1 new reviews", 0, "--annotator", "Ada"),
    _forged("another name", reviewer="Bob"),
    _forged("another page", page="q"),
    _forged("another question", question_id="0" * 16),
    _forged("another version", version="0" * 16),
    _forged("another time", said_at="2026-01-03T10:00:00.000Z"),
    _forged("another answer", right="no"),
    _forged("another choice", choice="B"),
    _forged("another kind", kind="count"),
    _forged("another quality", quality=5),
    _forged("another comment", comment="!"),
    _one("the year 9999", _FUTURE, said_at="9999-01-01T00:00:00Z"),
    _one("the last second of all, from the west", _NO_TIME, said_at="9999-12-31T23:59:59-14:00"),
    _one("the first second of all, from the east", _NO_TIME, said_at="0001-01-01T00:00:00+14:00"),
    _one("tomorrow", _FUTURE, said_at=_tomorrow()),
    _one("yesterday as a word", _NO_TIME, said_at="yesterday"),
    _one("no time", _NO_TIME, said_at=""),
    _one("a time with an escape", _NO_TIME, said_at="\x1b[2J"),
    _one("an answer with an escape", r"\\x1b\[2J", right="\x1b[2J"),
    _one("an answer with a line end", r"'maybe\\nerror: forged'", right="maybe\nerror: forged"),
    _one("a kind of another language", "1 lines were left out", kind="\u202egnirb"),
    _one("a question that is not there", "1 are about questions that this run does not have", question_id="0" * 16),
    _one("an older version", "1 are about another version", version="0" * 16),
    _one("a quality of 9", "the quality is 9", quality=9),
    _one("a quality below", "the quality is -1", quality=-1),
    _case("a very large number", lambda world, told: [json.dumps(told).replace(": 0", ": " + "9" * 5000)],
          "1 lines were left out", 0),
    *(_case(f"the {key} is {value!r}", lambda world, told, key=key, value=value: [told | {key: value}],
            f"1 lines were left out, the first is line 1: {key}", 0)
      for key in ("reviewer", "said_at", "signature") for value in (None, 1, [], {}, True)),
    _case("an empty name", lambda world, told: [told | {"reviewer": ""}], "1 lines were left out", 0),
    _case("a name of 201 letters", lambda world, told: [told | {"reviewer": "a" * 201}], "1 lines were left out", 0),
    _case("a comment beyond the limit", lambda world, told: [told | {"comment": "a" * 4001}], "1 lines were", 0),
    _case("another form", lambda world, told: [told | {"form": 2}], "1 lines were left out", 0),
    _case("a key more", lambda world, told: [told | {"\x1b]0;x\x07": 1}], r"1 lines were left out.*\\x1b\]0;x\\x07", 0),
    _case("a torn line", lambda world, told: [json.dumps(told)[:-9]], "1 lines were left out", 0),
    _case("a lone surrogate", lambda world, told: [json.dumps(told).replace("Ada", "\\ud800")], "1 lines were left", 0),
    _case("deep brackets", lambda world, told: ["[" * 100_000], "1 lines were left out", 0),
    _case("a number for a line", lambda world, told: ["1"], "1 lines were left out", 0),
    _file("an empty file", lambda path: path.touch(), "holds no answers"),
    _file("no text", lambda path: path.write_bytes(b"\xff\xfe\x00") and None, "it is not UTF-8"),
    _file("a folder", Path.mkdir, "is no file of answers"),
    _file("a pipe", os.mkfifo, "is no file of answers"),
    _file("no file", lambda path: None, "cannot be read"),
    _file("a link to itself", lambda path: path.symlink_to(path.name), "cannot be read"),
    _secret("an empty secret", b""),
    _secret("a short secret", b"abc"),
    _secret("a secret of no text", b"\xff" * 64),
    _secret("a secret of zeros", b"\0" * 64),
    _exported("a page for nobody", "Whose page is it"),
    _exported("a page for blanks", "is no name of a person", "--annotator", "  "),
    _exported("a page for a name with an escape", r"is no name of a person", "--annotator", "a\x1b[2J"),
    _exported("a page for a name with a line end", r"is no name of a person", "--annotator", "a\nb"),
    _exported("a page for a long name", "is no name of a person", "--annotator", "a" * 201),
]  # fmt: skip
