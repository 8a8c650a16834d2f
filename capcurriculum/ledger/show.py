"""Print what the ledger says: funnel, status, the life of one row, query results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from capcurriculum.ledger import cost_sheet, flat_rates, kept_cost, query
from capcurriculum.ledger import funnel as counts
from capcurriculum.ledger.cost import Spend, spends
from capcurriculum.ledger.forecast import Forecast
from capcurriculum.ledger.funnel import CatchLine, FunnelLine
from capcurriculum.ledger.kept_cost import StageCost
from capcurriculum.ledger.run_list import SPLITS, RunLine
from capcurriculum.ledger.verify import Found
from capcurriculum.render.table import grid
from capcurriculum.render.terminal import visible
from capcurriculum.run import Run


def funnel_table(lines: Sequence[FunnelLine]) -> Table:
    """Stage by stage, what each filter met, kept and dropped and why, and what it kept with a label."""
    numbers = ("rows", "kept", "share")
    columns = ("stage", "filter", *numbers, "dropped because")
    labels = any(line.labelled or line.unreviewed for line in lines)
    rows = []
    for line in lines:
        row = (line.stage, line.filter, line.met, line.kept, f"{line.kept / line.met:.1%}", _most(line.dropped))
        unreviewed = {"not_reviewed": line.unreviewed} if line.unreviewed else {}
        rows.append((*row, _most({**line.labelled, **unreviewed})) if labels else row)
    return grid((*columns, "kept, but labelled") if labels else columns, rows, numbers)


def _most(reasons: Mapping[str, int]) -> str:
    """Reasons with their counts, the most frequent first."""
    return ", ".join(f"{name} {n}" for name, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def overlap_tables(lines: Sequence[CatchLine]) -> Iterator[Table]:
    """For each stage, what each filter catches by itself, alone, and together with each other one, named by number."""
    for stage in dict.fromkeys(line.stage for line in lines):
        own = [line for line in lines if line.stage == stage]
        numbers = ("judged", "caught", "share", "alone", *(f"& {number}" for number in range(1, len(own) + 1)))
        rows = []
        for number, line in enumerate(own, 1):
            both = [line.shared.get(other.filter, "") for other in own]
            share = f"{line.caught / line.judged:.1%}"
            rows.append((stage, f"{number} {line.filter}", line.judged, line.caught, share, line.alone, *both))
        yield grid(("stage", "filter", *numbers), rows, numbers)


def funnel(run: Run, console: Console, overlap: bool = False) -> None:
    """The funnel, how many rows each stage file holds, and which of them will give no gradient.

    With `overlap` also what the filters catch by themselves.
    """
    console.print(funnel_table(counts.lines(run)))
    for table in overlap_tables(counts.catches(run)) if overlap else ():
        console.print()
        console.print(table)
    columns = ("stage", "split", "rows", "mean pass rate")
    rows: list[tuple[object, ...]] = []
    recipe = run.recipe()
    place = counts.placing(recipe.taught)
    if any(query.stage_files(run).values()):
        sql = (
            "select * from (select stage, split, count(*), round(avg(pass_rate), 3) from stages group by all) order by "
            "list_position(['train', 'val', 'test'], split)"
        )
        _, found = query.query(run, sql)
        rows = sorted(found, key=lambda row: place(str(row[0])))
    if rows:
        console.print()
        console.print(grid(columns, rows, ("rows", "mean pass rate")))
    remarks(cost_sheet.sentences(kept_cost.of_run(run, recipe)), console)
    rates = flat_rates.of_run(run, recipe)
    said = [(stage, text) for stage in sorted(rates, key=place) for text in rates[stage].sentences()]
    remarks([f"{stage}: {text}." for stage, text in said], console)


def remarks(sentences: Sequence[str], console: Console) -> None:
    """Sentences beneath a table, a line each."""
    if sentences:
        console.print()
    for sentence in sentences:
        console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)


def status(run: Run, console: Console) -> None:
    """How far the run is: rows of each table, what it has cost, stage files, trainings, the last event."""
    tables = run.tables
    console.print(f"run {visible(run.path)}", markup=False, highlight=False)
    rows = [(table.folder.name, table.count(), len(table.shards())) for table in tables]
    console.print(grid(("table", "rows", "shards"), rows, ("rows", "shards")))
    if spent := spends(run):
        numbers = ("replies", "requests", "retries", "tokens in", "tokens out", "seconds", "engine seconds")
        console.print(grid(("step", "model", *numbers), [_spent(line) for line in spent], numbers))
        over = [
            f"{line.step} {line.model} {line.taken_over:,} of {line.replies:,}" for line in spent if line.taken_over
        ]
        remarks([f"Replies taken over from another run: {', '.join(over)}."] if over else [], console)
        console.print()
        kept_costs(kept_cost.of_run(run, run.recipe()), console)
    for name, files in query.stage_files(run).items():
        console.print(f"stage {visible(name)}: {len(files)} files", markup=False, highlight=False)
    for plan in run.plans:
        name = f"training {plan.parent.name}" if plan.parent.parent.name == "trainings" else "training"
        for stage, state in _training_states(plan):
            console.print(f"{visible(name)} {visible(stage)}: {visible(state)}", markup=False, highlight=False)
    last = list(run.events())[-1:]
    if last:
        console.print(f"last event: {visible(last[0])}", markup=False, highlight=False, soft_wrap=True)


def runs(lines: Sequence[RunLine], console: Console) -> None:
    """One line for each run, and why another one could not be read."""
    rows = [
        (
            line.name,
            "\n".join(f"{stage} {'/'.join(map(str, counts))}" for stage, counts in line.stages.items()) or "-",
            "\n".join(f"{name}: {_progress(states)}" for name, states in line.trainings.items()) or "-",
            "\n".join(line.working) or "-",
            line.last,
        )
        for line in lines
    ]
    console.print(grid(("run", f"rows ({'/'.join(SPLITS)})", "trainings", "working", "last event"), rows))
    remarks([f"{line.name}: {line.damage}" for line in lines if line.damage], console)


def _progress(states: Mapping[str, str]) -> str:
    """`2 of 3 stages`, or what a stage is that is neither done nor to come."""
    other = [f"{stage} {state}" for stage, state in states.items() if state not in ("done", "pending")]
    return ", ".join([f"{sum(state == 'done' for state in states.values())} of {len(states)} stages", *other])


def kept_costs(costs: Sequence[StageCost], console: Console) -> None:
    """What each stage's rows have cost by where they ended, and for each kept row."""
    made = cost_sheet.sheet(costs)
    console.print(grid(made.columns, made.rows, made.numbers))
    remarks(cost_sheet.remarks(costs), console)


