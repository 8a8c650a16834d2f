"""Processes for tests that start many: forks of one that has imported the rooms, which else each would import anew."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from capcurriculum import cli

_MODULES = (
    "pytest",
    "datasets",
    "duckdb",
    "polars",
    "cards.report.write",
    "curricula.build",
    "curricula.make",
    "capcurriculum.ledger.show",
    "capcurriculum.ledger.query",
    "datagen.engines.openai.engine",
    "tests.support.forks",
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a process ended: its exit code, or less than zero the signal that killed it; and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


class Fork:
    """`work(*given)` in a process of its own, which ends with the number that it returns."""

    def __init__(self, work: Callable[..., int | None], *given: Any, cwd: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="capcurriculum-fork-"))
        said = (str(self.folder / "out"), str(self.folder / "err"))
        arguments = (dict(os.environ), str(cwd or Path.cwd()), said, work, given)
        self.process = _context().Process(target=_child, args=arguments)
        self.process.start()

    def done(self, timeout: float = 100) -> Done:
        """How it ended; raises where it has not after `timeout` seconds."""
        self.process.join(timeout)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            raise TimeoutError(f"{self.process} has not ended after {timeout} s")
        out, err = ((self.folder / name).read_text("utf-8") for name in ("out", "err"))
        return Done(code, out, err)


def command(*words: str, cwd: Path | None = None) -> Done:
    """The command line with these words, ended."""
    return Fork(cli.main, list(words), cwd=cwd).done()


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_MODULES))  # heard once, before the first fork
    return context


def _child(
    environment: dict[str, str],
    cwd: str,
    said: tuple[str, str],
    work: Callable[..., int | None],
    given: tuple[Any, ...],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, name in enumerate(said, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    code = work(*given) or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
