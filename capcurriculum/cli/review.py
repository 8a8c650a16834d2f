"""The verbs under `review`: people check a sample of a run's questions, and what they say becomes verdicts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App, Group, Parameter

from capcurriculum.cli.options import RunName, Stages, Whole
from capcurriculum.errors import ReviewError
from capcurriculum.render.terminal import console, say

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe
    from capcurriculum.run import Run
    from review.sample import Sample

app = App(name="review", help="Have people review a sample of a run's questions, and judge by what they say.")


@Parameter(name="*", group=Group("The sample (default: the present one)", sort_key=1))
@dataclass(frozen=True)
class Sampling:
    """Which questions are reviewed; without any option those under review already.

    Attributes:
        size: The number of questions (default: 200). A larger size adds the difference.
        width: Instead: as many questions as make the 95 % interval this wide, for example 0.06.
        expect: The share of wrong keys that --width assumes.
        design: How questions are drawn (default: stratified).
        by: The strata, some of fate,skill,source,band,stage (default: fate, which is kept, or why dropped).
        seed: Another seed draws another sample (default: 0).
    """

    size: Whole | None = None
    width: float | None = None
    expect: float = 0.1
    design: Literal["random", "stratified", "uncertain"] | None = None
    by: str | None = None
    stage: Stages = ()
    seed: Whole | None = None

    def drawn(self, opened: "Run", wanted: "Recipe") -> "Sample":
        """The sample, drawn and written down."""
        from review import command

        return command.drawn_sample(opened, wanted, **vars(self))


_PRESENT = Sampling()


@app.command
def export(
    run: RunName, /, *, out: Path | None = None, annotator: str | None = None, sampling: Sampling = _PRESENT
) -> None:
    """Write a page with a sample of questions, to be reviewed in any browser without a server.

    Example: capcurriculum review export demo --annotator ada

    Args:
        out: The HTML file (default: review.html in the run).
        annotator: Whose page it is: it signs what it saves with this name.
    """
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.page import signing, write

    wanted = command.recipe_of(run)
    if not annotator:
        raise ReviewError("Whose page is it? Give --annotator NAME: it signs what it saves with that name.")
    person = signing.person(annotator)
    with writing(wanted) as opened:
        drawn = sampling.drawn(opened, wanted)
        path = write.export(opened, wanted, drawn, person, out, Display())
    say(f"{len(drawn.drawn)} questions are in {path}, the page of {person}; open it with any browser.")
    say(f"`capcurriculum review import {run} FILE` reads the answers that the page saves.")


@app.command
def push(
    run: RunName,
    /,
    *,
    overlap: Whole = 1,
    annotator: tuple[str, ...] = (),
    create_workspace: bool = False,
    sampling: Sampling = _PRESENT,
) -> None:
    """Put a sample of questions on an Argilla server (ARGILLA_API_URL, ARGILLA_API_KEY).

    Example: capcurriculum review push demo --size 100 --overlap 2

    Args:
        overlap: How many people must answer each question.
        annotator: Make this person's account if there is none (may be repeated).
        create_workspace: Make the recipe's review.workspace if there is none.
    """
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.argilla import connection, words
    from review.argilla import push as argilla

    wanted = command.recipe_of(run)
    if overlap < 1:
        raise ReviewError(f"{overlap} people are too few; give an --overlap of at least 1.")
    with writing(wanted) as opened:
        at = connection.connect()
        asked = argilla.Wanted(overlap, create_workspace, annotator)
        report = argilla.push(opened, wanted, sampling.drawn(opened, wanted), at, asked, Display())
        for line in words.pushed(report, at.url, asked):
            say(line)


@app.command
def pull(run: RunName, /) -> None:
    """Fetch all responses from the Argilla server, and judge by them.

    Example: capcurriculum review pull demo
    """
    from capcurriculum.render.progress import Display
    from capcurriculum.run import writing
    from review import command
    from review.argilla import connection, words
    from review.argilla import pull as argilla

    wanted = command.recipe_of(run)
    with writing(wanted) as opened:
        for line in words.pulled(argilla.pull(opened, wanted, connection.connect(), Display())):
            say(line)
        command.finish(opened, wanted)


@app.command
def status(run: RunName, /) -> None:
    """Show how far reviewers are, by person and by stratum.

    Example: capcurriculum review status demo
    """
    from capcurriculum.render.progress import Display
    from capcurriculum.run import named
    from review import command
    from review import status as progress
    from review.argilla import connection

    wanted = command.recipe_of(run)
    server = connection.connect() if connection.named() else None
    progress.show(named(run), wanted, server, console(), Display())


@app.command
def import_(
    run: RunName,
    file: list[Path],
    /,
    *,
    annotator: str | None = None,
) -> None:
    """Read the answers that a page saved, and judge by them.

    Example: capcurriculum review import demo review-ada.jsonl

    Args:
        file: A .jsonl file that a page saved, of one person (may be several).
        annotator: Take unsigned answers as this person's; what a page signed says itself whose it is.
    """
    from capcurriculum.run import writing
    from review import command
    from review.page import read, signing

    wanted = command.recipe_of(run)
    person = signing.person(annotator) if annotator is not None else ""
    with writing(wanted) as opened:
        for path in file:
            say(*command.told(path, read.read(opened, wanted, path, person)))
        command.finish(opened, wanted)
