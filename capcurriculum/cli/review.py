"""The verbs under `review`: people check a sample of a run's questions, and what they say becomes verdicts."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter

from capcurriculum.cli.app import DATA, app, verb
from capcurriculum.cli.options import Names, Real, RunName, Stages, Whole, opt
from capcurriculum.errors import ReviewError, RunError
from capcurriculum.render.terminal import console, say

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe
    from capcurriculum.run import Run

review = App("review", "Have people review a sample of a run's questions, and judge by what they say.", group=DATA)
app.command(review)


@Parameter("*", group=Group("The sample (default: the present one)", sort_key=1))
@dataclass(frozen=True)
class Sampling:
    """Which questions are reviewed; without any option those under review already."""

    size: Annotated[Whole | None, opt("The number of questions (default: 200); a larger one adds the difference")] = (
        None
    )
    width: Annotated[Real | None, opt("Instead: as many as make the 95 % interval this wide, as 0.06")] = None
    certify: Annotated[Real | None, opt("Instead: as few kept rows as can show at most this share of wrong keys, as "
                                        "0.05")] = None  # fmt: skip
    expect: Annotated[Real | None, opt("The share of wrong keys that --width (0.1) and --certify (what people found, "
                                       "else 0.3 of the share to be shown) assume")] = None  # fmt: skip
    design: Annotated[str | None, opt("How they are drawn (default: stratified)",
                                      choices=("random", "stratified", "uncertain", "kept"))] = None  # fmt: skip
    by: Annotated[str | None, opt("Strata, some of fate,skill,source,band,stage (default: fate, why dropped)")] = None
    stage: Stages = ()
    seed: Annotated[Whole | None, opt("Another seed draws another sample (default: 0)")] = None


_PRESENT = Sampling()


@verb("export demo --annotator ada", of=review)
def export(
    run: RunName, /, *,
    out: Annotated[Path | None, opt("The HTML file (default: review.html in the run)")] = None,
    annotator: Annotated[str | None, opt("Whose page it is: it signs what it saves with this name")] = None,
    sampling: Sampling = _PRESENT,
) -> None:  # fmt: skip
    """Write a page with a sample of questions, to be reviewed in any browser without a server."""
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.page import signing, write

    wanted = command.recipe_of(run)
    if not annotator:
        raise ReviewError("Whose page is it? Give --annotator NAME: it signs what it saves with that name.")
    person = signing.person(annotator)
    with writing(wanted) as opened:
        drawn = command.drawn_sample(opened, wanted, **vars(sampling))
        path = write.export(opened, wanted, drawn, person, out, Display())
    say(f"{len(drawn.drawn)} questions are in {path}, the page of {person}; open it with any browser.")
    say(f"`capcurriculum review import {run} FILE` reads the answers that the page saves.")


@verb("push demo --size 100 --overlap 2", of=review)
def push(
    run: RunName, /, *,
    overlap: Annotated[Whole, opt("How many people must answer each question")] = 1,
    annotator: Annotated[Names, opt("Make this person an account if need be (may be repeated)")] = (),
    create_workspace: Annotated[bool, opt("Make the recipe's review.workspace if there is none")] = False,
    sampling: Sampling = _PRESENT,
) -> None:  # fmt: skip
    """Put a sample of questions on an Argilla server (ARGILLA_API_URL, ARGILLA_API_KEY)."""
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.argilla import connection
    from review.argilla import push as argilla

    wanted = command.recipe_of(run)
    if overlap < 1:
        raise ReviewError(f"{overlap} people are too few; give an --overlap of at least 1.")
    with writing(wanted) as opened:
        at, asked = connection.connect(), argilla.Wanted(overlap, create_workspace, annotator)
        report = argilla.push(
            opened, wanted, command.drawn_sample(opened, wanted, **vars(sampling)), at, asked, Display()
        )
        for line in report.lines(at.url, asked):
            say(line)


@verb("pull demo", of=review)
def pull(run: RunName, /) -> None:
    """Fetch all responses from the Argilla server, and judge by them."""
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.argilla import connection
    from review.argilla import pull as argilla

    wanted = command.recipe_of(run)
    with writing(wanted) as opened:
        for line in argilla.pull(opened, wanted, connection.connect(), Display()).lines():
            say(line)
        command.finish(opened, wanted)
        _say_next(run, opened, wanted)


@verb("status demo", of=review)
def status(run: RunName, /) -> None:
    """Show how far reviewers are, by person and by stratum."""
    from capcurriculum.render.progress import Display
    from capcurriculum.run import named
    from review import command
    from review import status as progress
    from review.argilla import connection

    wanted = command.recipe_of(run)
    server = connection.connect() if connection.named() else None
    progress.show(named(run), wanted, server, console(), Display())


@verb("import demo review-ada.jsonl", name="import", of=review)
def read_answers(
    run: RunName,
    file: Annotated[list[Path], opt("The .jsonl files that pages saved, each of one person")], /, *,
    annotator: Annotated[str | None, opt("Take answers that no page of this run signed as this person's")] = None,
) -> None:  # fmt: skip
    """Read the answers that a page saved, and judge by them."""
    from capcurriculum.run import writing
    from review import command
    from review.page import read, signing

    wanted = command.recipe_of(run)
    person = signing.person(annotator) if annotator is not None else ""
    with writing(wanted) as opened:
        for path in file:
            say(*read.read(opened, wanted, path, person).lines(path))
        command.finish(opened, wanted)
        _say_next(run, opened, wanted)


def _say_next(named: str, opened: "Run", wanted: "Recipe") -> None:
    """Say which command comes next: the files of stages follow reviews with the next build."""
    from capcurriculum.ledger import query
    from curricula.make import outdated

    called = shlex.quote(named)
    try:
        follow = bool(query.stage_paths(opened)) and not outdated(opened, wanted)
    except RunError:  # of a run that is not built to its end; the build says what it lacks
        follow = False
    if not follow:
        say(f"Next, `capcurriculum build {called}` writes the stage files as these reviews say.")
    else:
        say(f"The stage files are as these reviews say; `capcurriculum funnel {called}` counts their rows.")
