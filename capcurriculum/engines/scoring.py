r"""The reward of a reply to a row, and the check that every gold answer earns all of it."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from capcurriculum.engines.rows import Row
from capcurriculum.errors import CapCurriculumError
from capcurriculum.grading.workers import algebra
from capcurriculum.reward import Score, compute_score
from capcurriculum.rows import Outcome

#: Gold answers graded at once.
_TOGETHER = 512


class Ungraded(CapCurriculumError):
    """The grader failed, so the reward is unknown; a trainer may not take it for 0."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row whose gold answer does not earn the whole reward; `why` is a sentence."""

    key: str
    stage: str
    gold: str
    why: str


def score(row: Row, reply: str) -> Score:
    """What `capcurriculum.reward.compute_score` says of a reply, with the weights of training.

    Raises:
        Ungraded: the grader failed.
    """
    found = compute_score("", reply, row.gold, row.extra)
    if found["outcome"] == Outcome.FAILED:
        raise Ungraded(f"The grader failed on a reply to row {row.key}, so its reward is unknown; ask for another.")
    return found


def whole_reply(content: str | None, reasoning: str | None) -> str:
    """A reply as the model wrote it, where a server has put its thoughts into a channel of their own."""
    if not reasoning:
        return content or ""
    # Without content the thoughts did not end, as far as anybody can tell.
    return f"<think>{reasoning}</think>{content}" if content else f"<think>{reasoning}"


def gold_reply(row: Row) -> str:
    r"""A reply with a thought and the gold answer in its box."""
    return f"<think>The answer is known.</think>\\boxed{{{row.gold}}}"


def validate(rows: Iterable[Row]) -> tuple[int, list[Refused]]:
    """The number of rows, and those whose gold answer does not score 1.0. Asks no model."""
    number, refused = 0, list[Refused]()
    waiting = iter(rows)
    with ThreadPoolExecutor(algebra.workers()) as threads:
        while some := list(islice(waiting, _TOGETHER)):
            number += len(some)
            refused += [one for one in threads.map(refusal, some) if one]
    return number, refused


def refusal(row: Row) -> Refused | None:
    """Why a row's gold answer does not score 1.0; None if it does."""
    try:
        found = compute_score("", gold_reply(row), row.gold, row.extra)
    except ValueError as error:  # it is the letter of no option
        return Refused(row.key, row.stage, str(row.gold), str(error))
    if found["score"] == 1.0:
        return None
    return Refused(row.key, row.stage, row.gold, f"Its outcome is {found['outcome']}.")
