"""Replies graded in a second of one core, beside bare math-verify and mathruler, and what planted hangs cost.

The graders take turns over the same replies in one process, and what counts is processor time, that of the maths
workers included, so a busy machine weighs on all of them alike. The peers are called as their documentation shows.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache

import psutil

from benchmarks.processes import answer_of
from benchmarks.reward_replies import Reply, choices, maths, with_hangs
from capcurriculum.grading.workers.algebra import shut_down
from training.reward import compute_score, compute_scores

CHUNK = 50  # replies a turn
CHOICES, MATHS = 4000, 800
BATCH, BATCHES, HANG_EVERY = 500, 4, 100
Grader = Callable[[Reply], bool]


def mcq_per_second() -> float:
    """Ours, four-option replies."""
    return _rates()["mcq"]["ours"]


def mcq_math_verify_per_second() -> float:
    """math-verify, the same replies."""
    return _rates()["mcq"]["math_verify"]


def mcq_mathruler_per_second() -> float:
    """mathruler, the same replies."""
    return _rates()["mcq"]["mathruler"]


def maths_per_second() -> float:
    """Ours, free answers."""
    return _rates()["maths"]["ours"]


def maths_math_verify_per_second() -> float:
    """math-verify, the same answers."""
    return _rates()["maths"]["math_verify"]


def maths_mathruler_per_second() -> float:
    """mathruler, the same answers."""
    return _rates()["maths"]["mathruler"]


def maths_speedup() -> float:
    """Ours over mathruler, free answers."""
    return maths_per_second() / maths_mathruler_per_second()


def hang_ratio() -> float:
    """Wall time of batches with 1 % hangs over that without, each from fresh processes, two runs of each in turns."""
    times = {kind: 0.0 for kind in ("plain", "hangs")}
    for _ in range(2):
        for kind in times:
            times[kind] += answer_of("benchmarks.reward", kind)
    return times["hangs"] / times["plain"]


@cache
def _rates() -> dict[str, dict[str, float]]:
    return dict(answer_of("benchmarks.reward", "rates"))


def _ours(reply: Reply) -> bool:
    return compute_score("", reply.text, reply.gold, {"options": reply.options})["accuracy"] == 1.0


def _math_verify(reply: Reply) -> bool:
    from math_verify import parse, verify

    return bool(verify(parse(f"${reply.gold}$"), parse(reply.text)))


def _mathruler(reply: Reply) -> bool:
    from mathruler.grader import extract_boxed_content, grade_answer

    return bool(grade_answer(extract_boxed_content(reply.text), reply.gold))


GRADERS: dict[str, Grader] = {"ours": _ours, "math_verify": _math_verify, "mathruler": _mathruler}


def _compare(replies: Sequence[Reply], warm_up: Sequence[Reply]) -> dict[str, float]:
    """Replies a second for each grader, and the share of its verdicts that are true."""
    spent, true = dict.fromkeys(GRADERS, 0.0), dict.fromkeys(GRADERS, 0)
    for grader in GRADERS.values():
        for reply in warm_up:
            grader(reply)
    for start in range(0, len(replies), CHUNK):
        for name, grader in GRADERS.items():
            begun = _processor()
            verdicts = [grader(reply) for reply in replies[start : start + CHUNK]]
            spent[name] += _processor() - begun
            true[name] += sum(v == r.right for v, r in zip(verdicts, replies[start : start + CHUNK], strict=True))
    rates = {name: len(replies) / seconds for name, seconds in spent.items()}
    return rates | {f"{name}_true": count / len(replies) for name, count in true.items()}


def _processor() -> float:
    """Seconds of processor of this process and of all below it, also those that have ended."""
    total = time.process_time()
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _batches(hangs: bool) -> float:
    """Seconds for some batches, workers already up."""
    replies = maths(BATCH * BATCHES + 20, seed=3)
    _batch(replies[-20:])
    replies = with_hangs(replies[:-20], HANG_EVERY) if hangs else replies[:-20]
    begun = time.perf_counter()
    for start in range(0, len(replies), BATCH):
        _batch(replies[start : start + BATCH])
    return time.perf_counter() - begun


def _batch(replies: Sequence[Reply]) -> None:
    compute_scores([""] * len(replies), [r.text for r in replies], [r.gold for r in replies])


def main(kind: str) -> None:
    """Measure, and print the numbers as the last line."""
    if kind == "rates":
        found: object = {
            "mcq": _compare(choices(CHOICES), choices(16, seed=2)),
            "maths": _compare(maths(MATHS), maths(16, seed=2)),
        }
    else:
        found = _batches(kind == "hangs")
    shut_down()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
