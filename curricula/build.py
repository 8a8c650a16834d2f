"""The whole data build: sources, teacher, probe, filters, rollouts, stage files, each step doing only what is missing.

Every step reads its input from the run's tables and appends to them, so calling `build` again after any interruption
ends in the same tables, and calling it on a finished run does nothing.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from capcurriculum import locks
from capcurriculum.locks import Share
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from curricula.make import STAGES, write_orders
from datagen.auditor import audit
from datagen.distributed.cluster import LOCAL
from datagen.distributed.driver import driver_on
from datagen.engines.openai import headers
from datagen.flow import Admission, flow, streams
from datagen.probe import probe
from datagen.rollouts import roll_out
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import pipeline


def build(recipe: Recipe, display: Display, share: Share | None = None, ray: str | None = None) -> Run:
    """Build, or go on building, the stage sets of a recipe.

    With a `share`, everything that asks models is done for that share of the rows, beside other processes that do
    theirs; a build without one then does what is left, if anything, and writes the stage sets. With `ray`, an address
    as in `datagen.distributed.cluster.joined`, models are asked by workers there.

    Raises:
        CapCurriculumError: with one sentence; everything finished so far stays.
    """
    _check_headers(recipe, ray)
    with writing(recipe, share) as run, driver_on(run, recipe, ray, display) as driver:
        run.event("build started")
        start = time.monotonic()
        with locks.in_turn(run.path):
            gather.gather(run, recipe, display)
        where = gather.folders(run, recipe)
        if driver:
            driver.folders = where
        if driver is None:
            _flow(run, recipe, where, display)
        if recipe.captioned:
            if driver:
                driver.teach()
            write_questions(run, recipe, where, display)
        mine = run.my_ids()
        worth_asking = pipeline.before_probe(run, recipe, mine)
        if driver is None and pipeline.admits(run, recipe) is None:
            _flow(run, recipe, where, display, worth_asking)
        if recipe.captioned:
            probed = set(worth_asking.collect()["question_id"])
            if driver:
                driver.probe(probed)
            probe(run, recipe, where, display, probed)
        kept = pipeline.after_probe(run, recipe, mine)
        _audit(run, recipe, {"probed": worth_asking, "kept": kept}, where, display)
        to_measure = pipeline.after_audit(run, recipe, mine)
        if driver:
            driver.roll_out(pipeline.questions(run, to_measure))
        roll_out(run, recipe, pipeline.questions(run, to_measure), where, display)
        pipeline.after_rollouts(run, recipe, mine)
        if share is None:
            write_orders(run, recipe, [STAGES, *recipe.curriculum.orders], display)
        run.event("build finished", seconds=round(time.monotonic() - start, 1))
    return run


def _flow(
    run: Run, recipe: Recipe, where: Mapping[str, Path], display: Display, alive: pl.LazyFrame | None = None
) -> None:
    """Ask what can be asked in one flow; where filters compare questions, first captions alone, and then `alive`.

    What people said changes verdicts by rules that only the steps of the build know, so a run with reviews has no flow.
    """
    if run.reviews.shards() or not any(streams(recipe, model) for model in recipe.asked):
        return
    admits = pipeline.admits(run, recipe)
    if admits and alive is None:
        alive = pipeline.before_probe(run, recipe, run.my_ids())
    ids = set(alive.collect()["question_id"]) if alive is not None else set()
    known = run.questions.keys("question_id")
    flow(run, recipe, where, display, Admission(known, ids, admits or (lambda _: False)))


def _check_headers(recipe: Recipe, ray: str | None) -> None:
    """Whether what models are sent is in the environment; a cluster's workers look into their own."""
    names = set() if ray not in (None, LOCAL) else set(recipe.asked)
    for section in recipe.filters:
        names |= section.named if isinstance(section, AuditFilterSection) else set()
    headers.check(recipe.models[name] for name in sorted(names))


def _audit(
    run: Run, recipe: Recipe, reached: Mapping[str, pl.LazyFrame], where: Mapping[str, Path], display: Display
) -> None:
    """Ask the auditors of the recipe's filters; `reached` are the questions before and after the probe's filters."""
    for section in recipe.filters:
        if isinstance(section, AuditFilterSection):
            ids = reached[section.questions].filter(pl.col("stage").is_in(list(section.stages)))
            audit(run, recipe, section, pipeline.questions(run, ids), where, display)
