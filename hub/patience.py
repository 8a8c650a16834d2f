"""Try again where the clients do not: commits, references, collections and broken downloads, always within bounds.

What passes is waited out a few times, longer each time, or as long as the Hub asks for; what does not ends at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from capcurriculum.errors import HubError
from hub.trouble import ERRORS, Trouble, trouble

Result = TypeVar("Result")


class Changed(HubError):
    """Somebody else changed the repo meanwhile: look at it anew."""


class Unreachable(HubError):
    """Nobody answers."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long, in seconds; `told` bounds a wait that the Hub asks for, `note` tells the user of it."""

    tries: int = 5
    first: float = 1.0
    longest: float = 30.0
    told: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    note: Callable[[str], None] = lambda text: None

    def persist(self, doing: str, call: Callable[[], Result]) -> Result:
        """What `call` returns; it is called again while its trouble passes.

        Raises:
            Changed: somebody else changed what it works on.
            Unreachable: nobody answers.
            HubError: it failed for good; the sentence says what to do.
        """
        for number in range(1, self.tries + 1):
            try:
                return call()
            except ERRORS as error:
                found = trouble(error, doing)
                if found.changed:
                    raise Changed(found.sentence) from error
                if number == self.tries or not self.wait(found, number):
                    raise (Unreachable if found.unreachable else HubError)(found.sentence) from error
        raise AssertionError("a loop that tries at least once")

    def wait(self, found: Trouble, number: int) -> bool:
        """Wait before try `number` + 1; False where that is no use."""
        seconds = min(self.longest, self.first * 2 ** (number - 1)) if found.seconds is None else found.seconds + 1
        if not found.passing or seconds > self.told:
            return False
        if seconds >= 5:
            self.note(f"{found.sentence} Trying again in {seconds:.0f} s.")
        self.sleep(seconds)
        return True
