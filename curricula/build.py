"""The data build: sources, teacher, probe, filters, rollouts, stage files; each step does only what is missing.

Every step reads from the run's tables and appends to them, so an interrupted build resumes to the same tables, and
building a finished run does nothing.
"""

import time
from collections.abc import Mapping

import polars as pl

from capcurriculum import locks
from capcurriculum.locks import Share
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from curricula.make import STAGES, write_orders
from curricula.preview import of_rows
from datagen.auditor import audit
from datagen.distributed import cluster
from datagen.distributed.driver import Driver
from datagen.engines.openai import headers
from datagen.flow import Admission, flow, streams
from datagen.probe import probe
from datagen.rollouts import roll_out
from datagen.setting import Setting
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import pipeline


def build(
    recipe: Recipe, display: Display, share: Share | None = None, ray: str | None = None, preview: int = 0
) -> Run:
    """Build the stage sets of a recipe, or resume.

    With a `share` only that share of the rows is sent to models, concurrently with other processes; a build without one
    then does the rest and writes the stage sets. `ray` is the address of a cluster whose workers ask the models, as in
    `datagen.distributed.cluster.joined`. A `preview` above 0 is a build of about that many rows of each stage alone; it
    writes no stage sets and returns the run as restricted to them.

    Raises:
        CapCurriculumError: a source, a model or the run cannot be used; everything finished so far stays.
    """
    _check_variables(recipe, ray)
    with writing(recipe, share) as run, cluster.joined(ray):
        run.event("build started")
        start = time.monotonic()
        at = gather.setting(run, recipe, display)
        driver = Driver(at) if ray is not None else None
        with locks.in_turn(run.path):
            gather.gather(at)
        if preview:
            at = of_rows(at, preview)
            run = at.run
        if driver is None:
            _flow(at)
        if recipe.captioned:
            if driver:
                driver.teach()
            write_questions(at)
        mine = run.my_ids()
        worth_asking = pipeline.run_phase(at, Phase.QUESTION, mine)
        if driver is None and pipeline.admits(at) is None:
            _flow(at, worth_asking)
        if recipe.captioned:
            probed = set(worth_asking.collect()["question_id"])
            if driver:
                driver.probe(probed)
            probe(at, probed)
        kept = pipeline.run_phase(at, Phase.PROBE, mine)
        _audit(at, {"probed": worth_asking, "kept": kept})
        to_measure = pipeline.run_phase(at, Phase.AUDIT, mine)
        if driver:
            driver.roll_out(pipeline.questions(run, to_measure))
        roll_out(at, pipeline.questions(run, to_measure))
        pipeline.run_phase(at, Phase.ROLLOUT, mine)
        if share is None and not preview:
            write_orders(run, recipe, [STAGES, *recipe.curriculum.orders], display)
        run.event("preview finished" if preview else "build finished", seconds=round(time.monotonic() - start, 1))
    return run


def _flow(at: Setting, alive: pl.LazyFrame | None = None) -> None:
    """Ask what can be asked in one flow; where filters compare questions, first captions alone, and then `alive`.

    What people said changes verdicts by rules that only the steps of the build know, so a run with reviews has no flow.
    """
    if at.run.reviews.shards() or not any(streams(at.recipe, model) for model in at.recipe.asked):
        return
    admits = pipeline.admits(at)
    if admits and alive is None:
        alive = pipeline.run_phase(at, Phase.QUESTION, at.run.my_ids())
    ids = set(alive.collect()["question_id"]) if alive is not None else set()
    known = at.run.questions.keys("question_id")
    flow(at, Admission(known, ids, admits or (lambda _: False)))


def _check_variables(recipe: Recipe, ray: str | None) -> None:
    """Check that the variables of the models' keys and headers are set; a cluster's workers check their own."""
    names = set() if ray not in (None, cluster.LOCAL) else set(recipe.asked)
    for section in recipe.filters:
        names |= section.named if isinstance(section, AuditFilterSection) else set()
    headers.check(recipe.models[name] for name in sorted(names))


def _audit(at: Setting, reached: Mapping[str, pl.LazyFrame]) -> None:
    """Ask the auditors of the recipe's filters about `reached`, the questions before and after the probe's filters."""
    for section in at.recipe.filters:
        if isinstance(section, AuditFilterSection):
            ids = reached[section.questions].filter(pl.col("stage").is_in(list(section.stages)))
            audit(at, section, pipeline.questions(at.run, ids))
