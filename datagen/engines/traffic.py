"""How much an engine was asked, which is not how much it answered: what failed on the way was asked again."""

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """Requests that went out since the engine was started, retries among them, and how many those were.

    A request for several completions of one prompt is one.
    """

    requests: int = 0
    retries: int = 0
