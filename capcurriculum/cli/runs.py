"""The verbs that show what a run holds."""

from pathlib import Path
from typing import Annotated

from capcurriculum.cli.app import RUNS, verb
from capcurriculum.cli.options import Names, Positive, RunName, opt
from capcurriculum.errors import RunError
from capcurriculum.render import terminal


@verb("runs", RUNS)
def runs(folder: Annotated[Path, opt("The folder of the runs")] = Path("runs"), /) -> None:
    """List the runs of a folder: rows of their stages, trainings, and what is working on them."""
    from capcurriculum.ledger import run_list, show

    show.runs(run_list.runs(folder), terminal.console())


@verb("status demo", RUNS)
def status(run: RunName, /) -> None:
    """Show how far a run is."""
    from capcurriculum.ledger import show
    from capcurriculum.run import named

    show.status(named(run), terminal.console())


@verb("verify demo", RUNS)
def verify(run: RunName, /) -> None:
    """Read all files of a run to their end and compare them with their checksums."""
    from capcurriculum.ledger import show
    from capcurriculum.ledger import verify as check
    from capcurriculum.run import named

    found, damage = check.verify(named(run))
    show.verified(found, terminal.console())
    if damage:
        raise RunError(" ".join(damage))


@verb("funnel demo --overlap", RUNS)
def funnel(
    run: RunName, /, *,
    overlap: Annotated[bool, opt("Also show what each filter catches by itself, alone, and with each other")] = False,
) -> None:  # fmt: skip
    """Show what each filter kept and dropped, and why."""
    from capcurriculum.ledger import show
    from capcurriculum.run import with_recipe
    from training import remarks

    found, wanted = with_recipe(run)
    _note_foreign(run)
    show.funnel(found, terminal.console(), overlap)
    show.remarks(remarks.of(found, wanted), terminal.console())


@verb("why demo 3f2a", RUNS)
def why(
    run: RunName, row: Annotated[str, opt("The beginning of the id of a caption, a question or a source line")], /, *,
    prompts: Annotated[bool, opt("Also show every prompt as it was sent, with the whole reply")] = False,
) -> None:  # fmt: skip
    """Show the whole life of one row."""
    from capcurriculum.ledger import why as ledger
    from capcurriculum.run import with_recipe

    found, wanted = with_recipe(run)
    for line in ledger.life(found, row):
        terminal.say(line)
    if prompts:
        from datagen import exchanges
        from datagen.sources import gather

        terminal.say(*exchanges.lines(exchanges.of_row(gather.setting(found, wanted), ledger.ids_of(found, row))))


@verb('query demo "select reason, count(*) from verdicts group by all"', RUNS)
def query(
    run: RunName,
    sql: Annotated[str, opt("A statement of DuckDB over the run's tables", allow_leading_hyphen=True)], /, *,
    csv: Annotated[bool, opt("Print CSV instead of a table")] = False,
    json: Annotated[bool, opt("Print JSON, an object for each row")] = False,
) -> None:  # fmt: skip
    """Run one SQL statement over the tables of a run; a table wider than the terminal is shown row by row."""
    from capcurriculum.ledger import user_query
    from capcurriculum.render import records
    from capcurriculum.run import named

    if csv and json:
        raise RunError("--csv and --json are two forms of the same rows; give one of them.")
    columns, rows = user_query.answer(named(run), sql)
    if csv:
        terminal.rows_as_csv(columns, rows)
    elif json:
        records.print_json(columns, rows)
    else:
        records.show(columns, rows)


@verb("report demo --out demo.html", RUNS)
def report(
    run: RunName, /, *,
    out: Annotated[Path | None, opt("The HTML file (default: report.html in the run folder)")] = None,
    rows: Annotated[Positive | None, opt("Show at most this many rows (default: 20000)")] = None,
    browse: Annotated[bool, opt("Open the page in a browser", name="--open")] = False,
) -> None:  # fmt: skip
    """Write one HTML page on a run: its numbers, and every question with what became of it."""
    from capcurriculum.render.progress import Display
    from capcurriculum.run import named
    from cards.report import write

    found = named(run)
    _note_foreign(run)
    path = write.report(found, out, Display(), rows or write.ROWS)
    terminal.say(f"The report is {path}; open it with any browser.")
    if browse and not _browser(path):
        terminal.say("note: There is no browser here that could be started; open the file with one.", error=True)


def _browser(path: Path) -> bool:
    """Open a file in the user's browser; whether there is one."""
    import webbrowser

    try:
        return webbrowser.open(path.absolute().as_uri())
    except webbrowser.Error:
        return False


def _note_foreign(name: str) -> None:
    """Say where a recipe file is named and the run was last built with another; what is shown is the run as it is."""
    from capcurriculum.run import named, recipe_of
    from curricula import make

    if Path(name).is_file():
        try:
            make.check_belongs(found := named(name), recipe_of(name), found.stages)
        except RunError as error:
            terminal.say(f"note: {error} What follows is of the run as it was built.", error=True)


@verb("card demo --out card", RUNS)
def card(
    run: Annotated[str, opt("A run's folder, its name below runs/, or a recipe file; with --model also a checkpoint")],
    /, *,
    stage: Annotated[Names, opt("A set (may be repeated), or the stage of a model (default: all, the last)")] = (),
    order: Annotated[str, opt("The order whose sets are meant (default: the plain stages)")] = "",
    model: Annotated[bool, opt("The card of the trained model instead of its data")] = False,
    out: Annotated[Path | None, opt("The folder for README.md and its pictures (default: print it)")] = None,
) -> None:  # fmt: skip
    """Show the card of a run's sets, or of a checkpoint, as it would be published."""
    from hub import card as hub_card

    terminal.say(*hub_card.card(run, stage, order, of_model=model, out=out).split("\n"))
