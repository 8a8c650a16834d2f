"""What a case is, and how one is tried."""

import contextlib
import importlib
import io
import os
import pkgutil
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tests.cli.bad_inputs
from capcurriculum import cli

#: Seconds after which a command on an idle core counts as one that hangs, and after which it is ended.
SLOW, ENDED = 10.0, 60.0
#: Characters that may not stand in what a user reads: escapes, bells, carriage returns, what turns the writing.
_PRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Case:
    """A bad input.

    `make` writes what the case needs below a folder, which becomes the working directory, and gives the words of a
    command line; it may also give a function, for what no command reaches, which prints and returns an exit code.
    `says` is searched in what was printed, white space made one blank.
    """

    name: str
    make: Callable[[Path], list[str] | Callable[[], int]]
    says: str
    code: int = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out. `fault` is "" where all was as the case says, else "traceback", "silent" or "hang"."""

    fault: str
    code: int
    printed: str
    seconds: float


class _Hangs(BaseException):
    """Not an Exception, so that nothing swallows it."""


def cases() -> dict[str, Case]:
    """All cases by `module/name`."""
    found: dict[str, Case] = {}
    for module in pkgutil.iter_modules(tests.cli.bad_inputs.__path__):
        for case in getattr(importlib.import_module(f"tests.cli.bad_inputs.{module.name}"), "CASES", ()):
            name = f"{module.name}/{case.name}"
            assert name not in found, f"two cases are called {name}"
            found[name] = case
    return found


def attempt(case: Case, folder: Path) -> Outcome:
    """Try a case in an empty folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        given = case.make(folder)
        heard = io.StringIO()
        start = time.perf_counter()
        code, broke = _run(given, heard)
        seconds = time.perf_counter() - start
    finally:
        os.chdir(before)
    printed = heard.getvalue()
    told = re.search(case.says, " ".join(printed.split()))
    fault = ""
    if broke or "Traceback (most recent call last)" in printed:
        fault = "traceback"
    elif seconds > SLOW:
        fault = "hang"
    elif code != case.code or not told or _PRINTED.search(printed):
        fault = "silent"
    return Outcome(fault, code, printed, seconds)


def _run(given: list[str] | Callable[[], int], heard: io.StringIO) -> tuple[int, bool]:
    """(exit code, whether an error nobody foresaw came out)."""
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard), _limit():
        try:
            return (cli.main(given) if isinstance(given, list) else given()), False
        except SystemExit as ended:
            return (ended.code if isinstance(ended.code, int) else 1), False
        except _Hangs:
            print(f"ended after {ENDED:.0f} s")
            return 124, False
        except Exception:  # what the corpus is there to find
            traceback.print_exc(file=heard)
            return 1, True


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, ENDED)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
