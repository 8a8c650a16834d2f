"""Questions to a user on a terminal; nobody is asked where standard input or output is none."""

import sys
from collections.abc import Sequence

from capcurriculum.errors import RunError
from capcurriculum.render import terminal


def possible() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def text(question: str) -> str:
    """A line of text, "" for none.

    Raises:
        RunError: the input ended.
    """
    terminal.say(f"{question}:")
    line = sys.stdin.readline()
    if not line:
        raise RunError("The input ended before the question was answered; give the answer as an option.")
    return line.strip()


def one_of(question: str, names: Sequence[str]) -> str:
    """One of some names, given by its number or as it stands there; asked again until it is.

    Raises:
        RunError: the input ended.
    """
    terminal.say(*(f"  {number}  {name}" for number, name in enumerate(names, 1)))
    while True:
        said = text(f"{question} Number or name")
        if said in names:
            return said
        if said.isdecimal() and 0 < int(said) <= len(names):
            return names[int(said) - 1]
