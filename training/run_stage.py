"""Train one link of a chain to its last step and export its checkpoint.

The plan records every outcome, so a rerun resumes from the trainer's last checkpoint.
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
from training.selection import Choice
from training.stages import Links
from training.supervise import curves, metrics, supervisor
from training.supervise.live_view import View


def train_stage(links: Links, number: int, console: Console) -> None:
    """Train and export link `number`.

    Raises:
        TrainerError: the trainer failed or its checkpoint is not usable; the plan records why.
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
    try:
        chosen, done = _trained(links, number, stage, console)
    except TrainerError as error:
        links.record(number, state=State.FAILED, error=str(error))
        raise
    except KeyboardInterrupt:
        links.record(number, state=State.FAILED, error="Interrupted; run again to resume.")
        raise
    links.record(number, state=State.DONE, finished=_now(), **done)
    if not links.settings.keep_trainer_state:
        for folder in (link.checkpoints, link.best):
            shutil.rmtree(folder, ignore_errors=True)
    if importlib.util.find_spec("matplotlib"):
        curves.draw({links.folder.name: metrics.load(links.folder / curves.METRICS)}, links.folder / "curves")
    best = ""
    if link.select == "best":
        best = f" of which step {chosen.step} goes on (validation accuracy {chosen.accuracy:.1%})"
    say(console, f"{stage.stage}: done, {stage.total_steps} steps{best}, {link.exported}")


def _trained(links: Links, number: int, stage: StagePlan, console: Console) -> tuple[Choice, dict[str, Any]]:
    """Train and export; returns the selected checkpoint and what the plan records of it."""
    link, knobs = links.links[number], links.links[number].knobs
    left = {curves.REFRESHED: stage.rows / stage.refresh_rows} if link.refreshed else {}
    series = metrics.Series(links.folder / curves.METRICS, stage.stage, stage.attempts, left)
    links.prepare(number)
    _run_trainer(links, number, stage, series, console)
    chosen = selection.choose(link.select, series.steps(), stage.total_steps, link.checkpoints, link.best)
    scale = knobs.lora_alpha / knobs.lora_rank if knobs.lora_rank else 0.0
    checker = export.Checker(links.python, links.device, lora.frozen(knobs), links.base.dtype, scale)
    digest, reply = export.export(chosen.weights, links.parent(number), link.exported, checker)
    return chosen, {
        "checkpoint": str(link.exported),
        "checkpoint_digest": digest,
        "selected_step": chosen.step,
        "validation": chosen.accuracy,
        "reply": reply,
    }


def _run_trainer(links: Links, number: int, stage: StagePlan, series: metrics.Series, console: Console) -> None:
    """Run the trainer from its last checkpoint to the stage's last step."""
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
        say(console, f"{stage.stage}: {stage.total_steps} steps on {stage.rows} rows{again}")
        view = View(stage.stage, stage.total_steps, reached, f"stage {number + 1} of {len(links.links)}")

        def log(line: str) -> None:
            if not console.is_terminal:
                say(console, line)

        def on_step(step: Mapping[str, Any]) -> None:
            series.append(step)
            if link.select == "best":
                selection.keep_best(series.steps(), link.checkpoints, link.best)
            export.prune(link.checkpoints)
            view.step(step)
            log(view.line())

        def on_look(look: Mapping[str, Any]) -> None:
            view.looked = canary.shown(look, stage.stage, job.looks)
            log(view.looked)

        with view.shown(console):
            supervisor.run(dataclasses.replace(job, on_step=on_step, on_look=on_look))
        reached = export.last_step(link.checkpoints)
    if reached != stage.total_steps:
        raise TrainerError(
            f"The trainer ended at step {reached} of {stage.total_steps} without an error; "
            f"see {link.folder / 'verl.log'}, and run again to resume."
        )


def say(console: Console, text: str) -> None:
    """Print one line, whatever characters it contains."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
