"""Bounded retries with exponential backoff, for calls that huggingface_hub does not retry itself.

Those are commits, references, collections and broken downloads. A `Retry-After` of the Hub replaces the backoff.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from capcurriculum.errors import HubError
from hub.trouble import ERRORS, Trouble, trouble

Result = TypeVar("Result")


class Changed(HubError):
    """The repo got another commit in the meantime; look at it again."""


class Unreachable(HubError):
    """The Hub does not answer."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Number of tries, and pauses in seconds from `first` to `longest`.

    A longer `Retry-After` than `max_retry_after` is an error. `note` shows the user a wait of five seconds or more.
    """

    tries: int = 5
    first: float = 1.0
    longest: float = 30.0
    max_retry_after: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    note: Callable[[str], None] = lambda text: None

    def persist(self, doing: str, call: Callable[[], Result]) -> Result:
        """What `call` returns, after retries of transient errors.

        Raises:
            Changed: the repo was changed concurrently.
            Unreachable: the Hub does not answer.
            HubError: the call failed for good.
        """
        for number in range(1, self.tries + 1):
            try:
                return call()
            except ERRORS as error:
                found = trouble(error, doing)
                if found.changed:
                    raise Changed(found.sentence) from error
                if number == self.tries or not self._wait(found, number):
                    raise (Unreachable if found.unreachable else HubError)(found.sentence) from error
        raise AssertionError("unreachable: `tries` is at least 1")

    def _wait(self, found: Trouble, number: int) -> bool:
        """Sleep before try `number` + 1; False if the error is permanent or the Hub asks for too long a wait."""
        seconds = min(self.longest, self.first * 2 ** (number - 1)) if found.seconds is None else found.seconds + 1
        if not found.passing or seconds > self.max_retry_after:
            return False
        if seconds >= 5:
            self.note(f"{found.sentence} Trying again in {seconds:.0f} s.")
        self.sleep(seconds)
        return True
