"""One model's work with lmms-eval: a folder for all that can change its replies, its tasks and its command.

Its chat models send no system turn, whatever `--system_instruction` says (lmms-eval 0.7.3 puts that into the text of
models that take no messages), so the relay adds it.
"""

import glob
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from capcurriculum import prompts
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.rows import digest
from capcurriculum.tables import publish, write_atomically
from evaluation import kits
from evaluation.benchmarks.benchmark import Benchmark
from evaluation.kits import Kit
from evaluation.serving.models import Target
from evaluation.suites import Entry

NAME = "lmms-eval"
DISTRIBUTIONS = ("lmms-eval", "lmms_eval")
HINT = "python -m pip install lmms-eval==0.7.3 in one of its own"
#: What stands in place of a reply that never came.
NO_REPLY = "[LMMS_EVAL_REQUEST_FAILED"
_VERSION = 1
_SCHEMA = pa.schema(
    [
        ("problem", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
    ]
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The headline metric of a task as `results.json` names it, and where a sample says whether it was right."""

    metric: str
    right: Callable[[Mapping[str, Any]], float]
    name: str = "accuracy"


def _plain(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda sample: float(sample[key])


def _inner(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda sample: float(sample[key]["score"])


FILE = Layout("accuracy,none", _plain("accuracy"))
#: Tasks that lmms-eval grades by itself; read in its source.
LAYOUTS: Mapping[str, Layout] = {
    "realworldqa": Layout("exact_match,none", _plain("exact_match")),
    "mmstar": Layout("average,none", _inner("average"), "mean accuracy of categories"),
    "pope": Layout("pope_f1_score,none", _inner("pope_accuracy"), "F1"),
    "chartqa": Layout("relaxed_overall,none", _plain("relaxed_overall")),
    "textvqa_val": Layout("exact_match,none", _plain("exact_match"), "VQA score"),
}


@dataclass(frozen=True, slots=True)
class Task:
    """A benchmark as lmms-eval knows it; `benchmark` is that of a file."""

    entry: Entry
    name: str
    layout: Layout
    benchmark: Benchmark | None = None


@dataclass(frozen=True, slots=True)
class Session(kits.Session):
    """Where and how lmms-eval asks one model."""

    def output(self, task: Task) -> Path:
        """Where a task's results go."""
        return self.folder / "work" / task.name

    def write(self, task: Task, root: Path) -> None:
        """A benchmark file as a task of lmms-eval's; pictures are read below `root`."""
        if task.benchmark is None:
            return
        folder = self.folder / "tasks"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(__file__).with_name("functions.py"), folder / "functions.py")
        rows = [
            {"problem": item.problem, "options": list(item.options), "answer": item.gold.upper(),
             "images": [{"bytes": (root / name).read_bytes()} for name in item.images]}
            for item in task.benchmark.items
            if not item.fault
        ]  # fmt: skip
        data = folder / f"{task.name}.parquet"
        temporary = data.with_suffix(".tmp")
        with removed_if_it_fails(temporary):
            pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), temporary, compression="zstd")
            publish(temporary, data)
        write_atomically(folder / f"{task.name}.yaml", self._task(task, data).encode())

    def _task(self, task: Task, data: Path) -> str:
        told = {
            "task": task.name,
            "dataset_path": "parquet",
            "dataset_kwargs": {"data_files": {"test": glob.escape(str(data))}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_target": "answer",
            "generation_kwargs": {"max_new_tokens": self.max_tokens, "temperature": 0, "do_sample": False},
            "metadata": [{"version": 0.0}],
        }
        functions = {"doc_to_visual": "visual", "doc_to_text": "text", "process_results": "process"}
        lines = [f"{key}: !function functions.{name}" for key, name in functions.items()]
        metrics = "metric_list:\n  - {metric: accuracy, aggregation: mean, higher_is_better: true}\n" \
                  "  - {metric: letter, aggregation: !function functions.last, higher_is_better: true}"  # fmt: skip
        return f"{yaml.safe_dump(told, sort_keys=False)}{chr(10).join(lines)}\n{metrics}\n"

    def command(self, task: Task, url: str, served: str) -> list[str]:
        """lmms-eval's arguments for one task."""
        # No api_key, which anybody could read here: it takes that of its environment.
        model = f"model={served},base_url={url},num_concurrent={self.concurrency},timeout=1800,max_retries=2"
        words = ["-m", "lmms_eval", "--model", "openai", "--model_args", model, "--tasks", task.name]
        words += ["--gen_kwargs", f"max_new_tokens={self.max_tokens},temperature=0,do_sample=False"]
        words += ["--batch_size", "1", "--output_path", str(self.output(task)), "--log_samples"]
        return [*words, *(["--include_path", str(self.folder / "tasks")] if task.benchmark else [])]

    def variables(self, task: Task) -> dict[str, str]:
        """What its process is told by its environment; files of ours need no network."""
        own = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(self.folder / "cache")} if task.benchmark else {}
        return {"LMMS_EVAL_USE_CACHE": "False", **own}

    @property
    def system(self) -> str:
        """The system turn that the relay adds."""
        return prompts.system() if self.target.system else ""


def setup(kit: Kit, target: Target, max_tokens: int) -> str:
    """Digest of all that can change a reply that lmms-eval gets."""
    system = prompts.digest("system") if target.system else ""
    who = target.weights or [target.label, target.model]
    return digest(NAME, _VERSION, kit.version, who, system, max_tokens)


def results_of(folder: Path, pattern: str) -> Sequence[Path]:
    """Files below an output folder, oldest first; their names begin with the time."""
    return sorted(folder.glob(f"**/{pattern}"), key=lambda path: path.name)
