"""Bring one link of a chain to its end: run its trainer from wherever it is, then export what it learned.

Every way out leaves a plan that says what happened, so running again goes on from the trainer's last checkpoint.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from capcurriculum.errors import TrainerError
from training import environment, export, launch, metrics
from training.links import Links
from training.plan import StagePlan, State

#: What a step's progress line shows: name, verl's metric, format. Tokens are the mean length of a reply.
_SHOWN = (
    ("reward", "critic/score/mean", ".3f"),
    ("tokens", "response_length/mean", ".0f"),
    ("seconds", "timing_s/step", ".1f"),
)


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
    try:
        _run_trainer(links, number, stage, console)
        made = export.export(link.checkpoints, stage.total_steps, parent, link.exported, links.device)
    except TrainerError as error:
        links.record(number, state=State.FAILED, error=str(error))
        raise
    except KeyboardInterrupt:
        links.record(number, state=State.FAILED, error="Interrupted; run again to resume.")
        raise
    links.record(number, state=State.DONE, checkpoint=str(link.exported), checkpoint_digest=made, finished=_now())
    console.print(f"{stage.stage}: done, {stage.total_steps} steps, {link.exported}")


def _run_trainer(links: Links, number: int, stage: StagePlan, console: Console) -> None:
    """Bring the stage to its last step, from wherever it is."""
    link = links.links[number]
    export.forget_incomplete(link.checkpoints)
    reached = export.last_step(link.checkpoints)
    if reached < stage.total_steps:
        again = f", resuming after step {reached}" if reached else ""
        console.print(f"{stage.stage}: {stage.total_steps} steps on {stage.rows} rows{again}")
        series = link.folder / "metrics.jsonl"
        metrics.begin(series, reached)

        def on_step(step: Mapping[str, Any]) -> None:
            metrics.append(series, step)
            console.print(f"{stage.stage}: {_progress(step, stage.total_steps)}")

        launch.run(
            launch.Job(
                command=links.command(number),
                environment=environment.trainer_environment(links.device),
                folder=link.folder,
                stall_seconds=links.settings.stall_minutes * 60,
                on_step=on_step,
            )
        )
        reached = export.last_step(link.checkpoints)
    if reached != stage.total_steps:
        raise TrainerError(
            f"The trainer ended at step {reached} of {stage.total_steps} without an error; "
            f"see {link.folder / 'verl.log'}, and run again to resume."
        )


def _progress(step: Mapping[str, Any], total: int) -> str:
    data = step["data"]
    values = [f"{name} {data[key]:{form}}" for name, key, form in _SHOWN if data.get(key) is not None]
    return f"step {step['step']}/{total}  {'  '.join(values)}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
