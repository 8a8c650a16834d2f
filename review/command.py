"""Carry out `capcurriculum review`: one function a task, each ending in a sentence or two for the user."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from capcurriculum import recipe, run
from capcurriculum.errors import ReviewError, RunError
from capcurriculum.ledger.verdicts import check_judged, in_force
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.render.terminal import console, say
from capcurriculum.run import Run, writing
from filters import pipeline
from review import design, sample, status, summary
from review.argilla import connection, pull, push, words
from review.page import read, signing, write
from review.page.read import Imported
from review.population import population
from review.sample import Design, Sample

SIZE = 200
_BY = ("fate",)


def execute(options: argparse.Namespace) -> None:
    """Do what was asked for.

    Raises:
        CapCurriculumError: with one sentence; what the run had before stays.
    """
    _TASKS[options.task](options, _recipe(options.run))


def _recipe(named: str) -> Recipe:
    """The recipe file's own words where one is named, so that its review section may be changed; else the run's.

    Raises:
        RunError: the file lists filters that the run's own recipe does not, and that have not judged its questions.
    """
    found = run.named(named)
    if Path(named).is_file():
        wanted = recipe.load(Path(named))
        if not in_force(wanted).equals(in_force(found.recipe())):  # else the run may still be on its way
            check_judged(found, wanted)
        return wanted
    wanted = found.recipe()
    folder = found.path.absolute()
    if folder.name != wanted.name:
        raise RunError(f"The run {found.path} was made under the name {wanted.name}; give its folder that name again.")
    return wanted.model_copy(update={"runs": str(folder.parent)})  # it may have been moved since


def _export(options: argparse.Namespace, wanted: Recipe) -> None:
    if not options.annotator:
        raise ReviewError("Whose page is it? Give --annotator NAME: it signs what it saves with that name.")
    annotator = signing.person(options.annotator)
    with writing(wanted) as opened:
        drawn = drawn_sample(opened, wanted, options)
        path = write.export(opened, wanted, drawn, annotator, options.out, Display())
    say(f"{len(drawn.drawn)} questions are in {path}, the page of {annotator}; open it with any browser.")
    say(f"`capcurriculum review import {options.run} FILE` reads the answers that the page saves.")


def _import(options: argparse.Namespace, wanted: Recipe) -> None:
    annotator = signing.person(options.annotator) if options.annotator is not None else ""
    with writing(wanted) as opened:
        for path in options.file:
            for line in _told(path, read.read(opened, wanted, path, annotator)):
                say(line)
        finish(opened, wanted)


def _push(options: argparse.Namespace, wanted: Recipe) -> None:
    if options.overlap < 1:
        raise ReviewError(f"{options.overlap} people are too few; give an --overlap of at least 1.")
    with writing(wanted) as opened:
        at = connection.connect()
        drawn = drawn_sample(opened, wanted, options)
        asked = push.Wanted(options.overlap, options.create_workspace, tuple(options.annotator))
        for line in words.pushed(push.push(opened, wanted, drawn, at, asked, Display()), at.url, asked):
            say(line)


def _pull(options: argparse.Namespace, wanted: Recipe) -> None:
    del options
    with writing(wanted) as opened:
        report = pull.pull(opened, wanted, connection.connect(), Display())
        for line in words.pulled(report):
            say(line)
        finish(opened, wanted)


def _status(options: argparse.Namespace, wanted: Recipe) -> None:
    found = run.named(options.run)
    server = connection.connect() if connection.named() else None
    status.show(found, wanted, server, console(), Display())


def finish(opened: Run, wanted: Recipe) -> None:
    """Judge by what people have said by now, write `review.json`, and show it."""
    pipeline.judge_again(opened, wanted)
    found = summary.summarise(opened, wanted)
    summary.write(opened, wanted, found)
    summary.show(found, console())


def _told(path: Path, found: Imported) -> Iterator[str]:
    known = f", {found.known} known before" if found.known else ""
    yield f"{path}: {found.new} new reviews{known}"
    if found.older:
        yield f"  {found.older} are about another version of their question; they are kept, and do not count"
    if found.strange:
        yield f"  {found.strange} are about questions that this run does not have, and were left out"
    for what, count in sorted(found.problems.items()):
        yield f"  {count} lines were left out, the first is line {found.first[what]}: {what}"


def drawn_sample(opened: Run, wanted: Recipe, options: argparse.Namespace) -> Sample:
    """The sample asked for, drawn and written down; where nothing is asked for, the one that there is.

    Raises:
        ReviewError: the options do not fit together, or there is nothing to draw from.
    """
    before = sample.load(opened)
    if before and not any((options.size, options.width, options.design, options.by, options.stage, options.seed)):
        return before
    asked = _design(options, before)
    rows = population(opened, wanted, asked.stages)
    if options.width:
        size = design.size_for(rows, asked, options.width, options.expect)
        asked = Design(asked.kind, asked.by, asked.stages, size, asked.seed)
    if before and before.design.same_but_for_size(asked) and before.design.size > asked.size:
        asked = before.design  # never smaller: what was asked of people stays asked
    drawn = design.draw(rows, asked, before)
    sample.save(opened, drawn)
    return drawn


def _design(options: argparse.Namespace, before: Sample | None) -> Design:
    """What is said; what is not is as it was before, and else the default."""
    old = before.design if before else Design("stratified", _BY, (), SIZE, 0)
    if options.size and options.width:
        raise ReviewError("--size and --width are two ways to say how many; give one of them.")
    kind = options.design or old.kind
    by = tuple(options.by.split(",")) if options.by else old.by if kind == old.kind else _BY
    if kind != "stratified":
        if options.by:
            raise ReviewError(f"--by belongs to --design stratified; a {kind} sample has its own strata.")
        by = ()
    stages = tuple(options.stage) or old.stages
    seed = old.seed if options.seed is None else options.seed
    return Design(kind, by, stages, options.size or old.size, seed)


_TASKS: Mapping[str, Callable[[argparse.Namespace, Recipe], None]] = {
    "export": _export,
    "import": _import,
    "push": _push,
    "pull": _pull,
    "status": _status,
}
