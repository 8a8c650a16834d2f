"""Shared by the tasks of `capcurriculum review`: the recipe, the sample, and judging again."""

from dataclasses import replace

import polars as pl

from capcurriculum import run
from capcurriculum.errors import ReviewError
from capcurriculum.ledger.verdicts import check_judged, in_force
from capcurriculum.recipe import Recipe
from capcurriculum.render.terminal import console, say
from capcurriculum.run import Run
from filters import pipeline
from filters.human import people
from filters.human.latest import latest
from review import sample, summary
from review.certify import certifying
from review.design import draw, size_for
from review.population import population
from review.sample import Design, Sample

SIZE = 200
_BY = ("fate",)


def recipe_of(named: str) -> Recipe:
    """The recipe of a file, whose review section may differ from the run's; for a run's name the run's recipe.

    Raises:
        RunError: the file lists filters that have not judged the run's questions.
    """
    found, wanted = run.to_change(named)
    if not in_force(wanted).equals(in_force(found.recipe())):  # equal ones may be unfinished
        check_judged(found, wanted)
    return wanted


def finish(opened: Run, wanted: Recipe) -> None:
    """Apply the reviews as verdicts, write `review.json`, and print the summary."""
    pipeline.judge_again(opened, wanted)
    found = summary.summarise(opened, wanted)
    summary.write(opened, wanted, found)
    summary.show(found, console())


def drawn_sample(
    opened: Run,
    wanted: Recipe,
    *,
    size: int | None = None,
    width: float | None = None,
    certify: float | None = None,
    expect: float | None = None,
    design: str | None = None,
    by: str | None = None,
    stage: tuple[str, ...] = (),
    seed: int | None = None,
) -> Sample:
    """Draw and save the sample of these options; without options, the saved one if there is one.

    With `certify` says beforehand what the sample can show.

    Raises:
        ReviewError: the options contradict each other, or no question was judged yet.
    """
    before = sample.load(opened)
    if before and not any((size, width, certify, design, by, stage, seed)):
        return before
    if sum(one is not None for one in (size, width, certify)) > 1:
        raise ReviewError("--size, --width and --certify each set the size of the sample; give one of them.")
    if certify is not None and (design or by):
        raise ReviewError("--certify chooses the rows itself; leave --design and --by out.")
    asked = _design(before.design if before else Design("stratified", _BY, (), SIZE, 0), design, by)
    asked = replace(asked, stages=stage or asked.stages, size=size or asked.size)
    asked = asked if seed is None else replace(asked, seed=seed)
    rows = population(opened, wanted, asked.stages)
    if width:
        asked = replace(asked, size=size_for(rows, asked, width, 0.1 if expect is None else expect))
    if certify is not None:
        asked = _certifying(opened, wanted, asked, rows, certify, expect)
    if before and before.design.same_but_for_size(asked) and before.design.size > asked.size:
        asked = before.design  # a sample never shrinks
    drawn = draw(rows, asked, before)
    sample.save(opened, drawn)
    return drawn


def _certifying(
    opened: Run, wanted: Recipe, asked: Design, rows: pl.DataFrame, certify: float, expect: float | None
) -> Design:
    decided = people.decisions(latest(opened), wanted)
    opinions = {key: decision.opinion for key, decision in decided.items()}
    found = certifying(asked, rows.filter("kept"), opinions, certify, expect)
    say(found.sentence())
    return found.design


def _design(old: Design, kind: str | None, by: str | None) -> Design:
    """The old design with another kind or other strata."""
    kind = kind or old.kind
    if kind == "stratified":
        strata = tuple(by.split(",")) if by else old.by if kind == old.kind else _BY
        return replace(old, kind=kind, by=strata)
    if by:
        raise ReviewError(f"--by belongs to --design stratified; a {kind} sample has its own strata.")
    return replace(old, kind=kind, by=())
