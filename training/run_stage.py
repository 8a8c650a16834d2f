"""Bring one link of a chain to its end: run its trainer from wherever it is, then export what it learned.

Every way out leaves a plan that says what happened, so running again goes on from the trainer's last checkpoint.
"""

import dataclasses
import importlib.util
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from capcurriculum.errors import TrainerError
from capcurriculum.render.terminal import visible
from training import selection
from training.canary import record as canary
from training.checkpoints import export
from training.on_verl import lora
from training.plan import StagePlan, State
from training.stages import Link, Links
from training.supervise import curves, metrics, supervisor
from training.supervise.live_view import View


def train_stage(links: Links, number: int, console: Console) -> None:
    """Train and export link `number`.

    Raises:
        TrainerError: the trainer failed or its checkpoint is not usable; the plan keeps why.
    """
    link, parent = links.links[number], links.parent(number)
    link.folder.mkdir(parents=True, exist_ok=True)
    stage = links.record(
        number,
        state=State.RUNNING,
        parent=str(parent),
        parent_digest=export.checkpoint_digest(parent),
        attempts=links.stages[number].attempts + 1,
        started=links.stages[number].started or _now(),
        error="",
    )
    knobs = link.knobs
    scale = knobs.lora_alpha / knobs.lora_rank if knobs.lora_rank else 0.0
    checker = export.Checker(links.python, links.device, lora.frozen(knobs), links.base.dtype, scale)
    series = metrics.Series(links.folder / curves.METRICS, stage.stage, stage.attempts)
    try:
        links.prepare(number)
        _run_trainer(links, number, stage, series, console)
        chosen = selection.choose(link.select, series.steps(), stage.total_steps, link.checkpoints, link.best)
        made, reply = export.export(chosen.weights, parent, link.exported, checker)
    except TrainerError as error:
        links.record(number, state=State.FAILED, error=str(error))
        raise
    except KeyboardInterrupt:
        links.record(number, state=State.FAILED, error="Interrupted; run again to resume.")
        raise
    links.record(
        number,
        state=State.DONE,
        checkpoint=str(link.exported),
        checkpoint_digest=made,
        selected_step=chosen.step,
        validation=chosen.accuracy,
        reply=reply,
        finished=_now(),
    )
    if not links.settings.keep_trainer_state:
        for folder in (link.checkpoints, link.best):
            shutil.rmtree(folder, ignore_errors=True)
    if importlib.util.find_spec("matplotlib"):
        curves.draw({links.folder.name: metrics.load(series.path)}, links.folder / "curves")
    _say(console, f"{stage.stage}: done, {stage.total_steps} steps{_of(link, chosen)}, {link.exported}")


def _run_trainer(links: Links, number: int, stage: StagePlan, series: metrics.Series, console: Console) -> None:
    """Bring the stage to its last step, from wherever it is."""
    link = links.links[number]
    export.forget_incomplete(link.checkpoints)
    reached = export.last_step(link.checkpoints)
    job = supervisor.Job(
        command=links.command(number),
        environment=links.variables(number),
        folder=link.folder,
        stall_seconds=links.settings.stall_minutes * 60,
        step_seconds=links.settings.step_minutes * 60,
    )
    series.begin(reached, job.trainer_metrics)
    if reached < stage.total_steps:
        again = f", resuming after step {reached}" if reached else ""
        _say(console, f"{stage.stage}: {stage.total_steps} steps on {stage.rows} rows{again}")
        view = View(stage.stage, stage.total_steps, reached, f"stage {number + 1} of {len(links.links)}")

        def on_step(step: Mapping[str, Any]) -> None:
            series.append(step)
            if link.select == "best":
                selection.keep_best(series.steps(), link.checkpoints, link.best)
            export.prune(link.checkpoints)
            view.step(step)
            if not console.is_terminal:
                _say(console, view.line())

        def on_look(look: Mapping[str, Any]) -> None:
            view.looked = canary.heard(look, stage.stage, job.looks)
            if not console.is_terminal:
                _say(console, view.looked)

        with view.shown(console):
            supervisor.run(dataclasses.replace(job, on_step=on_step, on_look=on_look))
        reached = export.last_step(link.checkpoints)
    if reached != stage.total_steps:
        raise TrainerError(
            f"The trainer ended at step {reached} of {stage.total_steps} without an error; "
            f"see {link.folder / 'verl.log'}, and run again to resume."
        )


def _of(link: Link, chosen: selection.Choice) -> str:
    if link.select == "last":
        return ""
    return f" of which step {chosen.step} goes on (validation accuracy {chosen.accuracy:.1%})"


def _say(console: Console, text: str) -> None:
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
