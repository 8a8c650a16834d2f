"""`capcurriculum evaluate`: evaluate every model on every benchmark of a suite, and print a table of the results.

Finished benchmarks are identified by their content and skipped, so the same command resumes after a kill, a server that
died or a judge that was down. A benchmark without a score is reported with its reason and makes the command fail.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from capcurriculum import consent, locks
from capcurriculum.consent import Wish
from capcurriculum.errors import EvaluationError, RunError
from capcurriculum.render import terminal
from capcurriculum.render.table import grid
from evaluation import dry_run, own_runner, suites
from evaluation.job import Job
from evaluation.lmmseval import run as lmmseval
from evaluation.lmmseval import session as lmms_session
from evaluation.results import results
from evaluation.results.results import State
from evaluation.serving.models import Target, find
from evaluation.vlmevalkit import run as vlmevalkit
from evaluation.vlmevalkit import session

_ENGINES = {own_runner.NAME: own_runner.run, session.NAME: vlmevalkit.run, lmms_session.NAME: lmmseval.run}


def targets(names: Sequence[str], backbone: str = "", system: bool | None = None) -> list[Target]:
    """The models of these names; raises `CapCurriculumError` if there is no such model, or two have the same label."""
    found = [find(name, backbone, system) for name in names]
    labels = [target.label for target in found]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise EvaluationError(f"Two of the models are called {twice[0]}; leave one of them out.")
    return found


def evaluate(job: Job, models: Sequence[Target], engine: str, suite: str, *, allow: bool) -> None:
    """Evaluate models on the suite that the user called `suite`, and print the scores, or the plan with `job.dry_run`.

    Raises:
        CapCurriculumError: a benchmark has no score yet, or the evaluation cannot run; replies so far are kept.
    """
    for target in models:
        _check_rows(target, job.suite)
    if job.dry_run:
        for target in models:
            for text in dry_run.lines(job, target, engine):
                terminal.say(*text.split("\n"))
        return
    for name, wishes in wished(job, models, engine, suite).items():
        consent.check(name, wishes, {consent.KITS, consent.JUDGES}, allow=allow)
    job.folder.mkdir(parents=True, exist_ok=True)
    with locks.alone(job.folder):
        states = [state for target in models for state in _ENGINES[engine](job, target)]
    report(job.folder, states, terminal.console(width=None if sys.stdout.isatty() else 140))


def _check_rows(target: Target, suite: suites.Suite) -> None:
    """Note where the rows of a model's run differ from its recipe's, since it may have been trained on either.

    Raises:
        RunError: the suite holds such rows.
    """
    if not target.remark or target.run is None:
        return
    rows = target.run.stages.resolve()
    if any(entry.file and entry.file.resolve().is_relative_to(rows) for entry in suite.benchmarks):
        raise RunError(target.remark)
    terminal.say(f"note: {target.remark} The model may have been trained on either.", error=True)


def wished(job: Job, targets: Sequence[Target], engine: str, suite: str) -> dict[str, Sequence[Wish]]:
    """File -> what it would run or send and needs consent for, for the recipes of the runs and the suite's file."""
    if engine == own_runner.NAME:
        return {}
    found: dict[str, Sequence[Wish]] = {}
    for target in targets:
        if target.run and not job.python:
            found[str(target.run.path)] = consent.of_recipe(target.run.recipe())
    if suites.is_file(suite) and (not job.judge or job.judge in job.suite.judges):
        found[suite] = suites.wishes(job.suite)
    return found


def default_folder(targets: Sequence[Target]) -> Path:
    """`evaluation/` of the run if the models are of one run, where its card finds results; else `evaluations/`."""
    paths = {target.run.path for target in targets if target.run}
    return paths.pop() / results.FOLDER if len(paths) == 1 else Path("evaluations")


def report(folder: Path, states: Sequence[State], console: Console) -> None:
    """Print the table of these benchmarks; raises `EvaluationError` if one of them has no score."""
    scores = {results.named(score): score for score in results.scores_in(folder)}
    rows = []
    for state in states:
        score = scores.get(results.named(state))
        low, high = (score.low, score.high) if score else (None, None)
        interval = f" ({low:.1f} to {high:.1f})" if low is not None and high is not None else ""
        rows.append(
            (
                state.model,
                state.benchmark,
                f"{score.score:.1f}{interval}" if score else state.state,
                score.samples if score else f"{state.answered} of {state.samples}",
                score.unparsed if score else "",
                score.failed if score else "",
                f"{score.tokens:.1f}" if score and score.tokens is not None else "",
                (score.judge or "a program") if score else "",
            )
        )
    names = ("model", "benchmark", "score (95 %)", "samples", "unparsed", "failed", "tokens", "graded by")
    console.print(grid(names, rows, names[3:7]))
    open_ones = [state for state in states if state.state != "done"]
    if open_ones:
        first = open_ones[0]
        raise EvaluationError(
            f"{len(open_ones)} of {len(states)} benchmarks have no score yet. {first.model} on {first.benchmark}: "
            f"{first.state}. {first.detail} Run the same command again to go on; replies are in {folder}."
        )
