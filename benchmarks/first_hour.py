"""The first hour: how many commands lead from one's own pictures to a published set, and how long they take."""

import tempfile
from functools import cache
from pathlib import Path

from tests.support import first_hour
from tests.support.browsers import chromium


def commands() -> float:
    """The commands that the README types."""
    return float(len(first_hour.commands()))


@cache
def _walked() -> first_hour.Walk:
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        return first_hour.walk(Path(name), browser)


def seconds() -> float:
    """Seconds of all of them on 40 pictures, with an endpoint that answers at once; people's time is left out."""
    return _walked().seconds