def verified(found: Sequence[Found], console: Console) -> None:
    """How many files of each folder are as they were written, and how many bear no checksum to say so."""
    rows = [(one.folder or "the run's own folder", one.sound, one.unsealed, one.damaged) for one in found]
    console.print(grid(("folder", "sound", "no checksum", "damaged"), rows, ("sound", "no checksum", "damaged")))
    if bare := sum(one.unsealed for one in found):
        remarks(
            [f"{bare} files bear no checksum: journals, and what earlier versions wrote; they can be read."], console
        )


def forecast(steps: Iterable[Forecast], console: Console) -> None:
    """What each step will ask for and cost, then the sum of what is known."""
    columns = ("rows", "requests", "tokens in", "tokens out", "disk B", "hours", "cost")
    rows: list[tuple[object, ...]] = []
    found = list(steps)
    for step in found:
        numbers = (_short(number) for number in (step.rows, step.requests, step.tokens_in, step.tokens_out))
        kind = "est." if step.estimate else ""
        disk = _short(round(step.disk_mb * 1e6))
        rows.append((step.step, step.model, kind, *numbers, disk, _hours(step.seconds), _known(step.money)))
    console.print(grid(("step", "model", "", *columns), rows, columns))
    if most := sum(step.most for step in found):
        few, asked = sum(step.fewest for step in found), sum(step.requests for step in found if step.most)
        expected = (
            f"as many as so far are {_short(asked)}" if asked < most else "how many is known once some are decided"
        )
        console.print(
            f"the probe stops when a question is decided: {_short(few)} to {_short(most)} requests, the most with "
            f"stop: never; {expected}",
            highlight=False,
            soft_wrap=True,
        )
    if any(step.requests and None in (step.seconds, step.money) for step in found):
        console.print("?: unknown; tokens_per_second, price_in and price_out of a model tell them", highlight=False)
    money = [step.money for step in found if step.money is not None]
    if money:
        console.print(f"cost of the steps with prices: {sum(money):,.2f}", highlight=False)


def _spent(line: Spend) -> tuple[object, ...]:
    """The cells of a step; the few hedged requests stand beside the retries, as the table must stay narrow."""
    retries = f"{line.retries} + {line.hedged} hedged" if line.hedged else line.retries
    times = (line.seconds, line.engine_seconds)
    return line.step, line.model, line.replies, line.requests, retries, line.tokens_in, line.tokens_out, *times


def _short(number: int) -> str:
    """Three digits and a unit of thousands from a hundred thousand on: `9,647`, `2.6 M`, `1.28 G`."""
    for least, size, unit in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**5, 10**3, "k")):
        if number >= least:
            return f"{number / size:.3g} {unit}"
    return f"{number:,}"


def _hours(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds / 3600:,.2f}"


def _known(money: float | None) -> str:
    return "?" if money is None else f"{money:,.2f}"


def _training_states(plan: Path) -> list[tuple[str, str]]:
    try:
        stages = json_file.mapping(plan).get("stages", [])
        return [(str(run.get("stage")), str(run.get("state"))) for run in stages]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{plan} is damaged ({error}); move it away to begin the training anew.") from error
