"""Trainings without a trainer: their plan, what was said at their validations, and the rows that were asked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tests.support import pictures
from training import plan
from training.plan import StagePlan, State
from training.supervise import metrics
from training.supervise.curves import METRICS

PICTURE = pictures.jpeg(pictures.noise(1))
_IMAGES = pl.List(pl.Struct({"bytes": pl.Binary, "path": pl.String}))


def rows(run: Path, stage: str, problems: Mapping[str, str], picture: bytes | None = PICTURE) -> None:
    """The validation file of a stage: question id -> problem."""
    folder = run / "stages" / stage
    folder.mkdir(parents=True, exist_ok=True)
    mark = "<image>" if picture else ""
    images = [{"bytes": picture, "path": "1.jpg"}] if picture else []
    values = [
        {"question_id": k, "stage": stage, "problem": mark + v, "images": images, "split": "val", "index": str(n)}
        for n, (k, v) in enumerate(problems.items())
    ]
    texts = dict.fromkeys(("question_id", "stage", "problem", "split", "index"), pl.String)
    schema: dict[str, Any] = texts | {"images": _IMAGES}
    pl.DataFrame(values, schema=schema).write_parquet(folder / "val-00000-of-00001.parquet")


def said(folder: Path, stage: str, step: int, replies: Sequence[tuple[str, str]], outcome: str = "right") -> Path:
    """What verl writes at a validation, of (question id, reply); returns the file."""
    path = folder / stage / "validation" / f"{step}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"input": "…", "gts": "A", "score": 1.0, "step": step, "outcome": outcome}
    lines = (told | {"output": text, "question_id": key, "uid": f"{n}_0_0"} for n, (key, text) in enumerate(replies))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def planned(folder: Path, *stages: tuple[str, State, int]) -> None:
    """The plan of a training, of (stage, state, selected step), and a step of each stage."""
    made = [StagePlan(name, state, "", "", {}, 8, 8, 8, 1, 1, 1, selected_step=step) for name, state, step in stages]
    plan.save(folder / "plan.json", "planted", made)
    for name, state, _ in stages:
        if state != State.PENDING:
            data = {"critic/score/mean": 0.5, f"val-core/capcurriculum/{name}/accuracy/mean@1": 0.5}
            metrics.Series(folder / METRICS, name, 1).append({"step": 1, "data": data})
