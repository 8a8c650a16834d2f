"""Progress of a review by annotator and by stratum, from the Argilla server if one is configured, else from the run."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.console import Console

from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from capcurriculum.run import Run
from filters.human.form import State
from filters.human.latest import last_words
from review.argilla import pull, push
from review.argilla.connection import Connection
from review.sample import Sample, needed

_STATES = ("submitted", "draft", "discarded")


@dataclass(slots=True)
class Progress:
    """Responses by annotator and state, and submitted responses by question; `overlap` are wanted for each."""

    people: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    answered: Counter[str] = field(default_factory=Counter)
    overlap: int = 1


def show(run: Run, recipe: Recipe, at: Connection | None, console: Console, display: Display) -> None:
    """Print both tables.

    Raises:
        ReviewError: no sample was drawn yet, or the server refuses or fails.
    """
    drawn = needed(run)
    found = _on_server(run, recipe, at, display) if at else _in_run(run)
    columns = ("drawn", "answered", "enough", "share")
    console.print(grid(("stratum", *columns), _strata(drawn, found), columns))
    people = [(name, *(counts[state] for state in _STATES)) for name, counts in sorted(found.people.items())]
    console.print(grid(("person", *_STATES), people, _STATES))
    where = f"on {at.url}, {found.overlap} answers wanted" if at else "in the run; ARGILLA_API_URL names no server"
    console.print(visible(f"As it is {where}."), markup=False, highlight=False, soft_wrap=True)


def _strata(drawn: Sample, found: Progress) -> Iterable[tuple[object, ...]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for one in drawn.drawn:
        ids[one.stratum].append(one.question_id)
    ids["all"] = [one.question_id for one in drawn.drawn]
    for name, keys in ids.items():
        some, enough = (sum(found.answered[key] >= least for key in keys) for least in (1, found.overlap))
        yield name, len(keys), some, enough, f"{enough / len(keys):.0%}"


def _in_run(run: Run) -> Progress:
    found = Progress()
    for name, question, state in last_words(run).select("annotator", "question_id", "state").iter_rows():
        if state == State.SUBMITTED:
            found.people[name][state] += 1
            found.answered[question] += 1
    return found


def _on_server(run: Run, recipe: Recipe, at: Connection, display: Display) -> Progress:
    there = pull.dataset(recipe, at)
    found, pushed = Progress(overlap=there.overlap), push.pushed(run, there.id)
    names: Mapping[str, str] = at.users() or {}
    for record in pull.on_server(at, there, display):
        if one := pushed.get(record.external_id):
            for response in record.responses:
                user = str(response["user_id"])
                found.people[names.get(user, user)][response["status"]] += 1
                found.answered[one.question_id] += response["status"] == State.SUBMITTED
    return found
