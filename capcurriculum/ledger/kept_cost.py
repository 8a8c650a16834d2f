"""What a kept row cost, and what was spent on rows that each filter dropped.

Replies and their tokens stand in the tables, row by row. Requests and an engine's seconds are known by step and model
alone (`capcurriculum.ledger.cost`); rows share them, requests by replies, seconds by the tokens that were written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from capcurriculum.ledger import funnel
from capcurriculum.ledger.cost import Spend, money, recipe_model, spends
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.reasons import NOT_JUDGED
from capcurriculum.recipe import Recipe
from capcurriculum.rows import Purpose
from capcurriculum.run import Run, stage_of_caption

#: Where rows are that no filter dropped: kept by all, or not judged by all yet.
KEPT, OPEN = "kept", "open"
_TEACHER = "teacher"
_TOKENS = ("replies", "tokens_in", "tokens_out")


@dataclass(frozen=True, slots=True)
class Amount:
    """Requests, tokens, seconds of the engine, and money in the unit of the recipe's prices.

    `money` is that of the models with prices, None if none has; `unpriced` names the models without.
    """

    requests: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    seconds: float = 0.0
    money: float | None = None
    unpriced: tuple[str, ...] = ()

    def over(self, rows: int) -> "Amount":
        """The same for each of `rows`."""
        return Amount(
            self.requests / rows, self.tokens_in / rows, self.tokens_out / rows, self.seconds / rows,
            None if self.money is None else self.money / rows, self.unpriced,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class StageCost:
    """What the rows of a stage have cost.

    `kept` counts the rows that are kept so far. `steps` maps a step to its spend on all rows of the stage, and `ends` a
    filter to the spend on the rows that it dropped; under `KEPT` and `OPEN` are those of the others. `rows` counts the
    rows of each end, of captions that no question was made from none. Either sums to `total`.
    """

    stage: str
    kept: int
    total: Amount
    steps: Mapping[str, Amount]
    ends: Mapping[str, Amount]
    rows: Mapping[str, int]

    @property
    def a_kept_row(self) -> Amount | None:
        """What was spent on rows that are decided, over those that are kept; None while none is."""
        if not self.kept:
            return None
        spent = [amount for end, amount in self.ends.items() if end != OPEN]
        return _sum(spent).over(self.kept)

    @property
    def on_dropped(self) -> float:
        """The share of tokens, both ways, that went to rows that were dropped."""
        tokens = {end: amount.tokens_in + amount.tokens_out for end, amount in self.ends.items() if end != OPEN}
        return 1 - tokens.get(KEPT, 0.0) / sum(tokens.values()) if sum(tokens.values()) else 0.0

    def sentence(self) -> str:
        """The same in one sentence, which the name of the stage stands before; "" while no row is kept."""
        each = self.a_kept_row
        if each is None:
            return ""
        cost = f", {each.money:,.4g} at the recipe's prices" if each.money is not None else ""
        return (
            f"a kept row took {each.requests:,.1f} requests, {each.tokens_in:,.0f} tokens in and "
            f"{each.tokens_out:,.0f} out, {duration(each.seconds)} of models{cost}; {self.on_dropped:.0%} of the "
            "tokens went to rows that were dropped."
        )


def duration(seconds: float) -> str:
    """Seconds in the unit that leaves one to three digits before the point: `1.3 s`, `4.0 min`, `2.1 h`."""
    for least, unit in ((3600, "h"), (60, "min")):
        if seconds >= least:
            return f"{seconds / least:,.1f} {unit}"
    return f"{seconds:,.2g} s" if seconds < 10 else f"{seconds:,.0f} s"


def of_run(run: Run, recipe: Recipe, verdicts: pl.LazyFrame | None = None) -> list[StageCost]:
    """The cost of each stage that a model was asked about, in the order they are taught.

    Args:
        run: whose tables are read.
        recipe: whose filters count and whose prices hold.
        verdicts: those of `funnel.placed`, where they are derived already.
    """
    spent = {(s.step, s.model): s for s in spends(run)}
    if not spent:
        return []
    verdicts = funnel.placed(run) if verdicts is None else verdicts
    ends = _ends(run, recipe, verdicts)
    written = verdicts.filter(pl.col("filter") == _TEACHER).select("stage").unique().collect()["stage"].to_list()
    key = ["stage", "question_id"]
    asked = pl.concat([_attempts(run), _descriptions(run), _answers(run)])
    lines = asked.join(ends, on=key, how="left").with_columns(
        # A caption that gave no question ended with the teacher, once its stage's questions are written.
        end=pl.coalesce("end", pl.when(pl.col("stage").is_in(written)).then(pl.lit(_TEACHER)).otherwise(pl.lit(OPEN)))
    )
    group = ["stage", "step", "model", "end"]
    sums = lines.group_by(group).agg(pl.col(_TOKENS).sum()).sort(group).collect()
    rows = ends.group_by("stage", "end").len().collect()
    found = [_line(line, spent, recipe) for line in sums.iter_rows(named=True)]
    return [
        _stage(
            stage,
            [line for line in found if line.stage == stage],
            dict(rows.filter(pl.col("stage") == stage).select("end", "len").iter_rows()),
        )
        for stage in sorted({line.stage for line in found}, key=funnel.placing(recipe.taught))
    ]


@dataclass(frozen=True, slots=True)
class _Line:
    """What a step of a stage took of rows with one end."""

    stage: str
    step: str
    end: str
    amount: Amount


def _stage(stage: str, lines: Sequence[_Line], rows: Mapping[str, int]) -> StageCost:
    steps, ends = (dict.fromkeys(getattr(line, name) for line in lines) for name in ("step", "end"))
    return StageCost(
        stage,
        rows.get(KEPT, 0),
        _sum(line.amount for line in lines),
        {step: _sum(line.amount for line in lines if line.step == step) for step in steps},
        {end: _sum(line.amount for line in lines if line.end == end) for end in ends},
        rows,
    )


def _line(sums: Mapping[str, Any], spent: Mapping[tuple[str, str], Spend], recipe: Recipe) -> _Line:
    """A row of the sums with its share of what is known by step and model."""
    stage, step, known = sums["stage"], sums["step"], sums["model"]
    # The spend of all teachers is one.
    of = spent[step, known] if known else next(one for (name, _), one in spent.items() if name == step)
    teaching = recipe.captioned.get(stage)  # none in a recipe without the stage
    asked = known or (teaching.teacher.model if teaching else "")
    model = recipe_model(recipe, step, asked)
    replies, tokens_in, tokens_out = (sums[name] for name in _TOKENS)
    share = tokens_out / of.tokens_out if of.tokens_out else replies / of.replies
    paid = money(model, tokens_in, tokens_out)
    return _Line(
        stage,
        step,
        sums["end"],
        Amount(
            requests=of.requests * replies / of.replies,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            seconds=of.engine_seconds * share,
            money=paid,
            unpriced=() if paid is not None else (asked or step,),
        ),
    )


def _sum(amounts: Iterable[Amount]) -> Amount:
    found = list(amounts)
    paid = [amount.money for amount in found if amount.money is not None]
    return Amount(
        sum(a.requests for a in found), sum(a.tokens_in for a in found), sum(a.tokens_out for a in found),
        sum(a.seconds for a in found), sum(paid) if paid else None,
        tuple(sorted({name for amount in found for name in amount.unpriced})),
    )  # fmt: skip


def _ends(run: Run, recipe: Recipe, verdicts: pl.LazyFrame) -> pl.LazyFrame:
    """`stage, question_id, end`: the first filter that dropped it, `KEPT` or `OPEN`, of every question."""
    key = ["stage", "question_id"]
    drops = verdicts.filter(~pl.col("keep"), ~pl.col("reason").is_in(list(NOT_JUDGED)))
    first = drops.group_by(key).agg(end=pl.col("filter").sort_by("place", "filter").first())
    kept = kept_ids(run, recipe, verdicts.filter("counted")).with_columns(kept=pl.lit(KEPT)).unique("question_id")
    rows = run.questions.scan().select(key).unique(key).join(first, on=key, how="left")
    rows = rows.join(kept, on="question_id", how="left")
    return rows.select(*key, end=pl.coalesce("end", "kept", pl.lit(OPEN)))


def _attempts(run: Run) -> pl.LazyFrame:
    """What the teacher wrote, by the question that came of it ("" where none did)."""
    stage = run.captions.scan().select("caption_id", stage_of_caption()).unique("caption_id")
    made = run.questions.scan().filter(pl.col("caption_id") != "").select("caption_id", "slot", "question_id")
    attempts = run.attempts.scan().join(stage, on="caption_id")
    found = attempts.join(made.unique(["caption_id", "slot"]), on=["caption_id", "slot"], how="left")
    return _narrow(found.with_columns(pl.col("question_id").fill_null("")), pl.lit(_TEACHER), pl.lit(""))


def _descriptions(run: Run) -> pl.LazyFrame:
    """What auditors wrote of images; questions about one image share it."""
    asked = run.questions.scan().filter(pl.col("image_id") != "").select("image_id", "stage", "question_id")
    audited = run.answers.scan().filter(pl.col("purpose") == str(Purpose.AUDIT)).select("question_id").unique()
    asked = asked.join(audited, on="question_id", how="semi").with_columns(sharing=pl.len().over("image_id"))
    found = run.descriptions.scan().join(asked, on="image_id", how="inner")
    return _narrow(found, pl.lit("describe"), pl.col("describer"), 1 / pl.col("sharing"))


def _answers(run: Run) -> pl.LazyFrame:
    """What solvers and auditors answered to make the sets; a refresh belongs to a training."""
    stage = run.questions.scan().select("question_id", "stage").unique("question_id")
    answers = run.answers.scan().filter(pl.col("purpose") != str(Purpose.REFRESH)).join(stage, on="question_id")
    return _narrow(answers, pl.col("purpose"), pl.col("solver"))


def _narrow(rows: pl.LazyFrame, step: pl.Expr, model: pl.Expr, share: pl.Expr | None = None) -> pl.LazyFrame:
    share = pl.lit(1.0) if share is None else share
    sums = {"replies": pl.lit(1), "tokens_in": pl.col("tokens_in"), "tokens_out": pl.col("tokens_out")}
    weighed = {name: value.cast(pl.Float64) * share for name, value in sums.items()}
    return rows.select("stage", "question_id", step=step, model=model, **weighed)
