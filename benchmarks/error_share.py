"""How often the intervals of an analysis of errors hold the planted share of perception, with a judge that slips.

A hundred sets of wrong answers to questions about scenes, each with a known mistake. Prompts are rendered and votes are
read as `capcurriculum errors` does; only the wire is left out. People look at a part of each set and slip too.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.rows import Response, Sampling
from evaluation.errors import check, protocol
from evaluation.errors.cases import Case, drawn, wrong
from evaluation.errors.estimate import estimates
from evaluation.errors.votes import Decision, decide
from evaluation.results.labels import measured

SETS, ANSWERS, SHARE, VOTES, PEOPLE = 100, 300, 0.869, 3, 80


@dataclass(frozen=True, slots=True)
class Found:
    """The judge's interval of a set, and that by people's words."""

    judge: tuple[float, float]
    people: tuple[float, float]

    def held(self) -> tuple[bool, bool]:
        """Whether each holds the share that mistakes are planted with."""
        return self.judge[0] <= SHARE <= self.judge[1], self.people[0] <= SHARE <= self.people[1]


def votes(cases: Sequence[Case], folder: Path, accuracy: float) -> dict[str, Decision]:
    """What a scripted judge decides that is right in such a share of its votes."""
    from tests.support.planted_errors import Judge

    judge = Judge(accuracy=accuracy)
    found = {}
    for case in cases:
        told = []
        for vote in range(VOTES):
            asked = protocol.request(case, vote, "judge", Sampling(), folder)
            text = judge.reply({"messages": [{"role": "user", "content": asked.messages[0].text}]})
            told.append(protocol.parse(Response(asked.key, text, "stop"), image=True)[0])
        found[case.key] = decide(told, VOTES)
    return found


def one(seed: int, accuracy: float, slips: float) -> Found:
    """A set of its own seed, judged and looked at."""
    from tests.support import planted_errors

    with tempfile.TemporaryDirectory(prefix="capcurriculum-errors-") as name:
        truth = planted_errors.planted(Path(name), ANSWERS, SHARE, seed, shown="blank")
        (own,) = wrong(measured(["tested"], name)[0].replies()).values()
        decisions = votes(own.cases, Path(name), accuracy)
    looked = {case.key: case.sample.sample for case in drawn(own.cases, PEOPLE, seed, "check")}
    said = planted_errors.people(truth, looked, 1 - slips, seed)
    right = check.corrected(decisions, {key: decide([kind], 1) for key, kind in said.items()}, seed)
    raw = estimates(own.cases, decisions, seed)[0].perception
    if right is None:
        raise RuntimeError("people looked at too few")
    return Found((raw.low, raw.high), (right.low, right.high))


def coverage() -> float:
    """The share of sets whose interval by people's words holds the share; a vote slips in one case of five."""
    return sum(one(seed, 0.8, 0.0).held()[1] for seed in range(SETS)) / SETS


def main(argv: Sequence[str] | None = None) -> None:
    """Print how often both intervals hold the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accuracy", type=float, default=0.8, help="of a vote (default 0.8)")
    parser.add_argument("--slips", type=float, default=0.0, help="of people (default 0)")
    arguments = parser.parse_args(argv)
    found = [one(seed, arguments.accuracy, arguments.slips) for seed in range(SETS)]
    judge, people = (sum(held) for held in zip(*(each.held() for each in found), strict=True))
    print(f"the judge's interval held the truth {judge} times of {SETS}, that by people's words {people} times")


if __name__ == "__main__":
    main()
