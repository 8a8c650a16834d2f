"""The last net below every command: what nobody foresaw ends it with one sentence and an exit code, never a traceback.

A full disk and a missing right are the user's to mend (code 2). A reader of our output that went away, as `head` does,
is no error to tell of. Everything else is a bug of ours (code 70, EX_SOFTWARE of sysexits.h): its traceback goes into a
file that only its owner may read, since it can quote rows and paths.
"""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from capcurriculum import __version__, extras, signals
from capcurriculum.errors import CapCurriculumError
from capcurriculum.render import terminal

#: The last as a shell says of a command whose reader (`| head`) went away.
BUG, MENDABLE, READER_GONE = 70, 2, 141
_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "files may not be so large",
}
#: What libraries that do not raise OSError write of the same, by errno.
_FULL_WORDS = {f"os error {number}": said for number, said in _FULL.items()} | {
    os.strerror(number): said for number, said in _FULL.items()
}
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
#: What a library written in Rust raises over a bug of its own, or over damaged data; it is no Exception.
_PANIC = "PanicException"
#: The run that this process opened last, where the traceback is looked for first.
_run: list[Path] = []


def remember(run: Path) -> None:
    """Let tracebacks go into this run's folder."""
    _run[:] = [run]


def exit_with(work: Callable[[], object]) -> int:
    """Do `work` and return the exit code; the one place where errors become sentences."""
    try:
        with signals.as_interrupts():
            work()
            sys.stdout.flush()
    except KeyboardInterrupt as stopped:
        terminal.say("Stopped. Everything finished so far is kept; run the same command again to go on.", error=True)
        return stopped.code if isinstance(stopped, signals.Ended) else 130
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        code, said = told(error)
        if said:
            terminal.say(terminal.sentence(f"error: {said}"), error=True)
        return code
    return 0


def told(error: BaseException) -> tuple[int, str]:
    """(exit code, the sentence to print) of any error that ended a command; "" where there is nothing to say."""
    if isinstance(error, BrokenPipeError) and terminal.deserted():
        return READER_GONE, ""
    for one in _chain(error):
        if said := _full(one):
            where = f" at {one.filename}" if isinstance(one, OSError) and one.filename else ""
            return MENDABLE, f"Nothing more can be written{where}: {said}; make room and run the same command again."
    if isinstance(error, CapCurriculumError):
        return MENDABLE, str(error)
    if said := extras.missing(error):
        return MENDABLE, said
    if isinstance(error, OSError) and error.errno in _FORBIDDEN and error.filename:
        return MENDABLE, (
            f"{_text(error.filename)} cannot be used ({error.strerror}); take the rights to it, or name another folder."
        )
    return BUG, _bug(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and those of a group."""
    seen, waiting = set[int](), [error]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
            waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()


def _full(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno in _FULL:
        return _FULL[error.errno]
    if isinstance(error, CapCurriculumError):
        return ""  # what it came from tells
    return next((said for words, said in _FULL_WORDS.items() if words in str(error)), "")


def _bug(error: BaseException) -> str:
    kind, reason = type(error).__name__, " ".join(_text(error).split())[:200]
    text = f"capcurriculum {__version__}, Python {sys.version.split()[0]}\n{''.join(traceback.format_exception(error))}"
    path = _kept(text.encode("utf-8", "backslashreplace"))
    where = f"its traceback is in {path}" if path else "its traceback could not be written anywhere"
    return f"This is a bug in capcurriculum ({kind}: {reason}); {where}, please report it with that file."


def _kept(data: bytes) -> str:
    """The file that the data was written to, readable by its owner alone; "" where none can be."""
    for folder in (*_run, Path(tempfile.gettempdir())):
        try:
            handle, name = tempfile.mkstemp(prefix="traceback-", suffix=".txt", dir=folder)  # 0600, under a new name
            with os.fdopen(handle, "wb") as file:
                file.write(data)
        except OSError:
            continue
        return name
    return ""


def _text(value: object) -> str:
    """As text that a terminal shows and does not obey."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(value))
