"""What the tasks of `capcurriculum review` share: the recipe they work under, the sample, and judging again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capcurriculum import run
from capcurriculum.errors import ReviewError
from capcurriculum.ledger.verdicts import check_judged, in_force
from capcurriculum.recipe import Recipe
from capcurriculum.render.terminal import console
from capcurriculum.run import Run
from filters import pipeline
from review import sample, summary
from review.design import draw, size_for
from review.page.read import Imported
from review.population import population
from review.sample import Design, Sample

SIZE = 200
_BY = ("fate",)


def recipe_of(named: str) -> Recipe:
    """The recipe file's own words where one is named, so that its review section may be changed; else the run's.

    Raises:
        RunError: the file lists filters that the run's own recipe does not, and that have not judged its questions.
    """
    found, wanted = run.to_change(named)
    if not in_force(wanted).equals(in_force(found.recipe())):  # else the run may still be on its way
        check_judged(found, wanted)
    return wanted


def finish(opened: Run, wanted: Recipe) -> None:
    """Judge by what people have said by now, write `review.json`, and show it."""
    pipeline.judge_again(opened, wanted)
    found = summary.summarise(opened, wanted)
    summary.write(opened, wanted, found)
    summary.show(found, console())


def told(path: Path, found: Imported) -> Iterator[str]:
    """What reading a file of answers found, in lines."""
    known = f", {found.known} known before" if found.known else ""
    yield f"{path}: {found.new} new reviews{known}"
    if found.older:
        yield f"  {found.older} are about another version of their question; they are kept, and do not count"
    if found.strange:
        yield f"  {found.strange} are about questions that this run does not have, and were left out"
    for what, count in sorted(found.problems.items()):
        yield f"  {count} lines were left out, the first is line {found.first[what]}: {what}"


def drawn_sample(
    opened: Run,
    wanted: Recipe,
    *,
    size: int | None = None,
    width: float | None = None,
    expect: float = 0.1,
    design: str | None = None,
    by: str | None = None,
    stage: tuple[str, ...] = (),
    seed: int | None = None,
) -> Sample:
    """The sample asked for, drawn and written down; where nothing is asked for, the present one.

    Raises:
        ReviewError: the options do not fit together, or there is nothing to draw from.
    """
    before = sample.load(opened)
    if before and not any((size, width, design, by, stage, seed)):
        return before
    if size and width:
        raise ReviewError("--size and --width are two ways to say how many; give one of them.")
    asked = _design(before.design if before else Design("stratified", _BY, (), SIZE, 0), design, by)
    asked = replace(asked, stages=stage or asked.stages, size=size or asked.size)
    asked = asked if seed is None else replace(asked, seed=seed)
    rows = population(opened, wanted, asked.stages)
    if width:
        asked = replace(asked, size=size_for(rows, asked, width, expect))
    if before and before.design.same_but_for_size(asked) and before.design.size > asked.size:
        asked = before.design  # never smaller: what was asked of people stays asked
    drawn = draw(rows, asked, before)
    sample.save(opened, drawn)
    return drawn


def _design(old: Design, kind: str | None, by: str | None) -> Design:
    """The old design, with the kind and the strata that are given."""
    kind = kind or old.kind
    if kind == "stratified":
        strata = tuple(by.split(",")) if by else old.by if kind == old.kind else _BY
        return replace(old, kind=kind, by=strata)
    if by:
        raise ReviewError(f"--by belongs to --design stratified; a {kind} sample has its own strata.")
    return replace(old, kind=kind, by=())
