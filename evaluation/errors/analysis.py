"""The analysis of a model's errors, computed from the votes of judges and the answers of people.

`judged.json` records what judges were asked, so that later commands use the same cases and votes.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import Field, ValidationError

from capcurriculum.errors import RunError
from capcurriculum.recipe.base import Section
from capcurriculum.tables import write_atomically
from evaluation.errors import check, estimate, people, votes
from evaluation.errors.cases import Case, Wrong
from evaluation.errors.check import Agreed, Corrected
from evaluation.errors.estimate import Estimate
from evaluation.errors.kinds import side
from evaluation.errors.votes import Decision, Vote

JUDGED = "judged.json"
#: Rater, case, label.
_Row = tuple[str, str, str | int]


class Judged(Section):
    """The judges, the votes of each on a case, and the keys of the cases, which were drawn with `seed`."""

    judges: tuple[str, ...]
    votes: int = Field(ge=1)
    cases: tuple[str, ...]
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result. `gone` judged cases are no longer among the model's wrong replies, since it was evaluated again.

    `unreadable` votes could not be parsed, `failed` ones have no reply, and `missing` ones were not asked for yet or
    are on cases whose image is lost. `alpha` is Krippendorff's alpha over the votes, by side and by kind (None where it
    is undefined or NLTK is missing); for a single judge it measures consistency only.
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
    """Record what judges are asked."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / JUDGED, (json.dumps(judged.model_dump(), indent=1) + "\n").encode())


def load(folder: Path) -> Judged:
    """What judges were asked; raises `RunError` if no judge was asked, or the file is damaged."""
    path = folder / JUDGED
    if not path.is_file():
        raise RunError(f"Nothing in {folder} was judged yet; name a judge with --judge first.")
    try:
        return Judged.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{path} is damaged; remove it and name the judge again; no vote is lost.") from error


def judged_cases(judged: Judged, wrong: Mapping[str, Wrong]) -> tuple[Case, ...]:
    """The judged cases that are still among the wrong replies, in the order in which they were drawn."""
    by_key = {case.key: case for one in wrong.values() for case in one.cases}
    return tuple(by_key[key] for key in judged.cases if key in by_key)


def analyse(folder: Path, wrong: Mapping[str, Wrong]) -> Analysis:
    """The analysis from the votes and answers in `folder`.

    Raises:
        RunError: nothing was judged, or a file is damaged.
    """
    judged = load(folder)
    cases = judged_cases(judged, wrong)
    found = votes.known(folder, judged.judges)
    wanted = [(case.key, judge, n) for case in cases for judge in judged.judges for n in range(judged.votes)]
    cast = [found[key] for key in wanted if key in found]
    keys = [case.key for case in cases]
    by_judges = votes.decisions(((one.case, one.kind) for one in cast), keys, judged.votes * len(judged.judges))
    every = {case.key for one in wrong.values() for case in one.cases}
    labels = [one for one in people.last(folder) if one.case in every]
    by_people = {key: decision for key, decision in people.decisions(labels).items() if key in by_judges}
    return Analysis(
        judged=judged,
        wrong=wrong,
        cases=cases,
        gone=len(judged.cases) - len(cases),
        unreadable=sum(not one.kind and not one.failed for one in cast),
        failed=sum(one.failed for one in cast),
        missing=len(wanted) - len(cast),
        alpha=_alphas(cast),
        decisions=by_judges,
        estimates=tuple(estimate.estimates(cases, by_judges)),
        people=len({one.person for one in labels}),
        checked=len(by_people),
        agreements=tuple(check.agreements(by_judges, by_people)) if by_people else (),
        corrected=check.corrected(by_judges, by_people),
    )


def _alphas(cast: Sequence[Vote]) -> dict[str, float | None]:
    """Krippendorff's alpha over the readable votes on cases that have two or more."""
    if find_spec("nltk") is None:
        return {"side": None, "kind": None}
    from review.agreement import alpha

    readable = [one for one in cast if one.kind]
    counts = Counter(one.case for one in readable)
    kinds: list[_Row] = [(f"{one.judge} {one.vote}", one.case, one.kind) for one in readable if counts[one.case] > 1]
    return {"side": alpha([(who, case, str(side(str(kind)))) for who, case, kind in kinds]), "kind": alpha(kinds)}


def facts(found: Analysis, model: str) -> dict[str, object]:
    """The analysis as a JSON value."""
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
