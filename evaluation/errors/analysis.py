"""What is known of a model's errors: which cases were judged by whom, and everything that follows from the votes.

`judged.json` keeps what was asked of judges, so that later commands are about the same cases and votes.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capcurriculum.errors import RunError
from capcurriculum.tables import write_atomically
from evaluation.errors import check, estimate, people, votes
from evaluation.errors.cases import Case, Wrong
from evaluation.errors.check import Agreed, Corrected
from evaluation.errors.decide import Decision, decide
from evaluation.errors.estimate import Estimate
from evaluation.errors.kinds import side
from evaluation.errors.votes import Vote

JUDGED = "judged.json"
#: A judge or a person and a vote's number; the case; what was said.
_Row = tuple[str, str, str | int]


class Judged(BaseModel):
    """Which judges were asked for how many votes each on which cases (their keys); `seed` drew them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judges: tuple[str, ...]
    votes: int = Field(ge=1)
    cases: tuple[str, ...]
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """All of it. `gone` judged cases are not among the model's wrong replies any more (it was evaluated anew).

    `unreadable` votes came and could not be read, `failed` ones did not come, `missing` ones were not asked for yet or
    belong to cases whose picture is lost. `alpha` is Krippendorff's over the votes, by what they say (None where it is
    undefined or NLTK is missing): of votes of one judge it tells how far the judge agrees with itself.
    """

    judged: Judged
    wrong: Mapping[str, Wrong]
    cases: tuple[Case, ...]
    gone: int
    unreadable: int
    failed: int
    missing: int
    alpha: Mapping[str, float | None]
    decisions: Mapping[str, Decision]
    estimates: tuple[Estimate, ...]
    people: int
    checked: int
    agreements: tuple[Agreed, ...]
    corrected: Corrected | None


def save(folder: Path, judged: Judged) -> None:
    """Keep what is asked of judges."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / JUDGED, (json.dumps(judged.model_dump(), indent=1) + "\n").encode())


def load(folder: Path) -> Judged:
    """What was asked of judges.

    Raises:
        RunError: nothing was, or the file is damaged.
    """
    path = folder / JUDGED
    if not path.is_file():
        raise RunError(f"Nothing in {folder} was judged yet; name a judge with --judge first.")
    try:
        return Judged.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} is damaged; remove it and name the judge again: no vote is lost.") from error


def analyse(folder: Path, wrong: Mapping[str, Wrong]) -> Analysis:
    """Everything that follows from the votes and from what people said.

    Raises:
        RunError: nothing was judged, or a file is damaged.
    """
    judged = load(folder)
    there = {case.key: case for own in wrong.values() for case in own.cases}
    cases = tuple(there[key] for key in judged.cases if key in there)
    found = votes.known(folder, judged.judges)
    wanted = [(case.key, judge, n) for case in cases for judge in judged.judges for n in range(judged.votes)]
    mine = [found[key] for key in wanted if key in found]
    decisions = _decisions(cases, mine, judged)
    said = [one for one in people.last(folder) if one.case in there]
    theirs = people.decisions(said)
    own = {key: decision for key, decision in theirs.items() if key in decisions}
    return Analysis(
        judged=judged,
        wrong=wrong,
        cases=cases,
        gone=len(judged.cases) - len(cases),
        unreadable=sum(not one.kind and not one.failed for one in mine),
        failed=sum(one.failed for one in mine),
        missing=len(wanted) - len(mine),
        alpha=_alphas(mine),
        decisions=decisions,
        estimates=tuple(estimate.estimates(cases, decisions)),
        people=len({one.person for one in said}),
        checked=len(own),
        agreements=tuple(check.agreements(decisions, own)) if own else (),
        corrected=check.corrected(decisions, own),
    )


def _decisions(cases: Sequence[Case], mine: Sequence[Vote], judged: Judged) -> dict[str, Decision]:
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for one in mine:
        kinds[one.case].append(one.kind)
    asked = judged.votes * len(judged.judges)
    return {case.key: decide(kinds[case.key], asked) for case in cases}


def _alphas(mine: Sequence[Vote]) -> dict[str, float | None]:
    """Alpha over the readable votes on cases that have two or more."""
    if find_spec("nltk") is None:
        return {"side": None, "kind": None}
    from review.agreement import alpha

    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    for one in mine:
        if one.kind:
            rows[one.case].append((f"{one.judge} {one.vote}", one.case, one.kind))
    several = [row for own in rows.values() if len(own) > 1 for row in own]
    sides: list[_Row] = [(who, case, str(side(str(kind)))) for who, case, kind in several]
    return {"side": alpha(sides), "kind": alpha(several)}


def facts(found: Analysis, model: str) -> dict[str, object]:
    """The analysis as JSON, for other programs."""
    return {
        "model": model,
        "judges": found.judged.judges,
        "votes": found.judged.votes,
        "wrong": {name: {"asked": one.asked, "wrong": len(one.cases), "unparsed": one.unparsed, "unknown": one.unknown}
                  for name, one in found.wrong.items()},
        "judged": len(found.cases),
        "gone": found.gone,
        "unreadable_votes": found.unreadable,
        "failed_votes": found.failed,
        "missing_votes": found.missing,
        "alpha": found.alpha,
        "estimates": [asdict(one) for one in found.estimates],
        "people": found.people,
        "checked": found.checked,
        "agreement": [asdict(one) for one in found.agreements],
        "corrected": found.corrected and asdict(found.corrected),
        "cases": [
            {"case": one.key, "benchmark": one.benchmark, "sample": one.sample.sample,
             "side": found.decisions[one.key].side, "kind": found.decisions[one.key].kind}
            for one in found.cases
        ],
    }  # fmt: skip
