"""`training/plan.json`: the state of a training's stages and what each is made from.

A begun stage is bound to its data, configuration and parent checkpoint by their digests, and a rerun with others is
refused with what differs. A stage that has not begun follows the recipe. The file is replaced atomically, so after a
kill it holds the last state that was reached.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from capcurriculum.errors import TrainerError
from capcurriculum.files import checked_json, json_file
from capcurriculum.rows import digest
from capcurriculum.tables import write_atomically
from capcurriculum.validation import reason

VERSION = 1


class State(StrEnum):
    """State of a stage; RUNNING without a running process means that the process was killed."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage. Rows and steps are counts, times are UTC in ISO 8601, paths are as the run uses them.

    `config` is the part of verl's configuration that can affect learning (`overrides.identity`), kept so that an error
    can name what differs. `parent_digest` is "" until the parent exists. `selected_step` is the exported step,
    `validation` its accuracy on the stage's validation rows (None if not measured), and `reply` the exported
    checkpoint's reply to one question.

    `refresh` is the recipe's section by which the stage's rows are measured anew before it begins, None if they are
    not. Before that `rows` are those that were built and `refresh_rollouts` the most replies it can take; afterwards
    `rows` are those that are left of `refresh_rows`, `refresh_rollouts` the replies it took, and `refreshed_by` names
    the checkpoint.
    """

    stage: str
    state: State
    dataset_digest: str
    config_digest: str
    config: dict[str, Any] = field(repr=False)
    rows: int
    batch_size: int
    rollouts: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    parent: str = ""
    parent_digest: str = ""
    checkpoint: str = ""
    checkpoint_digest: str = ""
    selected_step: int = 0
    validation: float | None = None
    reply: str = ""
    refresh: dict[str, Any] | None = None
    refreshed_by: str = ""
    refresh_rows: int = 0
    refresh_rollouts: int = 0
    attempts: int = 0
    started: str = ""
    finished: str = ""
    error: str = ""

    @property
    def begun(self) -> bool:
        """Whether the stage is bound to its data, configuration and parent."""
        return self.state != State.PENDING


def total_steps(rows: int, batch_size: int, epochs: int, max_steps: int | None, stage: str) -> tuple[int, int]:
    """(steps per epoch, total steps); the trainer drops the last incomplete batch of an epoch.

    Raises:
        TrainerError: the rows do not fill one batch.
    """
    per_epoch = rows // batch_size
    if per_epoch == 0:
        raise TrainerError(
            f"Stage {stage} has {rows} training rows and a batch needs {batch_size}; "
            f"lower training.knobs.batch_size (and mini_batch_size) or build more rows."
        )
    steps = per_epoch * epochs
    return per_epoch, min(steps, max_steps) if max_steps else steps


def config_digest(config: dict[str, Any]) -> str:
    """First 16 hex digits of the sha256 of the configuration."""
    return digest(VERSION, "training", config)


def files_digest(paths: Iterable[Path]) -> str:
    """First 16 hex digits of the sha256 over names and bytes of the files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        with path.open("rb") as file:
            total.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def reconcile(drafted: Sequence[StagePlan], existing: Sequence[StagePlan]) -> list[StagePlan]:
    """The plan to continue with: begun stages from `existing`, the rest from `drafted`.

    Raises:
        TrainerError: a begun stage is no longer in its place, or its data or configuration changed.
    """
    begun = [stage for stage in existing if stage.begun]
    before, now = [stage.stage for stage in begun], [stage.stage for stage in drafted]
    if before != now[: len(before)]:
        raise TrainerError(
            f"The training began with the stages {', '.join(before)}, and the recipe now lists {', '.join(now)}; "
            f"restore that order, or train under another name (training.name)."
        )
    for old, new in zip(begun, drafted, strict=False):
        _refuse_change(old, new)
    return [*begun, *drafted[len(begun) :]]


def _refuse_change(old: StagePlan, new: StagePlan) -> None:
    mend = "restore it, or train under another name (training.name)"
    if old.refresh != new.refresh:
        said, says = ("none" if one is None else _shown(one) for one in (old.refresh, new.refresh))
        raise TrainerError(
            f"Stage {old.stage} was begun ({old.state}) under another training.refresh ({said}, and now {says}); "
            f"{mend}."
        )
    if old.dataset_digest != new.dataset_digest:
        raise TrainerError(
            f"Stage {old.stage} was begun ({old.state}) with other data: {old.rows} rows, digest {old.dataset_digest}, "
            f"and the files now hold {new.rows} rows, digest {new.dataset_digest}; {mend}."
        )
    if old.config_digest != new.config_digest:
        before, now = old.config, new.config
        keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        changes = ", ".join(f"{key} {before.get(key)} -> {now.get(key)}" for key in keys)
        raise TrainerError(f"Stage {old.stage} was begun ({old.state}) with another configuration ({changes}); {mend}.")


def _shown(section: dict[str, Any]) -> str:
    return " ".join(f"{key}: {value}" for key, value in section.items())


def load(path: Path) -> list[StagePlan]:
    """The stages of a plan file; none if there is no file.

    Raises:
        TrainerError: the file is damaged or of another version.
    """
    try:
        data = json_file.read(path)
        if data["version"] != VERSION:
            raise TrainerError(f"{path} has version {data['version']} and this program reads {VERSION}; move it away.")
        return TypeAdapter(list[StagePlan]).validate_python(data["stages"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainerError(
            f"{path} is damaged ({reason(error)[:200]}); move it away to begin the training anew."
        ) from error


def save(path: Path, name: str, stages: Sequence[StagePlan]) -> None:
    """Replace the plan file atomically."""
    data = {"version": VERSION, "recipe": name, "stages": [dataclasses.asdict(stage) for stage in stages]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, checked_json.encode(data))
