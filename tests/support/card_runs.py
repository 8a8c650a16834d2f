"""Staged sets for cards, made without asking a model: rows as they are published, with any text in them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from capcurriculum.stats import wilson
from cards.staged import Staged, StagedSet
from curricula.stage_rows import features
from tests.support import pictures

PICTURE = pictures.jpeg(pictures.noise(1))


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row of a stage file; `changes` replace columns."""
    values: dict[str, Any] = {
        "problem": f"<image>What is patch {number}?",
        "answer": "ABCD"[number % 4],
        "images": [{"bytes": PICTURE, "path": "1.jpg"}],
        "source": "pictures",
        "predictions": ["A", "B"],
        "correctness": [True, None],
        "question_id": f"{number:016x}",
        "stage": "perception",
        "skill": "count",
        "options": ["one", "two", "three", "four"],
        "pass_k": number % 5,
        "pass_n": 4,
        "pass_full": True,
        "license": "cc-by-4.0",
        "split": "train",
    }
    values |= changes
    k, n = values["pass_k"], values["pass_n"]
    low, high = wilson(k, n) if n else (0.0, 1.0)
    values |= {"index": str(number), "pass_rate": k / n if n else None, "pass_low": low, "pass_high": high}
    values |= {
        "data_source": f"capcurriculum/{values['stage']}",
        "prompt": [{"role": "user", "content": values["problem"]}],
        "ability": values["stage"],
        "reward_model": {"style": "rule", "ground_truth": values["answer"]},
        "extra_info": {
            "index": number,
            **{n: values[n] for n in ("split", "question_id", "stage", "skill", "options")},
        },
    }
    return values


def write(path: Path, rows: Sequence[Mapping[str, Any]], group: int = 3) -> Path:
    """Rows as a shard, with the schema that `datasets` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=features().arrow_schema), path, row_group_size=group)
    return path


def made(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "perception") -> StagedSet:
    """A set of its own repo."""
    shard = write(folder / "data" / "train-00000-of-00001.parquet", rows)
    return StagedSet(name, "default", {"train": "data/train-*.parquet"}, {"train": (shard,)})


def staged(
    folder: Path, *sets: StagedSet, given: Recipe | None = None, repo: str = "someone/Perception-Data"
) -> Staged:
    """Sets of a run that has no tables; other files are put into its folder by the test."""
    run = Run(folder / "run")
    run.path.mkdir(parents=True, exist_ok=True)
    about = given or plain()
    (run.path / "recipe.yaml").write_text(recipe.dump(about), encoding="utf-8")
    return Staged(run, about, folder, repo, "", sets, (repo, "someone/Text-Data"))


def plain(**changes: Any) -> Recipe:
    """A recipe like the paper's, whose models nobody asks."""
    model = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"]}
    data: dict[str, Any] = {
        "name": "planted",
        "models": {name: model | {"model": f"org/{name}-7b"} for name in ("teacher", "one", "two", "policy")},
        "perception": {
            "source": {"kind": "docci", "path": "docci", "source": "pictures"},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"]},
        },
        "rollouts": {"model": "policy", "k": 4},
        "filters": [{"name": name} for name in ("perception", "rollouts", "difficulty")],
    }
    return recipe.parse(data | changes, "planted")


def declare(run: Run, *sources: Mapping[str, Any]) -> None:
    """The run's `sources.json`."""
    (run.path / "sources.json").write_text(json.dumps({"sources": list(sources), "rows": []}), encoding="utf-8")


def rate(stratum: str, rows: int, right: int, wrong: int, unknown: int = 0) -> dict[str, Any]:
    """A stratum as `audit.json` has it."""
    share = wrong / (right + wrong)
    return {"stratum": stratum, "rows": rows, "right": right, "wrong": wrong, "unknown": unknown, "share": share,
            "low": share / 2, "high": min(1.0, share * 2), "least": 0.0, "most": 1.0}  # fmt: skip
