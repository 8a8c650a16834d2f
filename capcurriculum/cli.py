"""`capcurriculum VERB`: one verb a room, each importing its room only when called.

A failure the user can mend prints one sentence and exits with 2; an interrupt exits with 130 and loses nothing.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from capcurriculum import __version__, curriculum_options
from capcurriculum.errors import CapCurriculumError

Verb = Callable[[argparse.Namespace], None]


def _build(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from capcurriculum import recipe, show
    from capcurriculum.progress import Display
    from curricula.build import build

    wanted = recipe.load(arguments.recipe)
    if arguments.dry_run:
        from capcurriculum.forecast import forecast
        from datagen import expected

        run = expected.existing_run(wanted)
        show.forecast(forecast(wanted, run, expected.rows(wanted, run)), Console())
    else:
        show.funnel(build(wanted, Display()), Console())


def _curriculum(arguments: argparse.Namespace) -> None:
    from curricula import command

    print(command.execute(arguments))


def _train(arguments: argparse.Namespace) -> None:
    from capcurriculum import recipe
    from training.chain import train

    train(recipe.load(arguments.recipe), dry_run=arguments.dry_run)


def _status(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from capcurriculum import run, show

    show.status(run.named(arguments.run), Console())


def _funnel(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from capcurriculum import run, show

    show.funnel(run.named(arguments.run), Console())


def _why(arguments: argparse.Namespace) -> None:
    from capcurriculum import run, why

    for line in why.life(run.named(arguments.run), arguments.row):
        print(line)


def _query(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from capcurriculum import ledger, run, show

    columns, rows = ledger.query(run.named(arguments.run), arguments.sql)
    if arguments.csv:
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        Console().print(show.grid(columns, rows))


def parser() -> argparse.ArgumentParser:
    """The command line, without importing any room."""
    top = argparse.ArgumentParser(
        prog="capcurriculum",
        description="Build curriculum datasets ordered by capability and train a vision-language model through them.",
    )
    top.add_argument("--version", action="version", version=f"capcurriculum {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, call: Verb, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(call=call)
        return added

    build = verb("build", _build, "build the stage sets of a recipe, or go on where it stopped")
    build.add_argument("recipe", type=Path, help="a recipe file, for example curricula/recipes/demo.yaml")
    build.add_argument(
        "--dry-run", action="store_true", help="print what it will ask of which model at what cost, and ask nothing"
    )
    order = verb("curriculum", _curriculum, "write the rows of a built run in another order, asking no model")
    order.add_argument("run", help="a run folder, a run's name below runs/, or a recipe file")
    curriculum_options.declare(order)
    train = verb("train", _train, "train a model through the stages with verl, or go on where it stopped")
    train.add_argument("recipe", type=Path, help="the recipe the stages were built with")
    train.add_argument(
        "--dry-run", action="store_true", help="print the plan and the exact commands, and change nothing"
    )
    run_help = "a run folder, a run's name below runs/, or a recipe file"
    for name, call, text in (
        ("status", _status, "how far a run is"),
        ("funnel", _funnel, "what each filter kept and dropped, and why"),
    ):
        verb(name, call, text).add_argument("run", help=run_help)
    why = verb("why", _why, "the whole life of one row")
    why.add_argument("run", help=run_help)
    why.add_argument("row", help="the beginning of a caption's, question's or source line's id")
    query = verb("query", _query, "one SQL statement over a run's tables")
    query.add_argument("run", help=run_help)
    query.add_argument("sql", help='for example "select reason, count(*) from verdicts group by all"')
    query.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 when done, 2 with a sentence on what to mend, 130 when interrupted."""
    arguments = parser().parse_args(argv)
    return exit_with(lambda: arguments.call(arguments))


def exit_with(work: Callable[[], object]) -> int:
    """The exit code of `work`: the one place where errors become sentences."""
    try:
        work()
    except CapCurriculumError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Everything finished so far is kept; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
