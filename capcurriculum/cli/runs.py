"""The verbs that show what a run holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from capcurriculum.cli.options import Positive, RunName
from capcurriculum.errors import RunError
from capcurriculum.render import terminal

if TYPE_CHECKING:
    from capcurriculum.run import Run


def status(run: RunName, /) -> None:
    """Show how far a run is.

    Example: capcurriculum status demo
    """
    from capcurriculum.ledger import show
    from capcurriculum.run import named

    show.status(named(run), terminal.console())


def verify(run: RunName, /) -> None:
    """Read all files of a run to their end and compare them with their checksums.

    Example: capcurriculum verify demo
    """
    from capcurriculum.ledger import show
    from capcurriculum.ledger import verify as check
    from capcurriculum.run import named

    found, damage = check.verify(named(run))
    show.verified(found, terminal.console())
    if damage:
        raise RunError(" ".join(damage))


def funnel(run: RunName, /, *, overlap: bool = False) -> None:
    """Show what each filter kept and dropped, and why.

    Example: capcurriculum funnel demo --overlap

    Args:
        overlap: Also show what each filter catches by itself, alone, and together with each other one.
    """
    from capcurriculum.ledger import show
    from capcurriculum.run import with_recipe
    from training import remarks

    found, wanted = with_recipe(run)
    _note_foreign(found, run)
    show.funnel(found, terminal.console(), overlap)
    show.remarks(remarks.of(found, wanted), terminal.console())


def why(run: RunName, row: str, /) -> None:
    """Show the whole life of one row.

    Example: capcurriculum why demo 3f2a

    Args:
        row: The beginning of the id of a caption, a question or a source line.
    """
    from capcurriculum.ledger import why as ledger
    from capcurriculum.run import named

    for line in ledger.life(named(run), row):
        terminal.say(line)


def query(run: RunName, sql: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, csv: bool = False) -> None:
    """Run one SQL statement over the tables of a run.

    Example: capcurriculum query demo "select reason, count(*) from verdicts group by all"

    Args:
        sql: A statement of DuckDB over captions, attempts, questions, answers and verdicts.
        csv: Print CSV instead of a table.
    """
    from capcurriculum.ledger import user_query
    from capcurriculum.render.table import grid
    from capcurriculum.run import named

    columns, rows = user_query.answer(named(run), sql)
    if csv:
        terminal.rows_as_csv(columns, rows)
    else:
        terminal.console().print(grid(columns, rows))


def report(run: RunName, /, *, out: Path | None = None, rows: Positive | None = None) -> None:
    """Write one HTML page on a run: its numbers, and every question with what became of it.

    Example: capcurriculum report demo --out demo.html

    Args:
        out: The HTML file (default: report.html in the run folder).
        rows: Show at most this many rows (default: 20000).
    """
    from capcurriculum.render.progress import Display
    from capcurriculum.run import named
    from cards.report import write

    found = named(run)
    _note_foreign(found, run)
    path = write.report(found, out, Display(), rows or write.ROWS)
    terminal.say(f"The report is {path}; open it with any browser.")


def _note_foreign(found: "Run", name: str) -> None:
    """Say where a recipe file is named and the run was last built with another; what is shown is the run as it is."""
    from capcurriculum.run import recipe_of
    from curricula import make

    if not Path(name).is_file():
        return
    try:
        make.check_belongs(found, recipe_of(name), found.stages)
    except RunError as error:
        terminal.say(f"note: {error} What follows is of the run as it was built.", error=True)


def card(
    run: Annotated[
        str, Parameter(help="A run's folder, its name below runs/, or a recipe file; with --model also a checkpoint.")
    ],
    /,
    *,
    stage: tuple[str, ...] = (),
    order: str | None = None,
    model: bool = False,
    out: Path | None = None,
) -> None:
    """Show the card of a run's sets, or of a checkpoint, as it would be published.

    Example: capcurriculum card demo --out card

    Args:
        stage: A set (may be repeated; default: all), or the stage of a model (default: the last).
        order: The order whose sets are meant (default: the plain stages).
        model: The card of the trained model instead of its data.
        out: The folder to write README.md and its pictures to, instead of printing it.
    """
    from hub import card as hub_card

    terminal.say(*hub_card.card(run, stage, order or "", of_model=model, out=out).split("\n"))
