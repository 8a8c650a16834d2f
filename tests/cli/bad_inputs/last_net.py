"""Errors that no reader foresaw, at the one place where all commands end."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from capcurriculum import cli, unforeseen
from capcurriculum.errors import RunError
from tests.cli.bad_inputs.corpus import Case


class PanicException(BaseException):
    """As libraries written in Rust raise it."""


def _raised(name: str, error: Callable[[], BaseException], says: str, code: int) -> Case:
    def work() -> None:
        raise error()

    def made(folder: Path) -> Callable[[], int]:
        unforeseen.remember(folder)  # where the traceback goes
        return lambda: cli.exit_with(work)

    return Case(name, made, says, code)


def _written(number: int) -> Callable[[], OSError]:
    return lambda: OSError(number, os.strerror(number), "runs/r/answers/part-000000.parquet")


def _from(cause: BaseException) -> BaseException:
    error = RunError("The table answers is damaged.")
    error.__cause__ = cause
    return error


_BUG = r"This is a bug in capcurriculum \(.*its traceback is in /.*traceback-.*\.txt, please report"
_FULL = r"Nothing more can be written.*make room and run the same command again"
CASES = [
    *(_raised(f"an error of the kind {type(error).__name__}", lambda error=error: error, _BUG, 70) for error in (
        ZeroDivisionError("x"), KeyError("x"), RecursionError("x"), MemoryError(), AssertionError(), StopIteration(),
        UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"), OSError("without a number"),
        ExceptionGroup("several", [ValueError("x"), TypeError("y")]), PanicException("index out of bounds"),
        pl.exceptions.ComputeError("something odd"), ConnectionResetError(errno.ECONNRESET, "reset by peer"))),
    _raised("an error whose text is of escapes", lambda: ValueError("\x1b]0;owned\x07\r\n\u202e"), _BUG, 70),
    _raised("a text of half a character", lambda: ValueError("\ud83d"), _BUG, 70),
    _raised("a broken pipe to another process", lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"), _BUG, 70),
    *(_raised(f"writing with {errno.errorcode[number]}", _written(number), _FULL, 2)
      for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
    *(_raised(f"a file with {errno.errorcode[number]}", _written(number), "cannot be used .*another folder", 2)
      for number in (errno.EACCES, errno.EPERM, errno.EROFS)),
    _raised("a full disk in the words of Rust", lambda: pl.exceptions.ComputeError("No space (os error 28)"), _FULL, 2),
    _raised("a full disk behind another error", lambda: _from(_written(errno.ENOSPC)()), _FULL, 2),
    _raised("a full disk in a group of errors", lambda: ExceptionGroup("x", [_written(errno.ENOSPC)()]), _FULL, 2),
    _raised("a sentence of ours", lambda: RunError("Mend it."), "error: Mend it", 2),
]  # fmt: skip


def _odd(word: bytes, *before: str) -> Case:
    return Case(f"{' '.join(before)} {word!r}", lambda folder: [*before, os.fsdecode(word)], "no UTF-8.*rename")


CASES += [
    _odd(word, *before)
    for word in (b"\xff", b"runs/\xc3\x28", b"\xed\xa0\xbd")
    for before in (("build",), ("query", "run"), ("report", "run", "--out"), ("signatures", "build"))
]
