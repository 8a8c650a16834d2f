"""What a build will request and cost, estimated before it asks any model.

Rows are counted where a run holds them already and taken from the source otherwise; tokens are the run's own means
once there are any, and otherwise a quarter of the prompt's characters, one token a merged patch of an image, and as
many tokens out as the recipe allows. Disk is a row's share of its table, or its text uncompressed. A line of which
anything is not measured or counted yet is called an estimate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from capcurriculum.ledger.cost import Spend, money, spends
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.auditor import AuditFilterSection
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import Arm, Purpose, Stage
from capcurriculum.run import Run
from capcurriculum.tables import Table

CHARACTERS_A_TOKEN = 4
#: Of a reply without its text, uncompressed: two keys of 16 characters, names, numbers, a prompt's digest.
ROW_BYTES = 150


@dataclass(frozen=True, slots=True)
class Size:
    """What one request of a step is expected to hold; `measured` by this run, or `tokens_out` is its limit.

    `row_bytes` is what one reply took on disk so far, 0 if there is none.
    """

    tokens_in: float
    tokens_out: float
    measured: bool
    row_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """One step with one model. `estimate`: rows and replies are taken at their most, and prompts by a rule of thumb.

    `fewest` and `most` bound the requests of a probe that stops when it has decided, where `requests` are what its
    questions took so far, or the most; both are 0 elsewhere. `disk_mb` is what its rows will take. `seconds` needs the
    model's tokens_per_second (measured by this run, or stated in the recipe), `money` its prices; None where they are
    unknown.
    """

    step: str
    model: str
    rows: int
    requests: int
    tokens_in: int
    tokens_out: int
    disk_mb: float
    estimate: bool
    seconds: float | None
    money: float | None
    fewest: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """How many captions and problems there are, an average caption's and problem's characters, and an image's tokens.

    `captions`, the `questions` made from them, and those `reaching` the rollouts (all until the probe has `judged`) are
    counted by stage. `image_bytes` are those of an average image file, 0 where none was seen.
    """

    captions: Mapping[str, int]
    problems: int
    characters: int
    image_tokens: int
    questions: Mapping[str, int]
    reaching: Mapping[str, int]
    judged: bool
    image_bytes: int = 0


def forecast(recipe: Recipe, run: Run | None, rows: Rows) -> Iterator[Forecast]:
    """The steps that ask models, in the order of the build."""
    spent = {(s.step, s.model): s for s in spends(run)} if run else {}
    an_attempt, an_answer = (_row_bytes(run.attempts), _row_bytes(run.answers)) if run else (0.0, 0.0)
    for stage in recipe.captioned:
        taken = _taken(run, stage) if run else {}
        for step in _made(recipe, stage, rows, spent, (an_attempt, an_answer), taken):
            yield step if stage == Stage.PERCEPTION else replace(step, step=f"{step.step}, {stage}")
    yield from _audits(recipe, rows, spent, an_answer)
    section = recipe.rollouts
    reaching = sum(rows.reaching.values()) + rows.problems
    own = spent.get((Purpose.ROLLOUT, section.model))
    limit = recipe.models[section.model].reply_limit(section.sampling.max_tokens)
    size = _size(own, rows.characters, rows.image_tokens, limit, an_answer)
    open_end = section.stop != "never" or not rows.judged
    yield _step(Purpose.ROLLOUT, section.model, recipe, reaching, reaching * section.k, size, spent, estimate=open_end)
    # Every row with its K replies and its picture; filters after the rollouts will leave fewer.
    stage_mb = reaching * (section.k * (size.row_bytes or ROW_BYTES) + rows.image_bytes) / 1e6
    yield Forecast("stage files", "", reaching, 0, 0, 0, stage_mb, True, None, None)


def _made(
    recipe: Recipe,
    stage: str,
    rows: Rows,
    spent: dict[tuple[str, str], Spend],
    row_bytes: tuple[float, float],
    taken: Mapping[str, float],
) -> Iterator[Forecast]:
    """What is asked to make a stage's questions from captions.

    `row_bytes` are those of an attempt and of an answer, `taken` maps a solver to the replies that a probed question
    has taken of it so far.
    """
    teacher, probe = recipe.captioned[stage].teacher, recipe.captioned[stage].probe
    captions, questions = rows.captions[stage], rows.questions[stage]
    image = rows.image_tokens if teacher.sees == "image_and_caption" else 0
    own = spent.get(("teacher", teacher.model))
    limit = recipe.models[teacher.model].reply_limit(teacher.sampling.max_tokens)
    size = _size(own, rows.characters, image, limit, row_bytes[0])
    yield _step("teacher", teacher.model, recipe, captions, captions * teacher.questions, size, spent, estimate=False)
    most = questions * probe.replies // len(probe.solvers)
    seeing = sum(arm in ("image", "swapped") for arm in probe.arms) / len(probe.arms)
    for place, name in enumerate(probe.solvers):
        own = spent.get((Purpose.PROBE, name))
        limit = recipe.models[name].reply_limit(probe.sampling.max_tokens)
        size = _size(own, rows.characters, round(seeing * rows.image_tokens), limit, row_bytes[1])
        if probe.stop == "never":
            yield _step(Purpose.PROBE, name, recipe, questions, most, size, spent, estimate=False)
            continue
        asked = round(questions * taken[name]) if name in taken else most
        step = _step(Purpose.PROBE, name, recipe, questions, asked, size, spent, estimate=True)
        yield replace(step, fewest=0 if place else questions, most=most)


def _taken(run: Run, stage: str) -> dict[str, float]:
    """Solver -> its replies to a question of the stage that was probed, on the average; empty if none was."""
    own = run.questions.scan().filter(pl.col("stage") == stage).select("question_id")
    asked = run.answers.scan().filter(pl.col("purpose") == str(Purpose.PROBE)).select("question_id", "solver")
    found = asked.join(own, on="question_id", how="semi").collect()
    probed = found["question_id"].n_unique()
    return {str(solver): count / probed for solver, count in found.group_by("solver").len().iter_rows()}


def _row_bytes(table: Table[Any]) -> float:
    """What a row of a table takes on disk, 0 while it has none."""
    count = table.count()
    return sum(shard.stat().st_size for shard in table.shards()) / count if count else 0.0


def _audits(recipe: Recipe, rows: Rows, spent: dict[tuple[str, str], Spend], an_answer: float) -> Iterator[Forecast]:
    """What the auditors among the filters ask; of `kept` questions at most as many as were probed."""
    for section in (section for section in recipe.filters if isinstance(section, AuditFilterSection)):
        image = 0 if section.arm in (Arm.CAPTION, Arm.DESCRIPTION) else rows.image_tokens
        readings = section.votes * (section.reader.orders if section.reader else 1)
        sampling = (section.reader or section).sampling
        kept = section.questions == "kept"
        reached = rows.reaching if kept and rows.judged else rows.questions
        asked = sum(reached.get(stage, 0) for stage in section.stages)
        for name in section.models:
            if section.reader:
                # Of two questions about one image the second costs nothing, so these are the most there can be.
                own = _renamed(spent, "describe", section.describer(name, recipe.models), name)
                limit = recipe.models[name].reply_limit(section.sampling.max_tokens)
                size = _size(own.get(("describe", name)), 0, rows.image_tokens, limit, an_answer)
                yield _step("describe", name, recipe, asked, asked * section.votes, size, own, estimate=True)
            asker = section.reader.model if section.reader else name
            own = _renamed(spent, Purpose.AUDIT, section.asker(name, recipe.models), asker)
            limit = recipe.models[asker].reply_limit(sampling.max_tokens)
            size = _size(own.get((Purpose.AUDIT, asker)), rows.characters, image, limit, an_answer)
            yield _step(Purpose.AUDIT, asker, recipe, asked, asked * readings, size, own, estimate=kept)


def _renamed(spent: Mapping[tuple[str, str], Spend], step: str, known: str, name: str) -> dict[tuple[str, str], Spend]:
    """What was spent under an auditor's own name, under the recipe's name of its model."""
    return {(step, name): spent[step, known]} if (step, known) in spent else {}


def _size(spent: Spend | None, characters: int, image_tokens: int, max_tokens: int, row_bytes: float) -> Size:
    if spent and spent.replies:
        return Size(spent.tokens_in / spent.replies, spent.tokens_out / spent.replies, True, row_bytes)
    return Size(characters / CHARACTERS_A_TOKEN + image_tokens, max_tokens, False)


def _step(
    step: str,
    name: str,
    recipe: Recipe,
    rows: int,
    requests: int,
    size: Size,
    spent: dict[tuple[str, str], Spend],
    *,
    estimate: bool,
) -> Forecast:
    model = recipe.models[name]
    row_bytes = size.row_bytes or ROW_BYTES + size.tokens_out * CHARACTERS_A_TOKEN
    tokens_in, tokens_out = round(requests * size.tokens_in), round(requests * size.tokens_out)
    speed = _speed(spent.get((step, name)), model)
    return Forecast(
        step=step,
        model=name,
        rows=rows,
        requests=requests,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        disk_mb=requests * row_bytes / 1e6,
        estimate=estimate or not size.measured,
        seconds=None if speed is None else tokens_out / speed,
        money=money(model, tokens_in, tokens_out),
    )


def _speed(spent: Spend | None, model: ModelSection) -> float | None:
    """Tokens out a second, measured by the run before anything stated; what a fork took over took no time."""
    if spent and spent.seconds and spent.tokens_out and spent.taken_over < spent.replies:
        return spent.tokens_out * (1 - spent.taken_over / spent.replies) / spent.seconds
    return model.tokens_per_second
