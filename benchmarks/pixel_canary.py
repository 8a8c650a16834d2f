"""Does the pixel canary find what trainers have lost? `python -m benchmarks.pixel_canary`, ten minutes.

The micro model is trained with verl for one step on scenes of the embedded world, with each planted fault
(`canary_faults`) once: caught is one that ends the training before its first step with its own kind in the verdict. One
training without a fault looks at ten different draws of rows before its step and once more after it; each verdict other
than `alike` there is a false alarm.
"""

import argparse
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from benchmarks.canary_faults import CLEAN_LOOKS, FAULTS, planted
from benchmarks.curricula_rows import VERSIONS, Task, rows
from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from capcurriculum.recipe import Recipe, parse
from datagen.micro.export import jpeg
from tests.support import training_data
from training import chain
from training.canary.record import FILE

#: The kinds that are counted; the others are planted on the rollout's side.
KINDS = ("dropped", "swapped", "shifted", "resized")
_ROWS = {"train": 24, "val": 4}


def caught() -> float:
    """Kinds of fault that were caught before the first step.

    Raises:
        ValueError: a clean look gave an alarm.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if alarms := false_alarms(trained(folder, "clean")[1]):
            raise ValueError(f"{alarms} of {CLEAN_LOOKS + 1} clean looks gave an alarm")
        return float(sum(found(trained(folder, kind)[1], kind) for kind in KINDS))


def trained(folder: Path, fault: str) -> tuple[str, list[dict[str, Any]]]:
    """What one training with the fault said, and the canary's looks in it."""
    root = folder / fault.replace(" ", "_")
    wanted = _recipe(root)
    _write(root / "runs/canary/stages/perception")
    heard = io.StringIO()
    with planted(fault, root / "site"):
        try:
            chain.train(wanted, console=Console(file=heard))
        except TrainerError as error:
            heard.write(str(error))
    file = root / "runs/canary/training/perception" / FILE
    lines = file.read_text().splitlines() if file.exists() else []
    return heard.getvalue(), [json.loads(line) for line in lines]


def found(records: list[dict[str, Any]], fault: str) -> bool:
    """Whether the only look, before the first step, names the fault's kind."""
    return [(one["step"], one["state"], one["kind"]) for one in records] == [(0, "fault", fault.split()[0])]


def false_alarms(records: list[dict[str, Any]]) -> int:
    """Clean looks that did not find pictures seen alike, those that did not come about included."""
    return CLEAN_LOOKS + 1 - len([one for one in records if one["state"] == "alike"])


def _recipe(root: Path) -> Recipe:
    knobs = {"max_steps": 1, "max_response_tokens": 48, "save_every": 1, "batch_size": 12, "mini_batch_size": 12}
    knobs |= {"rollouts": 2, "update_micro_batch": 8, "log_prob_micro_batch": 24}
    data = {
        "name": "canary",
        "runs": str(root / "runs"),
        "models": {"m": {"engine": "transformers", "model": "micro:start"}},
        "rollouts": {"model": "m"},
        "text": {"source": {"kind": "scenes"}},
        "training": {"stages": ["perception"], "knobs": knobs},
    }
    return parse(data, "benchmark")


def _write(folder: Path) -> None:
    """Stage files of questions about scenes."""
    folder.mkdir(parents=True)
    made = rows(VERSIONS[0], _ROWS)
    for split, count in _ROWS.items():
        told = [_row(task, number, split) for number, task in enumerate(made[split]["perception"])]
        pq.write_table(
            pa.Table.from_pylist(told, schema=training_data.schema()), folder / f"{split}-00000-of-00001.parquet"
        )
        assert len(told) == count
    (folder / "counts.json").write_text(json.dumps(_ROWS))


def _row(task: Task, number: int, split: str) -> dict[str, Any]:
    assert task.scene is not None
    problem, options = f"<image>{task.text}", list(task.options)
    row = training_data.row("perception", number, split)
    return row | {
        "problem": problem,
        "answer": task.answer,
        "options": options,
        "images": [{"bytes": jpeg(task.scene), "path": f"{number}.jpg"}],
        "prompt": [{"role": "system", "content": prompts.system()}, {"role": "user", "content": problem}],
        "reward_model": {"style": "rule", "ground_truth": task.answer},
        "extra_info": {
            "index": number,
            "split": split,
            "question_id": task.name,
            "stage": "perception",
            "options": options,
        },
    }


def main() -> None:
    """Plant every fault, or those named, and print what the canary said."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pixel_canary", description=__doc__)
    parser.add_argument("faults", nargs="*", help=f"of {', '.join(FAULTS)} (default: all)")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, which is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        for fault in arguments.faults or FAULTS:
            said, records = trained(arguments.keep or Path(own), fault)
            print(f"{fault}: {said.strip().splitlines()[-1]}")
            for one in records:
                print(json.dumps({name: value for name, value in one.items() if name not in ("readings", "sentence")}))
            if fault == "clean":
                print(f"{false_alarms(records)} false alarms")
            else:
                print(f"{fault}: {'caught' if found(records, fault) else 'NOT caught'}", flush=True)


if __name__ == "__main__":
    main()
